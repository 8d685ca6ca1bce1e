//! What was sent and what was received, side by side.

use super::result::{FIELDS, Field, TestResult};

/// How a field of a receiver stands to that of the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Both are absent.
    Absent,
    /// It is the same.
    Same,
    /// It is another, as tables make it on purpose: a person looks whether it is the right one.
    Mapped,
    /// It is another.
    Differs,
    /// The receiver lacks it.
    Missing,
    /// Only the receiver has it.
    Added,
}

impl Verdict {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Same => "same",
            Self::Mapped => "mapped",
            Self::Differs => "differs",
            Self::Missing => "missing",
            Self::Added => "added",
        }
    }

    /// Somebody has to look at it.
    pub(super) const fn is_difference(self) -> bool {
        matches!(self, Self::Differs | Self::Missing | Self::Added)
    }
}

/// Compares a field of a result.
pub(super) fn compare(field: Field, sent: &str, got: &str) -> Verdict {
    match (sent.is_empty(), got.is_empty()) {
        (true, true) => Verdict::Absent,
        (true, false) if field.is_mapped() => Verdict::Mapped,
        (true, false) => Verdict::Added,
        (false, true) => Verdict::Missing,
        (false, false) if same(field, sent, got) => Verdict::Same,
        (false, false) if field.is_mapped() => Verdict::Mapped,
        (false, false) => Verdict::Differs,
    }
}

fn same(field: Field, sent: &str, got: &str) -> bool {
    let loose = |text: &str| {
        text.chars()
            .filter(|c| !c.is_whitespace())
            .collect::<String>()
    };
    match field {
        Field::Status => status(sent) == status(got),
        Field::Range => loose(sent) == loose(got),
        _ => sent == got,
    }
}

/// A status of HL7 v2 (table 0085) in the words of FHIR, as the v2-to-FHIR guide maps them.
fn status(word: &str) -> &str {
    match word {
        "F" | "U" => "final",
        "P" | "R" | "S" => "preliminary",
        "C" => "corrected",
        "X" => "cancelled",
        "D" | "W" => "entered-in-error",
        "I" | "O" => "registered",
        other => other,
    }
}

/// Which result of the receiver stands for which of the sender: by their order where both have as
/// many, else by the same code, then by the same value. The second list is what the receiver has
/// beyond that.
pub(super) fn align(sent: &[TestResult], got: &[TestResult]) -> (Vec<Option<usize>>, Vec<usize>) {
    if sent.len() == got.len() {
        return ((0..sent.len()).map(Some).collect(), Vec::new());
    }
    let mut pairs: Vec<Option<usize>> = vec![None; sent.len()];
    let mut free: Vec<usize> = (0..got.len()).collect();
    let rules: [fn(&TestResult, &TestResult) -> bool; 2] = [
        |one, two| one.get(Field::Code) == two.get(Field::Code),
        |one, two| {
            !one.get(Field::Value).is_empty()
                && one.get(Field::Value) == two.get(Field::Value)
                && one.get(Field::Unit) == two.get(Field::Unit)
        },
    ];
    for fits in rules {
        for (own, slot) in sent.iter().zip(&mut pairs) {
            if slot.is_some() {
                continue;
            }
            let found = free
                .iter()
                .position(|&at| got.get(at).is_some_and(|other| fits(own, other)));
            *slot = found.map(|place| free.remove(place));
        }
    }
    (pairs, free)
}

/// The verdicts of a result, in the order of [`FIELDS`].
pub(super) fn verdicts(sent: &TestResult, got: &TestResult) -> [Verdict; FIELDS.len()] {
    FIELDS.map(|field| compare(field, sent.get(field), got.get(field)))
}

#[cfg(test)]
mod tests {
    use super::super::result::results;
    use super::*;

    fn of(lines: &[&str]) -> Vec<TestResult> {
        let text = format!(
            "MSH|^~\\&|L|H|||2026||ORU^R01|1|P|2.5.1\r{}\r",
            lines.join("\r")
        );
        results(text.as_bytes()).unwrap()
    }

    #[test]
    fn fields_are_compared_as_what_they_are() {
        for (field, sent, got, expected) in [
            (Field::Value, "4.1", "4.1", Verdict::Same),
            (Field::Value, "4.10", "4.1", Verdict::Differs),
            (Field::Value, "4.1", "", Verdict::Missing),
            (Field::Unit, "", "mmol/L", Verdict::Added),
            (Field::Unit, "mmol/l", "mmol/L", Verdict::Differs),
            (Field::Code, "K", "2823-3", Verdict::Mapped),
            (Field::Text, "", "Potassium", Verdict::Mapped),
            (Field::Range, "3.5 - 5.0", "3.5-5.0", Verdict::Same),
            (Field::Status, "F", "final", Verdict::Same),
            (Field::Status, "F", "C", Verdict::Differs),
            (Field::Flag, "", "", Verdict::Absent),
        ] {
            assert_eq!(
                compare(field, sent, got),
                expected,
                "{field:?} {sent} {got}"
            );
        }
    }

    #[test]
    fn results_are_aligned_by_order_else_by_code_and_value() {
        let sent = of(&["OBX|1|NM|K||4|a", "OBX|2|NM|NA||140|a", "OBX|3|NM|X||1"]);
        assert_eq!(
            align(&sent, &sent),
            (vec![Some(0), Some(1), Some(2)], vec![])
        );
        let got = of(&["OBX|1|NM|2951-2||140|a", "OBX|2|NM|K||5|a"]);
        assert_eq!(align(&sent, &got), (vec![Some(1), Some(0), None], vec![]));
        let more = of(&["OBX|1|NM|K||4|a", "OBX|2|NM|Z||9"]);
        assert_eq!(align(&sent[..1], &more), (vec![Some(0)], vec![1]));
    }
}
