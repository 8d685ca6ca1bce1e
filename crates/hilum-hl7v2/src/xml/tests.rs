use proptest::prelude::*;

use super::*;
use crate::message::Message;
use crate::structure::DictionaryStructures;

const HEADER: &str = "MSH|^~\\&|A|B|C|D|20260101||";

fn xml(er7: &str) -> String {
    let message = Message::parse(er7.to_owned().into_bytes()).expect("message");
    write(&message, &DictionaryStructures::new()).expect("xml")
}

fn er7(xml: &str) -> String {
    String::from_utf8(read(xml.as_bytes()).expect("message")).expect("text")
}

const RESULT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ORU_R01 xmlns="urn:hl7-org:v2xml">
  <MSH>
    <MSH.1>|</MSH.1>
    <MSH.2>^~\&amp;</MSH.2>
    <MSH.3>
      <HD.1>A</HD.1>
    </MSH.3>
    <MSH.4>
      <HD.1>B</HD.1>
    </MSH.4>
    <MSH.5>
      <HD.1>C</HD.1>
    </MSH.5>
    <MSH.6>
      <HD.1>D</HD.1>
    </MSH.6>
    <MSH.7>
      <TS.1>20260101</TS.1>
    </MSH.7>
    <MSH.9>
      <MSG.1>ORU</MSG.1>
      <MSG.2>R01</MSG.2>
      <MSG.3>ORU_R01</MSG.3>
    </MSH.9>
    <MSH.10>1</MSH.10>
    <MSH.11>
      <PT.1>P</PT.1>
    </MSH.11>
    <MSH.12>
      <VID.1>2.5.1</VID.1>
    </MSH.12>
  </MSH>
  <ORU_R01.PATIENT_RESULT>
    <ORU_R01.PATIENT>
      <PID>
        <PID.1>1</PID.1>
        <PID.3>
          <CX.1>A</CX.1>
          <CX.4>
            <HD.1>H</HD.1>
            <HD.2>1.2</HD.2>
            <HD.3>ISO</HD.3>
          </CX.4>
        </PID.3>
        <PID.3>
          <CX.1>B</CX.1>
        </PID.3>
        <PID.5>
          <XPN.1>
            <FN.1>Doe</FN.1>
          </XPN.1>
          <XPN.2>J</XPN.2>
        </PID.5>
        <PID.7>""</PID.7>
        <PID.8>F</PID.8>
      </PID>
    </ORU_R01.PATIENT>
    <ORU_R01.ORDER_OBSERVATION>
      <OBR>
        <OBR.1>1</OBR.1>
      </OBR>
      <ORU_R01.OBSERVATION>
        <OBX>
          <OBX.1>1</OBX.1>
          <OBX.2>CE</OBX.2>
          <OBX.3>
            <CE.1>X</CE.1>
          </OBX.3>
          <OBX.5>
            <CE.1>c</CE.1>
            <CE.2>t</CE.2>
          </OBX.5>
        </OBX>
        <NTE>
          <NTE.1>1</NTE.1>
        </NTE>
        <ZZ1>
          <ZZ1.1>
            <ZZ1.1.1>a</ZZ1.1.1>
            <ZZ1.1.2>b</ZZ1.1.2>
          </ZZ1.1>
        </ZZ1>
      </ORU_R01.OBSERVATION>
    </ORU_R01.ORDER_OBSERVATION>
  </ORU_R01.PATIENT_RESULT>
</ORU_R01>
"#;

#[test]
fn groups_and_types_name_the_elements() {
    let text = format!(
        "{HEADER}ORU^R01^ORU_R01|1|P|2.5.1\rPID|1||A^^^H&1.2&ISO~B||Doe^J||\"\"|F\rOBR|1\rOBX|1|CE|X||c^t\rNTE|1\rZZ1|a^b\r"
    );
    let written = xml(&text);
    assert_eq!(written, RESULT);
    assert_eq!(er7(&written), text);
}

#[test]
fn what_is_written_is_read_back() {
    let check = |body: &str| {
        let text = format!(
            "{HEADER}ADT^A01^ADT_A01|1|P|2.5.1\r{}\r",
            body.replace('\n', "\r")
        );
        assert_eq!(er7(&xml(&text)), text);
    };
    check("PID|1||a<b>&\"'\\T\\\\F\\\\S\\\\R\\\\E\\");
    check("NTE|1||line\\.br\\next \\H\\bold\\N\\ \\X0D\\ \\Zab\\ \\.sp+2\\");
    check("PID|||A~~B~|x|y\nZZZ\nPV1|1||");
    check("PID|1^2&3^^4|^^^^^^^^^^^^too^many|&&x\nPID|1");
    check("PV1|1|I\nEVN|A01\nIN1|1\nPR1|1\nIN1|2");
    check("NTE|1||caf\u{e9} \u{1F600}\ttab");
    check("AB1|x\nZX|1|a\nLONGER|1\nLONGEST");
}

#[test]
fn a_lone_escape_character_keeps_its_meaning() {
    let text = format!("{HEADER}ADT^A01|1|P|2.5.1\rNTE|1||4\\5 and \\Q\\\r");
    let again = er7(&xml(&text));
    assert!(again.contains("4\\E\\5 and \\E\\Q\\E\\"), "{again}");
}

#[test]
fn the_flat_form_of_mirth_is_read() {
    let flat = "<HL7Message><MSH><MSH.1>|</MSH.1><MSH.2>^~\\&amp;</MSH.2><MSH.3><MSH.3.1>A</MSH.3.1></MSH.3><MSH.4/></MSH>\
        <PID><PID.3><PID.3.1>1</PID.3.1><PID.3.4><PID.3.4.2>x</PID.3.4.2></PID.3.4></PID.3><PID.3><PID.3.1>2</PID.3.1></PID.3></PID></HL7Message>";
    assert_eq!(er7(flat), "MSH|^~\\&|A|\rPID|||1^^^&x~2\r");
    let other = "<X><MSH><MSH.1>$</MSH.1><MSH.2>*~!@</MSH.2><MSH.3>a$b*c</MSH.3></MSH></X>";
    assert_eq!(er7(other), "MSH$*~!@$a!F!b!S!c\r");
}

#[test]
fn a_document_that_is_no_message_is_refused() {
    let check = |text: &str| assert!(read(text.as_bytes()).is_err(), "{text}");
    check("<HL7Message/>");
    check("<a><PID><PID.x>1</PID.x></PID></a>");
    check("<a><PID><PID.0>1</PID.0></PID></a>");
    check("<a><PID><PID.99999>1</PID.99999></PID></a>");
    check("<a><PID><PID.1><PID.1.1><PID.1.1.1><b/></PID.1.1.1></PID.1.1></PID.1></PID></a>");
    check("<a><PID><PID.1>x<escape V=\"|\"/></PID.1></PID></a>");
    check(
        "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a><PID><PID.1>&x;</PID.1></PID></a>",
    );
    let message =
        Message::parse(format!("{HEADER}ADT^A01|1|P|2.5.1\rnot a segment\r").into_bytes())
            .expect("message");
    assert!(write(&message, &DictionaryStructures::new()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_message_survives_the_way_through_xml(
        segments in prop::collection::vec(("(PID|PV1|OBX|NTE|ZZ1|ORC)", "[|^&~a-z<>\"0-9é ]{0,30}"), 0..8),
    ) {
        let mut text = format!("{HEADER}ORU^R01|1|P|2.5.1\r");
        for (id, body) in &segments {
            text.push_str(&format!("{id}|{body}\r"));
        }
        let again = er7(&xml(&text));
        let first = Message::parse(text.clone().into_bytes()).expect("message");
        let second = Message::parse(again.into_bytes()).expect("message");
        prop_assert_eq!(first.segment_count(), second.segment_count());
        for (left, right) in first.segments().zip(second.segments()) {
            let trim = |raw: &[u8]| String::from_utf8_lossy(raw).trim_end_matches(['|', '^', '&', '~']).to_owned();
            prop_assert_eq!(trim(left.raw()), trim(right.raw()));
        }
    }

    #[test]
    fn reading_never_panics(text in "(<|>|/|PID|MSH|\\.1|\\.2|&|;|\"|a|<PID>|</PID>|<PID\\.1>|</PID\\.1>){0,30}") {
        if let Ok(found) = read(text.as_bytes()) {
            prop_assert!(!found.is_empty());
        }
    }
}
