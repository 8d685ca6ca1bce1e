//! Results as a message carries them: of HL7 v2 an OBX, of FHIR an Observation.

use hilum_fhir::{Limits, Node, json};
use hilum_hl7v2::{Message, Part};

/// What is compared of a result, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Code,
    System,
    Text,
    Value,
    Unit,
    Range,
    Flag,
    Status,
}

pub(super) const FIELDS: [Field; 8] = [
    Field::Code,
    Field::System,
    Field::Text,
    Field::Value,
    Field::Unit,
    Field::Range,
    Field::Flag,
    Field::Status,
];

impl Field {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::System => "system",
            Self::Text => "text",
            Self::Value => "value",
            Self::Unit => "unit",
            Self::Range => "range",
            Self::Flag => "flag",
            Self::Status => "status",
        }
    }

    /// Belongs to the test and not to a patient.
    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Code | Self::System | Self::Unit | Self::Status)
    }

    /// A table may write another one on purpose.
    pub(super) const fn is_mapped(self) -> bool {
        matches!(self, Self::Code | Self::System | Self::Text)
    }
}

/// One result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TestResult {
    fields: [String; FIELDS.len()],
    /// Of FHIR: how the store is asked for what it holds of it.
    pub(super) look_up: Option<String>,
}

impl TestResult {
    pub(super) fn get(&self, field: Field) -> &str {
        self.fields.get(field as usize).map_or("", String::as_str)
    }

    fn set(&mut self, field: Field, text: impl Into<String>) {
        if let Some(slot) = self.fields.get_mut(field as usize) {
            *slot = text.into().trim().to_owned();
        }
    }
}

/// The results of what a system sent or got; none where it is nothing that has results.
pub(super) fn results(bytes: &[u8]) -> Option<Vec<TestResult>> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace())?;
    match first {
        b'{' => of_fhir(bytes),
        b'M' => of_v2(bytes),
        _ => None,
    }
}

fn of_v2(bytes: &[u8]) -> Option<Vec<TestResult>> {
    let message = Message::parse(bytes.to_vec()).ok()?;
    let results = message.segments().filter(|segment| segment.has_id("OBX"));
    let results = results.map(|segment| {
        let mut result = TestResult::default();
        let first = |field: u32| segment.field(field).and_then(|field| field.nth(1));
        let component = |field: u32, n: u32| {
            let part = segment.field(field).and_then(|part| component(part, n));
            part.map(|part| part.text().into_owned())
                .unwrap_or_default()
        };
        result.set(Field::Code, component(3, 1));
        result.set(Field::Text, component(3, 2));
        result.set(Field::System, component(3, 3));
        let kind = first(2)
            .map(|part| part.text().into_owned())
            .unwrap_or_default();
        let values = segment.field(5).map(|field| of_value(field, &kind));
        result.set(Field::Value, values.unwrap_or_default());
        let unit = component(6, 1);
        result.set(
            Field::Unit,
            if unit.is_empty() {
                component(6, 2)
            } else {
                unit
            },
        );
        result.set(Field::Range, component(7, 1));
        result.set(Field::Flag, component(8, 1));
        result.set(Field::Status, component(11, 1));
        result
    });
    Some(results.collect())
}

/// A component of the first repetition; a field without components is its first one.
fn component(field: Part<'_>, n: u32) -> Option<Part<'_>> {
    let repetition = match field.level() {
        hilum_hl7v2::Level::Field => field.nth(1)?,
        _ => field,
    };
    if repetition.is_leaf() {
        return (n == 1).then_some(repetition);
    }
    repetition.nth(n)
}

/// OBX-5 as a person reads it: of a code its first component or its text, of a structured number
/// its parts side by side (HL7 v2.5.1 §2.A.70), of everything else what it says.
fn of_value(field: Part<'_>, kind: &str) -> String {
    let repetitions = field.children().map(|repetition| {
        if repetition.is_leaf() {
            return repetition.text().into_owned();
        }
        let text = |n: u32| {
            repetition
                .nth(n)
                .map(|part| part.text().into_owned())
                .unwrap_or_default()
        };
        match kind {
            "SN" => repetition
                .children()
                .map(|part| part.text().into_owned())
                .collect(),
            "CE" | "CWE" | "CNE" | "CF" => {
                let code = text(1);
                if code.is_empty() { text(2) } else { code }
            }
            _ => String::from_utf8_lossy(repetition.raw()).into_owned(),
        }
    });
    repetitions.collect::<Vec<_>>().join("~")
}

fn of_fhir(bytes: &[u8]) -> Option<Vec<TestResult>> {
    let resource = json::parse(bytes, &Limits::default()).ok()?;
    let root = resource.root();
    if resource.type_name() == "Observation" {
        let mut result = of_observation(root);
        result.look_up = resource.id().map(|id| format!("Observation/{id}"));
        return Some(vec![result]);
    }
    if resource.type_name() != "Bundle" {
        return Some(Vec::new());
    }
    let mut results = Vec::new();
    for entry in root.children_named("entry") {
        let Some(observation) = entry
            .child("resource")
            .filter(|node| node.type_name() == "Observation")
        else {
            continue;
        };
        let mut result = of_observation(observation);
        result.look_up = look_up(entry, observation);
        results.push(result);
    }
    Some(results)
}

/// How a store is asked for what an entry of a transaction became: by the id or the condition of
/// its request, else by the resource's own identifier.
fn look_up(entry: Node<'_>, observation: Node<'_>) -> Option<String> {
    let request = entry.child("request");
    let url = request.and_then(|request| request.child_text("url"));
    let condition = request.and_then(|request| request.child_text("ifNoneExist"));
    if let Some(url) =
        url.filter(|url| url.starts_with("Observation/") || url.starts_with("Observation?"))
    {
        return Some(url.to_owned());
    }
    if let Some(condition) = condition {
        return Some(format!("Observation?{}", condition.trim_start_matches('?')));
    }
    let identifier = observation.child("identifier")?;
    let value = identifier.child_text("value")?;
    let system = identifier.child_text("system").unwrap_or_default();
    let part = super::super::node::part;
    Some(format!(
        "Observation?identifier={}%7C{}",
        part(system),
        part(value)
    ))
}

fn of_observation(node: Node<'_>) -> TestResult {
    let mut result = TestResult::default();
    if let Some(code) = node.child("code") {
        let coding = code.child("coding");
        let text = |name: &str| coding.and_then(|coding| coding.child_text(name));
        result.set(Field::Code, text("code").unwrap_or_default());
        result.set(Field::System, text("system").unwrap_or_default());
        let own = code.child_text("text");
        result.set(Field::Text, text("display").or(own).unwrap_or_default());
    }
    let value = node
        .children()
        .find(|child| child.json_name().starts_with("value"));
    if let Some(value) = value {
        of_fhir_value(value, &mut result);
    }
    if let Some(range) = node.child("referenceRange") {
        let side = |name: &str| range.child(name).and_then(|side| side.child_text("value"));
        let text = match (range.child_text("text"), side("low"), side("high")) {
            (Some(text), ..) => text.to_owned(),
            (None, Some(low), Some(high)) => format!("{low}-{high}"),
            (None, Some(low), None) => format!(">{low}"),
            (None, None, Some(high)) => format!("<{high}"),
            (None, None, None) => String::new(),
        };
        result.set(Field::Range, text);
    }
    let flag = node.child("interpretation").and_then(|flag| {
        flag.child("coding")
            .and_then(|coding| coding.child_text("code"))
            .or_else(|| flag.child_text("text"))
    });
    result.set(Field::Flag, flag.unwrap_or_default());
    result.set(Field::Status, node.child_text("status").unwrap_or_default());
    result
}

fn of_fhir_value(value: Node<'_>, result: &mut TestResult) {
    match value.json_name() {
        "valueQuantity" => {
            let number = value.child_text("value").unwrap_or_default();
            let comparator = value.child_text("comparator").unwrap_or_default();
            result.set(Field::Value, format!("{comparator}{number}"));
            let unit = value
                .child_text("code")
                .or_else(|| value.child_text("unit"));
            result.set(Field::Unit, unit.unwrap_or_default());
        }
        "valueCodeableConcept" => {
            let code = value
                .child("coding")
                .and_then(|coding| coding.child_text("code"))
                .or_else(|| value.child_text("text"));
            result.set(Field::Value, code.unwrap_or_default());
        }
        _ => result.set(Field::Value, value.text().unwrap_or("(structured)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(result: &TestResult) -> Vec<&str> {
        FIELDS.iter().map(|field| result.get(*field)).collect()
    }

    #[test]
    fn the_same_result_is_read_from_v2_and_from_fhir() {
        let v2 = b"MSH|^~\\&|L|H|||2026||ORU^R01|1|P|2.5.1\rOBR|1\r\
            OBX|1|NM|K^Kalium^L||4.10|mmol/L^^ISO+|3.5-5.0|N|||F\r\
            OBX|2|SN|CRP^^L||<^5|mg/L\rOBX|3|CWE|COL||Y^Yellow~B\rOBX|4|ST|\r";
        let found = results(v2).unwrap();
        assert_eq!(
            row(&found[0]),
            ["K", "L", "Kalium", "4.10", "mmol/L", "3.5-5.0", "N", "F"]
        );
        assert_eq!(row(&found[1]), ["CRP", "L", "", "<5", "mg/L", "", "", ""]);
        assert_eq!(
            (found[2].get(Field::Code), found[2].get(Field::Value)),
            ("COL", "Y~B")
        );
        assert_eq!(row(&found[3]), [""; 8]);

        let fhir = br#"{"resourceType":"Bundle","type":"transaction","entry":[{"resource":
            {"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org",
            "code":"2823-3","display":"Potassium"}]},"valueQuantity":{"value":4.10,"unit":"mmol/l","code":"mmol/L"},
            "referenceRange":[{"low":{"value":3.5},"high":{"value":5.0}}],
            "interpretation":[{"coding":[{"code":"N"}]}]},
            "request":{"method":"PUT","url":"Observation?identifier=a%7C1"}},
            {"resource":{"resourceType":"Observation","status":"final","identifier":[{"value":"b c"}],
            "code":{"text":"CRP"},"valueQuantity":{"value":5,"comparator":"<"}},
            "request":{"method":"POST","url":"Observation"}},
            {"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}}]}"#;
        let found = results(fhir).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(
            row(&found[0]),
            [
                "2823-3",
                "http://loinc.org",
                "Potassium",
                "4.10",
                "mmol/L",
                "3.5-5.0",
                "N",
                "final"
            ]
        );
        assert_eq!(
            found[0].look_up.as_deref(),
            Some("Observation?identifier=a%7C1")
        );
        assert_eq!(
            (found[1].get(Field::Text), found[1].get(Field::Value)),
            ("CRP", "<5")
        );
        assert_eq!(
            found[1].look_up.as_deref(),
            Some("Observation?identifier=%7Cb%20c")
        );
    }

    #[test]
    fn what_has_no_results_is_told_apart_from_what_cannot_be_read() {
        assert_eq!(
            results(b"{\"resourceType\":\"Patient\"}").map(|found| found.len()),
            Some(0)
        );
        assert!(results(b"").is_none() && results(b"code;value").is_none());
        assert!(results(b"{").is_none() && results(b"Mx").is_none());
    }
}
