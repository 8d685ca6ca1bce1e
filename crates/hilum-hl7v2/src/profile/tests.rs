use super::*;

const PROFILE: &str = r#"<ConformanceProfile ID="p"><MetaData Name="Small"/>
<Messages><Message ID="m" Type="ORU" Event="R01" StructID="ORU_R01">
 <Segment Ref="MSH_1" Usage="R" Min="1" Max="1"/>
 <Group ID="g" Name="RESULT" Usage="R" Min="1" Max="*">
  <Segment Ref="PID_1" Usage="R" Min="1" Max="1"/>
  <Segment Ref="NTE_1" Usage="X" Min="0" Max="0"/>
  <Group ID="o" Name="OBSERVATION" Usage="RE" Min="0" Max="2"><Segment Ref="OBX_1" Usage="R" Min="1" Max="1"/></Group>
 </Group>
</Message></Messages>
<Segments>
 <Segment ID="MSH_1" Name="MSH"/>
 <Segment ID="NTE_1" Name="NTE"/>
 <Segment ID="PID_1" Name="PID">
  <Field Name="Set" Usage="RE" Datatype="SI" Min="0" Max="1" MinLength="1" MaxLength="1"/>
  <Field Name="Old" Usage="X" Datatype="ST" Min="0" Max="0"/>
  <Field Name="Ids" Usage="R" Datatype="CX" Min="1" Max="2"/>
  <Field Name="Sex" Usage="C" Datatype="IS" Min="0" Max="1" Binding="0001" BindingStrength="R"/>
  <Field Name="Fixed" Usage="O" Datatype="ST" Min="0" Max="1" ConstantValue="X"/>
 </Segment>
 <Segment ID="OBX_1" Name="OBX"><Field Name="Set" Usage="R" Datatype="SI" Min="1" Max="1"/>
  <Field Name="Type" Usage="O" Datatype="ST" Min="0" Max="1"/>
  <Field Name="Value" Usage="O" Datatype="var" Min="0" Max="*"/>
  <DynamicMapping><Mapping Position="3" Reference="2"><Case Value="NM" Datatype="NM"/><Case Value="ST" Datatype="ST"/></Mapping></DynamicMapping>
 </Segment>
</Segments>
<Datatypes>
 <Datatype ID="ST" Name="ST"/><Datatype ID="SI" Name="SI"/><Datatype ID="NM" Name="NM"/><Datatype ID="IS" Name="IS"/>
 <Datatype ID="CX" Name="CX"><Component Name="Id" Usage="R" Datatype="ST"/><Component Name="Old" Usage="X" Datatype="ST"/><Component Name="Kind" Usage="C" Datatype="ST"/></Datatype>
</Datatypes></ConformanceProfile>"#;

const SETS: &str = r#"<ValueSetLibrary><NoValidation><BindingIdentifier>0002</BindingIdentifier></NoValidation>
<ValueSetDefinitions><ValueSetDefinition BindingIdentifier="HL70001" Extensibility="Closed">
<ValueElement Value="F"/><ValueElement Value="M"/><ValueElement Value="N" Usage="E"/><ValueElement Value="Z" CodePattern="Z.+"/>
</ValueSetDefinition></ValueSetDefinitions></ValueSetLibrary>"#;

fn profile(constraints: &str) -> Profile {
    let constraints = format!("<ConformanceContext>{constraints}</ConformanceContext>");
    let files = ProfileFiles {
        profile: PROFILE.as_bytes(),
        constraints: Some(constraints.as_bytes()),
        value_sets: Some(SETS.as_bytes()),
        ..ProfileFiles::default()
    };
    Profile::load(&files).expect("profile")
}

fn found(profile: &Profile, body: &str) -> String {
    let text = format!(
        "MSH|^~\\&|A|B|C|D|20260101||ORU^R01|1|P|2.5.1\r{}\r",
        body.replace('\n', "\r")
    );
    let message = Message::parse(text.into_bytes()).expect("message");
    let found = profile.validate(&message);
    let found = found.iter().filter(|found| !found.path.starts_with("MSH"));
    found
        .map(|found| format!("{} {}", found.path, found.rule.as_str()))
        .collect::<Vec<_>>()
        .join("; ")
}

#[test]
fn usage_cardinality_length_and_values_are_checked() {
    let profile = profile("");
    let check = |body: &str, expected: &str| assert_eq!(found(&profile, body), expected, "{body}");
    check("PID|1||A^^K|F|X\nOBX|1", "");
    check("OBX|1", "RESULT[1]/PID segment-missing");
    check("PID|||A\nNTE|1", "NTE segment-not-supported");
    check(
        "PID|||A\nOBX|1\nOBX|2\nOBX|3",
        "RESULT[1]/OBSERVATION group-excess",
    );
    check("PID|12||A", "PID-1 length");
    check("PID|x||A", "PID-1 data-type");
    check("PID||Q|A", "PID-2 field-not-supported");
    check("PID|1", "PID-3 field-missing");
    check("PID|||A~B~C", "PID-3 field-excess");
    check("PID|||A~B~~", "");
    check("PID|||^^K", "PID-3.1 component-missing");
    check(
        "PID|||A^Q^K~B^Q",
        "PID-3.2 component-not-supported; PID-3[2].2 component-not-supported",
    );
    check("PID|||A^^^^W", "PID-3 component-unexpected");
    check("PID|||A|Q", "PID-4 value-set");
    check("PID|||A|N", "PID-4 value-set");
    check("PID|||A|Z1", "");
    check("PID|||A||Y", "PID-5 constraint");
    check("PID|||A|||more", "PID-6 field-unexpected");
    check(
        "PID|||A\nOBX|1|NM|x~5~\"\"\nOBX|2|ST|x",
        "OBX[1]-3 data-type",
    );
}

#[test]
fn predicates_decide_the_usage() {
    let sex = "<Predicates><Segment><ByID ID=\"PID_1\"><Predicate ID=\"P1\" Target=\"4[1]\" TrueUsage=\"R\" FalseUsage=\"X\">\
        <Description>If PID-1 is valued</Description><Condition><Presence Path=\"1[1]\"/></Condition></Predicate></ByID></Segment>\
        <Datatype><ByName Name=\"CX\"><Predicate Target=\"3[1]\" TrueUsage=\"R\" FalseUsage=\"O\"><Description>d</Description>\
        <Condition><PlainText Path=\"1[1]\" Text=\"a\" IgnoreCase=\"true\" NotPresentBehavior=\"FAIL\"/></Condition></Predicate></ByName></Datatype>\
        <Group><ByID ID=\"g\"><Predicate Target=\"3[1]\" TrueUsage=\"R\" FalseUsage=\"O\"><Description>d</Description>\
        <Condition><PlainText Path=\"1[1].5[1]\" Text=\"X\" IgnoreCase=\"false\" NotPresentBehavior=\"FAIL\"/></Condition></Predicate></ByID></Group></Predicates>";
    let profile = profile(sex);
    let check = |body: &str, expected: &str| assert_eq!(found(&profile, body), expected, "{body}");
    check("PID|||B", "");
    check("PID|1||B", "PID-4 field-missing");
    check("PID|||B|F", "PID-4 field-not-supported");
    check("PID|||B~A", "PID-3[2].3 component-missing");
    check("PID|||B||X", "RESULT[1]/OBSERVATION segment-missing");
}

fn holds(assertion: &str, pid: &str, expected: bool) {
    let text = format!(
        "<Constraints><Segment><ByID ID=\"PID_1\"><Constraint ID=\"C\"><Description>d</Description>\
             <Assertion>{assertion}</Assertion></Constraint></ByID></Segment></Constraints>"
    );
    let holds = !found(&profile(&text), pid).contains("constraint");
    assert_eq!(holds, expected, "{assertion} {pid}");
}

#[test]
fn statements_combine() {
    let check = holds;
    let present = |n: u8| format!("<Presence Path=\"{n}[1]\"/>");
    check(
        &format!("<AND>{}{}</AND>", present(1), present(3)),
        "PID|||A",
        false,
    );
    check(
        &format!("<OR>{}{}</OR>", present(1), present(3)),
        "PID|||A",
        true,
    );
    check(
        &format!("<XOR>{}{}</XOR>", present(1), present(3)),
        "PID|1||A",
        false,
    );
    check(&format!("<NOT>{}</NOT>", present(1)), "PID|||A", true);
    check(
        &format!("<IMPLY>{}{}</IMPLY>", present(1), present(4)),
        "PID|1||A",
        false,
    );
    check(
        &format!("<IMPLY>{}{}</IMPLY>", present(1), present(4)),
        "PID|||A",
        true,
    );
    check(
        &format!("<FORALL>{}{}</FORALL>", present(3), present(3)),
        "PID|||A",
        true,
    );
    check(
        &format!("<EXIST>{}{}</EXIST>", present(1), present(4)),
        "PID|||A",
        false,
    );
}

#[test]
fn values_are_compared() {
    let check = holds;
    check(
        "<StringList Path=\"3[*].1[1]\" CSV=\"A, B\"/>",
        "PID|||A~B",
        true,
    );
    check(
        "<StringList Path=\"3[*].1[1]\" CSV=\"A,B\"/>",
        "PID|||A~C",
        false,
    );
    check(
        "<PlainText Path=\"3[*].1[1]\" Text=\"C\" IgnoreCase=\"false\" AtLeastOnce=\"true\"/>",
        "PID|||A~C",
        true,
    );
    check(
        "<PlainText Path=\"4[1]\" Text=\"C\" NotPresentBehavior=\"FAIL\"/>",
        "PID|||A",
        false,
    );
    check("<PlainText Path=\"4[1]\" Text=\"C\"/>", "PID|||A", true);
    check(
        "<Format Path=\"3[2].1[1]\" Regex=\"[0-9]+\"/>",
        "PID|||A~12",
        true,
    );
    check(
        "<Format Path=\"3[2].1[1]\" Regex=\"[0-9]+\"/>",
        "PID|||A~12b",
        false,
    );
    check(
        "<NumberList Path=\"3[1].1[1]\" CSV=\"1,2.0\"/>",
        "PID|||2",
        true,
    );
    check(
        "<SimpleValue Path=\"3[1].1[1]\" Operator=\"GT\" Value=\"9\" Type=\"Number\"/>",
        "PID|||10",
        true,
    );
    check(
        "<SimpleValue Path=\"3[1].1[1]\" Operator=\"NE\" Value=\"A\"/>",
        "PID|||A",
        false,
    );
    check(
        "<PathValue Path1=\"3[1].1[1]\" Operator=\"EQ\" Path2=\"3[2].1[1]\"/>",
        "PID|||A~A",
        true,
    );
    check(
        "<PathValue Path1=\"3[1].1[1]\" Operator=\"EQ\" Path2=\"3[2].1[1]\"/>",
        "PID|||A~B",
        false,
    );
    check(
        "<PathValue Path1=\"3[1].1[1]\" Operator=\"EQ\" Path2=\"4[1]\"/>",
        "PID|||A",
        false,
    );
    check(
        "<ValueSet Path=\"3[1]\" ValueSetID=\"HL70001\" BindingStrength=\"R\" BindingLocation=\"1\"/>",
        "PID|||Q",
        false,
    );
    check("<SetID Path=\"1[1]\"/>", "PID|1||A", true);
    check("<SetID Path=\"1[1]\"/>", "PID|2||A", false);
    check(
        "<OR><Plugin QualifiedClassName=\"a.B\"/><Presence Path=\"4[1]\"/></OR>",
        "PID|||A",
        true,
    );
    check(
        "<AND><Plugin QualifiedClassName=\"a.B\"/><Presence Path=\"4[1]\"/></AND>",
        "PID|||A",
        false,
    );
}

#[test]
fn what_cannot_be_checked_is_named_at_loading() {
    let text = "<Constraints><Segment><ByID ID=\"PID_1\"><Constraint ID=\"C7\"><Description>d</Description><Assertion>\
         <Plugin QualifiedClassName=\"a.B\"/></Assertion></Constraint></ByID></Segment></Constraints>";
    assert_eq!(
        profile(text).warnings(),
        ["Segment PID_1: C7: Plugin a.B cannot be checked"]
    );
}

#[test]
fn a_file_that_is_no_profile_is_refused() {
    let check = |profile: &str| {
        let files = ProfileFiles {
            profile: profile.as_bytes(),
            ..ProfileFiles::default()
        };
        assert!(Profile::load(&files).is_err(), "{profile}");
    };
    check("");
    check("<Other/>");
    check("<ConformanceProfile/>");
    check("<!DOCTYPE a><ConformanceProfile/>");
    check(
        "<ConformanceProfile><Messages><Message Type=\"A\"><Segment Ref=\"x\"/></Message></Messages></ConformanceProfile>",
    );
}
