//! What searches find resources by, for each kind of parameter and type of element.

use hilum_fhir::definitions::{Definitions, SearchParamKind};
use hilum_fhir::search::{CustomParam, ParamError, ParamSet, SearchValue, extract};
use hilum_fhir::{Limits, json, search};

use crate::shared::{files, shared};

/// A value in one line: `token system|code "text"`.
fn show(value: &SearchValue<'_>) -> String {
    let or = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().unwrap_or("").to_owned();
    match value {
        SearchValue::Token { system, code, text } => {
            let words = text.as_ref().map(|text| format!(" {text:?}"));
            format!("{}|{}{}", or(system), or(code), words.unwrap_or_default())
        }
        SearchValue::OfType {
            system,
            code,
            value,
        } => format!("of {}|{code}|{value}", or(system)),
        SearchValue::String(text) => format!("{text:?}"),
        SearchValue::Date { start_ms, end_ms } => format!("{}..{}", day(*start_ms), day(*end_ms)),
        SearchValue::Number { low, high } => format!("{low}..{high}"),
        SearchValue::Quantity {
            low,
            high,
            system,
            code,
            unit,
        } => format!("{low}..{high} {}|{}|{}", or(system), or(code), or(unit)),
        SearchValue::Reference(to) => {
            let identifier = to.identifier.as_ref();
            let identifier = identifier.map(|(s, v)| format!(" id {}|{}", or(s), or(v)));
            let (ty, id, version) = (or(&to.resource_type), or(&to.id), or(&to.version));
            let identifier = identifier.unwrap_or_default();
            format!("{ty}/{id}/{version} {}{identifier}", or(&to.url))
        }
        SearchValue::Uri(uri) => uri.to_string(),
        SearchValue::Composite(parts) => {
            let part = |values: &Vec<SearchValue<'_>>| {
                let values: Vec<_> = values.iter().map(show).collect();
                values.join(" + ")
            };
            let parts: Vec<_> = parts.iter().map(part).collect();
            format!("({})", parts.join(" & "))
        }
    }
}

/// Milliseconds as days since 1970, open ends as `*`.
fn day(ms: i64) -> String {
    match ms {
        i64::MIN | i64::MAX => "*".to_owned(),
        ms if ms % 86_400_000 == 0 => format!("d{}", ms / 86_400_000),
        ms => ms.to_string(),
    }
}

fn found(resource: &str, code: &str, params: &ParamSet) -> Vec<String> {
    let resource = json::parse(resource.as_bytes(), &Limits::default())
        .unwrap_or_else(|problems| panic!("{code}: {problems}"));
    let param = params.find(resource.type_id(), code).unwrap();
    let extracted = extract(&resource, params);
    assert_eq!(extracted.failed, []);
    let own = extracted.values.iter().filter(|(id, _)| *id == param.id);
    own.map(|(_, value)| show(value)).collect()
}

fn check(resource: &str, cases: &[(&str, &[&str])]) {
    let params = ParamSet::r4();
    for (code, expected) in cases {
        assert_eq!(&found(resource, code, &params), expected, "{code}");
    }
}

#[test]
fn a_patient_is_found_by_what_is_written_in_it() {
    let patient = r##"{"resourceType":"Patient","id":"p1",
        "meta":{"versionId":"1","lastUpdated":"1970-01-02T00:00:00Z","profile":["http://p"],"tag":[{"system":"t","code":"x"}]},
        "text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">A <b>bold</b>&#33; word</div>"},
        "identifier":[{"type":{"coding":[{"system":"http://ty","code":"MR"}],"text":"record"},"system":"urn:s","value":"12"},{"value":"34"}],
        "active":true,
        "name":[{"use":"official","text":"Dr Ann Ames","family":"Ames","given":["Ann","Mae"],"prefix":["Dr"]}],
        "telecom":[{"system":"phone","value":"555"},{"system":"email","value":"a@b"},{"system":"phone"}],
        "gender":"female","birthDate":"1970-03","deceasedDateTime":"1970-01-11",
        "address":[{"use":"home","line":["1 Main St"],"city":"Town","postalCode":"99","country":"NL"}],
        "generalPractitioner":[{"reference":"Practitioner/g1"},{"identifier":{"system":"npi","value":"7"},"type":"Organization"}],
        "managingOrganization":{"reference":"https://h/fhir/Organization/o1/_history/2"},
        "link":[{"other":{"reference":"#none"},"type":"seealso"}]}"##;
    check(
        patient,
        &[
            ("_id", &["|p1"]),
            ("_lastUpdated", &["d1..86401000"]),
            ("_profile", &["http://p"]),
            ("_tag", &["t|x"]),
            (
                "identifier",
                &["urn:s|12 \"record\"", "of http://ty|MR|12", "|34"],
            ),
            ("active", &["|true"]),
            (
                "name",
                &[
                    "\"Dr Ann Ames\"",
                    "\"Ames\"",
                    "\"Ann\"",
                    "\"Mae\"",
                    "\"Dr\"",
                ],
            ),
            ("given", &["\"Ann\"", "\"Mae\""]),
            ("telecom", &["phone|555", "email|a@b"]),
            ("phone", &["phone|555"]),
            ("email", &["email|a@b"]),
            (
                "gender",
                &["http://hl7.org/fhir/administrative-gender|female"],
            ),
            ("birthdate", &["d59..d90"]),
            ("death-date", &["d10..d11"]),
            ("deceased", &["|true"]),
            (
                "address",
                &["\"1 Main St\"", "\"Town\"", "\"99\"", "\"NL\""],
            ),
            ("address-use", &["http://hl7.org/fhir/address-use|home"]),
            (
                "general-practitioner",
                &["Practitioner/g1/ ", "Organization//  id npi|7"],
            ),
            (
                "organization",
                &["Organization/o1/2 https://h/fhir/Organization/o1"],
            ),
            ("link", &["// #none"]),
        ],
    );
    let resource = json::parse(patient.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(search::narrative_text(&resource), "A bold ! word");
    assert!(search::content_text(&resource).contains("1 Main St Town 99 NL"));
}

#[test]
fn an_observation_is_found_by_its_values_alone_and_with_their_codes() {
    check(
        r#"{"resourceType":"Observation","status":"final",
        "code":{"coding":[{"system":"http://loinc.org","code":"1-1","display":"One"},{"system":"x","code":"y"}],"text":"Words"},
        "subject":{"reference":"Patient/p1"},"effectivePeriod":{"start":"1970-01-02"},
        "valueQuantity":{"value":5.40,"comparator":"<","unit":"milligram","system":"http://unitsofmeasure.org","code":"mg"},
        "component":[
          {"code":{"coding":[{"code":"sys"}]},"valueQuantity":{"value":120,"unit":"mmHg"}},
          {"code":{"coding":[{"code":"flag"}]},"valueCodeableConcept":{"coding":[{"code":"yes"}]}},
          {"code":{"coding":[{"code":"none"}]}}]}"#,
        &[
            ("status", &["http://hl7.org/fhir/observation-status|final"]),
            (
                "code",
                &["http://loinc.org|1-1 \"One\"", "x|y", "| \"Words\""],
            ),
            (
                "combo-code",
                &[
                    "http://loinc.org|1-1 \"One\"",
                    "x|y",
                    "| \"Words\"",
                    "|sys",
                    "|flag",
                    "|none",
                ],
            ),
            ("patient", &["Patient/p1/ "]),
            ("subject", &["Patient/p1/ "]),
            ("date", &["d1..*"]),
            (
                "value-quantity",
                &["-inf..5.4 http://unitsofmeasure.org|mg|milligram"],
            ),
            ("component-value-quantity", &["120..120 ||mmHg"]),
            ("component-value-concept", &["|yes"]),
            (
                "code-value-quantity",
                &[
                    "(http://loinc.org|1-1 \"One\" + x|y + | \"Words\" & -inf..5.4 http://unitsofmeasure.org|mg|milligram)",
                ],
            ),
            (
                "component-code-value-quantity",
                &["(|sys & 120..120 ||mmHg)"],
            ),
            ("combo-code-value-concept", &["(|flag & |yes)"]),
            ("value-string", &[]),
        ],
    );
    check(
        r#"{"resourceType":"Observation","status":"final","code":{"coding":[{"code":"c"}]},
        "subject":{"reference":"Device/d"},"effectiveDateTime":"1970-01-02T03:04:05.678+01:00","valueDateTime":"1970"}"#,
        &[
            ("date", &["93845678..93845679"]),
            ("value-date", &["d0..d365"]),
            ("code-value-date", &["(|c & d0..d365)"]),
            ("patient", &[]),
            ("subject", &["Device/d/ "]),
        ],
    );
    check(
        r#"{"resourceType":"Observation","status":"final","code":{"text":"t"},"valueString":"so"}"#,
        &[
            ("value-string", &["\"so\""]),
            ("code-value-string", &["(| \"t\" & \"so\")"]),
        ],
    );
}

#[test]
fn money_ranges_timings_numbers_and_canonicals_have_their_own_forms() {
    check(
        r#"{"resourceType":"Invoice","status":"issued","totalNet":{"value":12.5,"currency":"EUR"}}"#,
        &[("totalnet", &["12.5..12.5 urn:iso:std:iso:4217|EUR|"])],
    );
    check(
        r#"{"resourceType":"Condition","subject":{"identifier":{"value":"v"}},
        "onsetRange":{"low":{"value":1,"unit":"a"},"high":{"value":3,"unit":"a"}},"abatementString":"later"}"#,
        &[
            ("onset-age", &["1..3 ||a"]),
            ("abatement-string", &["\"later\""]),
            ("subject", &["//  id |v"]),
        ],
    );
    check(
        r#"{"resourceType":"ServiceRequest","status":"active","intent":"order","subject":{"reference":"Group/g"},
        "instantiatesCanonical":["http://x/PlanDefinition/1|2"],
        "occurrenceTiming":{"event":["1970-01-05","1970-01-03"],"repeat":{"boundsPeriod":{"start":"1970-01-04","end":"1970-01-10"}}}}"#,
        &[
            ("occurrence", &["d2..d10"]),
            ("instantiates-canonical", &["//2 http://x/PlanDefinition/1"]),
            ("patient", &[]),
        ],
    );
    check(
        r#"{"resourceType":"RiskAssessment","status":"final","subject":{"reference":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"},
        "prediction":[{"probabilityDecimal":0.5},{"probabilityRange":{"high":{"value":0.9}}}]}"#,
        &[
            ("probability", &["0.5..0.5", "-inf..0.9"]),
            (
                "subject",
                &["// urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
            ),
        ],
    );
    check(
        r#"{"resourceType":"ValueSet","status":"active","url":"http://v","compose":{"include":[{"system":"http://s","concept":[{"code":"c"}]}]}}"#,
        &[
            ("url", &["http://v"]),
            ("reference", &["http://s"]),
            ("code", &["|c"]),
        ],
    );
    check(
        r#"{"resourceType":"Bundle","type":"document","entry":[
        {"resource":{"resourceType":"Composition","id":"c","status":"final","type":{"text":"t"},"date":"2020","author":[{"display":"a"}],"title":"t"}},
        {"resource":{"resourceType":"Patient","id":"p"}}]}"#,
        &[
            ("composition", &["Composition/c/ "]),
            ("message", &["Composition/c/ "]),
        ],
    );
    check(
        r#"{"resourceType":"DocumentReference","status":"current","content":[{"attachment":{"url":"u"}}],
        "relatesTo":[{"code":"appends","target":{"reference":"DocumentReference/d"}}]}"#,
        &[(
            "relationship",
            &["(DocumentReference/d/  & http://hl7.org/fhir/document-relationship-type|appends)"],
        )],
    );
    check(
        r#"{"resourceType":"MolecularSequence","coordinateSystem":0,
        "referenceSeq":{"chromosome":{"coding":[{"code":"1"}]},"windowStart":5,"windowEnd":9},"variant":[{"start":6,"end":7}]}"#,
        &[("chromosome-variant-coordinate", &["(|1 & 6..6 & 7..7)"])],
    );
}

#[test]
fn every_parameter_of_every_type_is_taken_from_every_example() {
    let test = "every_parameter_of_every_type_is_taken_from_every_example";
    let Some(folder) = shared("suites/r4-examples-xml-json", test) else {
        return;
    };
    let params = ParamSet::r4();
    let (mut values, mut kinds) = (0, std::collections::BTreeSet::new());
    for file in files(&folder, ".json") {
        let resource = json::parse(&std::fs::read(&file).unwrap(), &Limits::default()).unwrap();
        let extracted = extract(&resource, &params);
        assert_eq!(extracted.failed, [], "{}", file.display());
        values += extracted.values.len();
        kinds.extend(
            extracted
                .values
                .iter()
                .map(|(_, value)| format!("{value:?}")),
        );
    }
    assert!(values > 800, "{values}");
    assert_eq!(kinds.len(), 9, "{kinds:?}");
}

#[test]
fn added_parameters_are_taken_out_too() {
    let tables = Definitions::r4();
    let patient = tables.type_named("Patient").unwrap();
    let custom = |code: &str, kind, expression: &str| CustomParam {
        code: code.to_owned(),
        url: format!("http://example.org/{code}"),
        kind,
        resources: vec![patient],
        expression: expression.to_owned(),
        targets: vec![],
        components: vec![],
    };
    let add = |set: &ParamSet, param: CustomParam| set.with(&param);
    let params = ParamSet::r4();
    let params = add(
        &params,
        custom(
            "nick",
            SearchParamKind::String,
            "Patient.extension('http://n').value",
        ),
    );
    let params = add(
        &params.unwrap(),
        custom("names", SearchParamKind::Number, "Patient.name.count()"),
    );
    let params = add(
        &params.unwrap(),
        CustomParam {
            components: vec![
                (
                    "http://example.org/nick".to_owned(),
                    "text.lower()".to_owned(),
                ),
                (
                    "http://hl7.org/fhir/SearchParameter/individual-given".to_owned(),
                    "given".to_owned(),
                ),
            ],
            ..custom("pair", SearchParamKind::Composite, "Patient.name")
        },
    )
    .unwrap();
    let resource = r#"{"resourceType":"Patient","extension":[{"url":"http://m","valueString":"no"},{"url":"http://n","valueString":"Bo"}],"name":[{"text":"Ann","given":["A"]},{"text":"Mae"}]}"#;
    assert_eq!(found(resource, "nick", &params), ["\"Bo\""]);
    assert_eq!(found(resource, "names", &params), ["2..2"]);
    assert_eq!(found(resource, "pair", &params), ["(\"ann\" & \"A\")"]);

    let taken = params.with(&custom("name", SearchParamKind::String, "Patient.name"));
    assert!(matches!(taken, Err(ParamError::Taken(_))));
    let wrong = params.with(&custom("wrong", SearchParamKind::String, "Patient.name.("));
    assert!(matches!(wrong, Err(ParamError::Expression { .. })));
}

/// What becomes of an active SearchParameter: its kind, or each place with what is wrong.
fn check_definition(change: &str, expected: &[&str]) {
    let text = format!(
        r#"{{"resourceType":"SearchParameter","url":"http://example.org/p","name":"P",
            "status":"active","description":"d",{change}}}"#
    );
    let resource = json::parse(text.as_bytes(), &Limits::default()).unwrap();
    let found = match CustomParam::of(&resource) {
        Ok(param) => vec![format!("{:?}", param.map(|param| param.kind))],
        Err(problems) => problems
            .iter()
            .map(|problem| {
                let place = problem.expression.as_deref().unwrap_or_default();
                let text = problem.text.split([';', ',']).next().unwrap_or_default();
                format!("{place}: {text}")
            })
            .collect(),
    };
    assert_eq!(found, expected, "{change}");
}

#[test]
fn a_search_parameter_that_cannot_be_used_says_why() {
    let check = check_definition;
    let one = |kind: &str, expression: &str| {
        format!(r#""code":"p","base":["Patient"],"type":"{kind}","expression":"{expression}""#)
    };
    check(&one("token", "Patient.name.use"), &["Some(Token)"]);
    // 64 characters and one more.
    let named = |count: usize| {
        one("token", "Patient.name.use").replace("\"p\"", &format!("{:?}", "p".repeat(count)))
    };
    check(&named(64), &["Some(Token)"]);
    check(
        &named(65),
        &["SearchParameter.code: the code cannot be written in a URL"],
    );
    check(
        &one("date", "Patient.deceased.ofType(dateTime)"),
        &["Some(Date)"],
    );
    check(
        &one(
            "string",
            "Patient.extension.where(url='http://a').value.ofType(string)",
        ),
        &["Some(String)"],
    );
    let place = "SearchParameter.expression";
    check(
        &one("token", "Patient.nme.use"),
        &[&format!("{place}: there is no element `nme` there")],
    );
    check(
        &one("date", "Patient.deceasedDateTime"),
        &[&format!(
            "{place}: there is no element `deceasedDateTime` there"
        )],
    );
    check(
        &one("date", "Encounter.period"),
        &[&format!("{place}: the path begins with Encounter")],
    );
    check(
        r#""code":"p","base":["Patient","Encounter"],"type":"date","expression":"Encounter.period|Patient.birthDate""#,
        &["Some(Date)"],
    );
    check(
        &one("token", "Patient.name.("),
        &[&format!(
            "{place}: the expression is no FHIRPath: unexpected `(`: expected a value"
        )],
    );
    check(
        &one("special", "Patient.name"),
        &["SearchParameter.type: a parameter of this type cannot be defined"],
    );
    check(
        r#""code":"_p q","base":["Patient"],"type":"token","expression":"Patient.active""#,
        &["SearchParameter.code: the code cannot be written in a URL"],
    );
    check(
        &one("composite", "Patient.name"),
        &["SearchParameter.component: a composite parameter needs at least two components"],
    );
    check(
        &format!(
            r#"{},"component":[{{"definition":"http://hl7.org/fhir/SearchParameter/individual-given","expression":"given"}},
            {{"definition":"http://hl7.org/fhir/SearchParameter/individual-family","expression":"famly"}}]"#,
            one("composite", "Patient.name")
        ),
        &["SearchParameter.component[1].expression: there is no element `famly` there"],
    );
}
