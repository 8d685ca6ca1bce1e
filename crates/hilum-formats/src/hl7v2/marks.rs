//! What a message says of confidentiality, of test patients, of critical and of withdrawn results.

use std::borrow::Cow;

use hilum_component::{Labelled, Marks, TestPatients};
use hilum_hl7v2::{Message, Part, Segment};

/// Codes of table 0507 (OBR-49, from HL7 v2.5.1 §4.5.3.49 on): how a result is handed over, which says
/// nothing of confidentiality.
const HANDLING: [&str; 5] = ["F", "N", "A", "CC", "BCC"];

/// Codes that are labels of HL7 v3 themselves: Confidentiality, and what of ActCode is sensitive
/// information.
const OWN: [&str; 31] = [
    "U", "L", "M", "R", "V", "BH", "CEL", "COGN", "DEMO", "DIA", "DOB", "DRGIS", "DVD", "EMP",
    "ETHUD", "GDIS", "HIV", "LOCIS", "MH", "MST", "OPIOIDUD", "PHY", "PRS", "PSY", "PSYTHPN",
    "SDV", "SEX", "SPI", "STD", "SUD", "VIO",
];

/// Flags of a value that somebody must know at once (table 0078).
const PANIC: [&str; 3] = ["HH", "LL", "AA"];

pub(super) fn of(message: &Message, test_patients: &[TestPatients]) -> Marks {
    let mut marks = Marks::default();
    let results = results(message);
    for segment in message.segments() {
        match &segment.name() {
            b"MSH" => marks.test = marks.test.or_else(|| processing(&segment)),
            b"PID" => marks.test = marks.test.or_else(|| test_patient(&segment, test_patients)),
            b"PD1" => labels(&segment, 12, "PD1-12", protection, &mut marks),
            b"PV1" => labels(&segment, 16, "PV1-16", courtesy, &mut marks),
            b"PV2" => labels(&segment, 22, "PV2-22", protection, &mut marks),
            b"ARV" => restriction(&segment, &mut marks),
            b"OBR" => {
                labels(&segment, 49, "OBR-49", handling, &mut marks);
                if results {
                    let stat = is_stat(&segment, 5, &[1]) || is_stat(&segment, 27, &[6]);
                    urgent(stat.then_some("STAT"), &mut marks);
                }
            }
            b"TQ1" if results => urgent(is_stat(&segment, 9, &[1]).then_some("STAT"), &mut marks),
            b"OBX" => {
                urgent(flagged(&segment), &mut marks);
                marks.withdraws += usize::from(results && is_withdrawn(&segment));
            }
            _ => {}
        }
    }
    marks
}

/// Messages that report (MSH-9.1, table 0076).
fn results(message: &Message) -> bool {
    let code = message.component("MSH", 9, 1).unwrap_or_default();
    matches!(code.as_ref(), "ORU" | "OUL" | "OPU" | "MDM")
}

/// A flag says more than the order's priority.
fn urgent(found: Option<&'static str>, marks: &mut Marks) {
    if found.is_some() && matches!(marks.critical, None | Some("STAT")) {
        marks.critical = found;
    }
}

/// OBX-11 (table 0085): W takes back what was reported, as for the wrong patient.
pub(super) fn is_withdrawn(segment: &Segment<'_>) -> bool {
    first(segment, 11, &[1]).as_deref() == Some("W")
}

fn flagged(segment: &Segment<'_>) -> Option<&'static str> {
    let flags = values(segment, 8);
    PANIC
        .into_iter()
        .find(|flag| flags.iter().any(|value| value == flag))
}

/// S of tables 0027 and 0485 (OBR-5, TQ-6, TQ1-9), also where it is written out.
fn is_stat(segment: &Segment<'_>, field: u32, path: &[u32]) -> bool {
    let found = each(segment, field).filter_map(|part| text(&part, path));
    found
        .into_iter()
        .any(|value| matches!(&*value, "S" | "STAT"))
}

/// MSH-11 (table 0103): T is training, D is debugging. What is empty is no test.
fn processing(segment: &Segment<'_>) -> Option<&'static str> {
    let id = first(segment, 11, &[1])?;
    matches!(&*id, "T" | "D").then_some("MSH-11")
}

fn test_patient(segment: &Segment<'_>, rules: &[TestPatients]) -> Option<&'static str> {
    if rules.is_empty() {
        return None;
    }
    let numbers: Vec<_> = each(segment, 3)
        .filter_map(|part| {
            let number = part.said(&[1])?;
            // CX-4 is an HD: its name, or the object identifier alone.
            let authority = part.said(&[4, 1]).or_else(|| part.said(&[4, 2]));
            Some((number, authority))
        })
        .collect();
    let names: Vec<_> = each(segment, 5)
        .map(|part| {
            let family = part.said(&[1, 1]).unwrap_or_default();
            (family, part.said(&[2]).unwrap_or_default())
        })
        .collect();
    let mut found = None;
    for rule in rules {
        let number = || {
            let mut all = numbers.iter();
            all.any(|(number, authority)| rule.has_number(number, authority.as_deref()))
        };
        let name = || {
            names
                .iter()
                .any(|(family, given)| rule.has_name(family, given))
        };
        let fits = (!rule.asks_number() || number())
            && (!rule.asks_name() || name())
            && (rule.asks_number() || rule.asks_name());
        if fits {
            found = Some(if rule.asks_number() { "PID-3" } else { "PID-5" });
        }
    }
    found
}

/// Notes what the values of a field come to.
fn labels(
    segment: &Segment<'_>,
    field: u32,
    name: &'static str,
    means: fn(&str) -> Vec<&'static str>,
    marks: &mut Marks,
) {
    for code in values(segment, field) {
        let labels = means(&code);
        if !labels.is_empty() {
            marks.labels.push(Labelled {
                field: name,
                code: code.into_owned(),
                labels,
            });
        }
    }
}

/// PD1-12 and PV2-22 (table 0136): what is not N is protected.
fn protection(code: &str) -> Vec<&'static str> {
    match code {
        "N" => Vec::new(),
        _ => vec!["R"],
    }
}

/// PV1-16 (table 0099, which every site fills): staff, else a person whom many know. The courtesies of
/// HL7 v3 that are none of this are left out.
fn courtesy(code: &str) -> Vec<&'static str> {
    match code {
        "NRM" | "UNK" => Vec::new(),
        "STF" | "EMP" => vec!["R", "EMP"],
        _ => vec!["R", "CEL"],
    }
}

fn handling(code: &str) -> Vec<&'static str> {
    if HANDLING.contains(&code) {
        return Vec::new();
    }
    OWN.iter()
        .find(|own| **own == code)
        .map_or_else(|| vec!["R"], |own| vec![own])
}

/// ARV (HL7 v2.6 §3.4.14): who may not see what. One that takes a restriction back (ARV-2 is D) labels
/// nothing, and takes no label away.
fn restriction(segment: &Segment<'_>, marks: &mut Marks) {
    if first(segment, 2, &[1]).as_deref() == Some("D") {
        return;
    }
    labels(segment, 3, "ARV-3", restricted, marks);
    labels(segment, 4, "ARV-4", reason, marks);
}

/// ARV-3 (table 0717).
fn restricted(code: &str) -> Vec<&'static str> {
    match code {
        "NO" | "OI" | "OO" => Vec::new(),
        "ALL" => vec!["V"],
        "DEM" => vec!["R", "DEMO"],
        "DRG" => vec!["R", "DRGIS"],
        "HIV" => vec!["R", "HIV"],
        "LOC" => vec!["R", "LOCIS"],
        "PID-7" => vec!["R", "DOB"],
        "PRE" => vec!["R", "SEX"],
        "PSY" => vec!["R", "PSY"],
        "SMD" => vec!["R", "SPI"],
        "STD" => vec!["R", "STD"],
        _ => vec!["R"],
    }
}

/// ARV-4 (table 0719).
fn reason(code: &str) -> Vec<&'static str> {
    match code {
        "DIA" => vec!["R", "DIA"],
        "EMP" => vec!["R", "EMP"],
        "PAT" => vec!["R", "PRS"],
        "PHY" => vec!["R", "PHY"],
        "VIP" => vec!["R", "CEL"],
        _ => vec!["R"],
    }
}

/// The first components of a field's repetitions, in capitals; what is empty or null says nothing.
fn values<'m>(segment: &Segment<'m>, field: u32) -> Vec<Cow<'m, str>> {
    each(segment, field)
        .filter_map(|part| text(&part, &[1]))
        .collect()
}

fn each<'m>(segment: &Segment<'m>, field: u32) -> impl Iterator<Item = Part<'m>> + use<'m> {
    let field = segment.field(field);
    field.into_iter().flat_map(|field| field.children())
}

fn first<'m>(segment: &Segment<'m>, field: u32, path: &[u32]) -> Option<Cow<'m, str>> {
    each(segment, field)
        .next()
        .and_then(|part| text(&part, path))
}

fn text<'m>(part: &Part<'m>, path: &[u32]) -> Option<Cow<'m, str>> {
    let said = part.said(path)?;
    let is_upper = said
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_lowercase());
    Some(match is_upper {
        true => said,
        false => said.to_uppercase().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(segments: &str, rules: &[TestPatients]) -> Marks {
        let text = segments.replace('\n', "\r");
        of(&Message::parse(text).unwrap(), rules)
    }

    fn read(segments: &str) -> Marks {
        let head = "MSH|^~\\&|LIS|LAB|||2026||ORU^R01|1|P|2.8\n";
        marks(&format!("{head}{segments}"), &[])
    }

    fn labels_of(segments: &str) -> String {
        let all = read(segments).labels;
        let all: Vec<_> = all.into_iter().flat_map(|one| one.labels).collect();
        all.join(" ")
    }

    #[test]
    fn each_place_of_the_standard_becomes_its_labels() {
        let pv1 = |code: &str| format!("PV1|1|I|{}{code}\n", "|".repeat(13));
        for (segments, expected) in [
            (pv1("VIP"), "R CEL"),
            (pv1("vip^Very important^L"), "R CEL"),
            (pv1("STF"), "R EMP"),
            (pv1("NRM"), ""),
            (pv1(""), ""),
            (pv1("\"\""), ""),
            (format!("PD1|{}Y\n", "|".repeat(11)), "R"),
            (format!("PD1|{}N\n", "|".repeat(11)), ""),
            (format!("PV2|{}Y\n", "|".repeat(21)), "R"),
            ("ARV|1|A|HIV~PSY|PAT\n".to_owned(), "R HIV R PSY R PRS"),
            ("ARV|1|A|ALL\n".to_owned(), "V"),
            ("ARV|1|A|NO\n".to_owned(), ""),
            ("ARV|1|D|HIV|VIP\n".to_owned(), ""),
            (format!("OBR|1{}CC~HIV\n", "|".repeat(48)), "HIV"),
            (format!("OBR|1{}SECRET\n", "|".repeat(48)), "R"),
        ] {
            assert_eq!(labels_of(&segments), expected, "{segments}");
        }
    }

    #[test]
    fn only_training_and_debugging_is_a_test() {
        for (id, expected) in [
            ("P", None),
            ("", None),
            ("\"\"", None),
            ("T", Some("MSH-11")),
            ("d^A", Some("MSH-11")),
        ] {
            let text = format!("MSH|^~\\&|A|B|||2026||ADT^A01|1|{id}|2.5\n");
            assert_eq!(marks(&text, &[]).test, expected, "{id}");
        }
    }

    #[test]
    fn a_test_patient_is_known_in_every_repetition() {
        let rules = [
            TestPatients {
                authority: Some("STE".to_owned()),
                range: Some((9_000, 9_999)),
                ..TestPatients::default()
            },
            TestPatients {
                family: vec!["ZZ*".to_owned()],
                ..TestPatients::default()
            },
        ];
        let test = |pid: &str| {
            let text = format!("MSH|^~\\&|A|B|||2026||ADT^A01|1|P|2.5\nPID|1||{pid}\n");
            marks(&text, &rules).test
        };
        assert_eq!(
            test("1^^^LAB~9001^^^STE&2.999&ISO^MR||Doe^Jane"),
            Some("PID-3")
        );
        assert_eq!(test("9001^^^LAB||Doe^Jane"), None);
        assert_eq!(test("9001||Doe^Jane"), None);
        assert_eq!(test("1^^^STE||Doe^Jane~zzTest&van^Ann"), Some("PID-5"));
        assert_eq!(test("||"), None);
    }

    #[test]
    fn withdrawn_results_are_counted_in_reports_alone() {
        let obx = |status: &str| format!("OBX|1|NM|K||7.1|mmol/L|||||{status}\n");
        let segments = format!("{}{}{}", obx("W"), obx("F"), obx("w"));
        assert_eq!(read(&segments).withdraws, 2);
        assert_eq!(read(&obx("D")).withdraws, 0);
        let order = "MSH|^~\\&|A|B|||2026||ORM^O01|1|P|2.5\n";
        assert_eq!(marks(&format!("{order}{}", obx("W")), &[]).withdraws, 0);
    }

    #[test]
    fn a_panic_value_or_a_stat_order_makes_a_result_critical() {
        let obx = |flag: &str| read(&format!("OBX|1|NM|K||7.1|mmol/L||{flag}|||F\n")).critical;
        assert_eq!(obx("HH"), Some("HH"));
        assert_eq!(obx("H~LL^low^L"), Some("LL"));
        assert_eq!((obx("H"), obx("")), (None, None));
        assert_eq!(read("OBR|1||||S\n").critical, Some("STAT"));
        assert_eq!(
            read("OBR|1||||S\nOBX|1|NM|K||7|||AA\n").critical,
            Some("AA")
        );
        let tq = format!("OBR|1{}^^^^^S\n", "|".repeat(26));
        assert_eq!(read(&tq).critical, Some("STAT"));
        assert_eq!(read("TQ1|1||||||||S\n").critical, Some("STAT"));
        assert_eq!(read("TQ1|1||||||||R\n").critical, None);
        let order = "MSH|^~\\&|A|B|||2026||ORM^O01|1|P|2.5\nOBR|1||||S\n";
        assert_eq!(marks(order, &[]).critical, None, "an order is no result");
    }
}
