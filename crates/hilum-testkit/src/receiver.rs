//! A plain receiver of HL7 v2, as many records and laboratories are: it believes each message as it
//! comes.
//!
//! What came last about a patient, visit, order or observation is what it shows; a merge moves what
//! it has to the survivor. It compares no times and holds nothing against anything, so that a stale,
//! doubled or misdirected message shows as a wrong fact. It reads messages with code of its own.

use std::collections::{BTreeMap, BTreeSet};

/// The facts that a receiver has, by patient and subject: `4711 result F1 K`.
#[derive(Clone, Debug, Default)]
pub struct Receiver {
    patients: BTreeMap<String, Patient>,
    taken: Vec<String>,
    /// Control ids of messages with charges: a ledger posts none twice.
    posted: BTreeSet<String>,
}

#[derive(Clone, Debug, Default)]
struct Patient {
    /// Name, birth date and sex; `None` while nothing but results was sent.
    who: Option<String>,
    facts: BTreeMap<String, String>,
}

/// A segment, split at `|`; a header counts its delimiter as a field.
struct Segment<'a>(Vec<&'a str>);

impl<'a> Segment<'a> {
    fn all(text: &'a str) -> Vec<Self> {
        let lines = text.split(['\r', '\n']).filter(|line| !line.is_empty());
        lines.map(|line| Self(line.split('|').collect())).collect()
    }

    fn id(&self) -> &'a str {
        self.0.first().copied().unwrap_or_default()
    }

    fn field(&self, n: usize) -> &'a str {
        let n = if self.id() == "MSH" { n - 1 } else { n };
        self.0.get(n).copied().unwrap_or_default()
    }

    /// A component of the first repetition.
    fn part(&self, n: usize, component: usize) -> &'a str {
        let first = self.field(n).split('~').next().unwrap_or_default();
        first.split('^').nth(component - 1).unwrap_or_default()
    }
}

/// The state of a visit that an event leads to.
fn visit_state(event: &str) -> Option<&'static str> {
    Some(match event {
        "A01" | "A13" | "A06" | "A07" | "A02" | "A12" => "admitted",
        "A03" => "discharged",
        "A04" => "registered",
        "A05" => "expected",
        "A11" | "A27" | "A38" => "cancelled",
        _ => return None,
    })
}

impl Receiver {
    /// What it has.
    #[must_use]
    pub fn facts(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for (number, patient) in &self.patients {
            if let Some(who) = &patient.who {
                all.insert(number.clone(), who.clone());
            }
            for (subject, value) in &patient.facts {
                all.insert(format!("{number} {subject}"), value.clone());
            }
        }
        all
    }

    /// What it was sent, oldest first.
    #[must_use]
    pub fn taken(&self) -> &[String] {
        &self.taken
    }

    /// Believes a message.
    pub fn take(&mut self, text: &str) {
        self.taken.push(text.to_owned());
        let segments = Segment::all(text);
        let Some(header) = segments.first() else {
            return;
        };
        let (kind, event) = (header.part(9, 1), header.part(9, 2));
        let Some(pid) = segments.iter().find(|one| one.id() == "PID") else {
            return;
        };
        let number = pid.part(3, 1).to_owned();
        match kind {
            "ADT" => self.registration(event, &number, pid, &segments),
            "ORU" => self.results(&number, &segments),
            "ORM" | "OML" | "OMG" => self.orders(&number, &segments),
            "DFT" if self.posted.insert(header.part(10, 1).to_owned()) => {
                self.charges(&number, &segments);
            }
            _ => {}
        }
    }

    fn registration(&mut self, event: &str, number: &str, pid: &Segment<'_>, all: &[Segment<'_>]) {
        let former = all.iter().find(|one| one.id() == "MRG");
        let visit = all.iter().find(|one| one.id() == "PV1");
        let visit_number = visit.map_or("", |visit| visit.part(19, 1));
        if let (Some(former), "A40" | "A18" | "A30" | "A34" | "A36" | "A47" | "A46" | "A49") =
            (former, event)
        {
            self.merge(former.part(1, 1), number);
        }
        if let (Some(former), "A35" | "A42" | "A50" | "A51") = (former, event) {
            self.visit_becomes(number, former.part(5, 1), visit_number);
        }
        if let (Some(former), "A45") = (former, event) {
            self.move_visit(former.part(1, 1), former.part(5, 1), number);
        }
        if event == "A29" {
            self.patients.remove(number);
            return;
        }
        let patient = self.patients.entry(number.to_owned()).or_default();
        if event == "A23" {
            patient.facts.remove(&format!("visit {visit_number}"));
            return;
        }
        let name = format!("{} {}", pid.part(5, 1), pid.part(5, 2));
        if name.trim() != "" {
            let who = format!("{} {} {}", name.trim(), pid.part(7, 1), pid.part(8, 1));
            patient.who = Some(who.trim_end().to_owned());
        }
        if let Some(visit) = visit.filter(|_| !visit_number.is_empty()) {
            let subject = format!("visit {visit_number}");
            let before = patient.facts.get(&subject).cloned().unwrap_or_default();
            let (before_place, before_state) = before.split_once(' ').unwrap_or(("", ""));
            let place = Some(visit.part(3, 1)).filter(|place| !place.is_empty());
            let state = visit_state(event).unwrap_or(before_state);
            let state = if state.is_empty() { "known" } else { state };
            let fact = format!("{} {state}", place.unwrap_or(before_place));
            patient.facts.insert(subject, fact.trim().to_owned());
        }
        for allergy in all.iter().filter(|one| one.id() == "AL1") {
            let code = allergy.part(3, 1);
            if code == "\"\"" {
                patient
                    .facts
                    .retain(|subject, _| !subject.starts_with("allergy "));
            } else {
                let text = allergy.part(3, 2).to_owned();
                patient.facts.insert(format!("allergy {code}"), text);
            }
        }
    }

    /// Everything of a number goes to another one.
    fn merge(&mut self, from: &str, to: &str) {
        if from == to {
            return;
        }
        let Some(gone) = self.patients.remove(from) else {
            return;
        };
        let into = self.patients.entry(to.to_owned()).or_default();
        for (subject, value) in gone.facts {
            into.facts.entry(subject).or_insert(value);
        }
        if into.who.is_none() {
            into.who = gone.who;
        }
    }

    fn visit_becomes(&mut self, number: &str, from: &str, to: &str) {
        let patient = self.patients.entry(number.to_owned()).or_default();
        if let Some(value) = patient.facts.remove(&format!("visit {from}")) {
            patient.facts.insert(format!("visit {to}"), value);
        }
    }

    fn move_visit(&mut self, from: &str, visit: &str, to: &str) {
        let subject = format!("visit {visit}");
        let moved = self
            .patients
            .get_mut(from)
            .and_then(|one| one.facts.remove(&subject));
        if let Some(value) = moved {
            let into = self.patients.entry(to.to_owned()).or_default();
            into.facts.insert(subject, value);
        }
    }

    fn orders(&mut self, number: &str, all: &[Segment<'_>]) {
        let patient = self.patients.entry(number.to_owned()).or_default();
        for order in all.iter().filter(|one| one.id() == "ORC") {
            let placed = order.part(2, 1);
            let named = if placed.is_empty() {
                order.part(3, 1)
            } else {
                placed
            };
            let state = match order.part(1, 1) {
                "CA" | "OC" | "CR" => "cancelled",
                "DC" | "OD" => "discontinued",
                "HD" => "on hold",
                "RP" | "RO" | "RU" => "replaced",
                _ => "ordered",
            };
            patient
                .facts
                .insert(format!("order {named}"), state.to_owned());
        }
    }

    fn results(&mut self, number: &str, all: &[Segment<'_>]) {
        let patient = self.patients.entry(number.to_owned()).or_default();
        let mut order = "";
        let mut said: BTreeMap<String, (Vec<String>, &str, &str)> = BTreeMap::new();
        for segment in all {
            if segment.id() == "OBR" {
                let filled = segment.part(3, 1);
                order = if filled.is_empty() {
                    segment.part(2, 1)
                } else {
                    filled
                };
            }
            if segment.id() == "OBX" {
                let sub = Some(segment.part(4, 1)).filter(|sub| !sub.is_empty());
                let sub = sub.map_or_else(String::new, |sub| format!("#{sub}"));
                let subject = format!("result {order} {}{sub}", segment.part(3, 1));
                let line = value(segment);
                let entry = said.entry(subject).or_default();
                entry.0.push(line);
                (entry.1, entry.2) = (segment.part(6, 1), segment.part(11, 1));
            }
        }
        for (subject, (lines, unit, status)) in said {
            let fact = observation(&lines.join(" / "), unit, word(status));
            patient.facts.insert(subject, fact);
        }
    }

    fn charges(&mut self, number: &str, all: &[Segment<'_>]) {
        let patient = self.patients.entry(number.to_owned()).or_default();
        for charge in all.iter().filter(|one| one.id() == "FT1") {
            let code = charge.part(7, 1);
            let subject = format!("charge {code}");
            let before = patient.facts.get(&subject);
            let count: u32 = before.and_then(|text| text.parse().ok()).unwrap_or(0);
            // What comes in another message is another charge.
            patient.facts.insert(subject, (count + 1).to_string());
        }
    }
}

fn value(segment: &Segment<'_>) -> String {
    let text = segment.field(5);
    match segment.field(2) {
        "SN" => text.replace('^', ""),
        "CE" | "CWE" => Some(segment.part(5, 2))
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| segment.part(5, 1))
            .to_owned(),
        _ => text.to_owned(),
    }
}

/// A result as a fact; one that is no more has no value.
#[must_use]
pub fn observation(value: &str, unit: &str, status: &str) -> String {
    if matches!(status, "cancelled" | "withdrawn") {
        return status.to_owned();
    }
    let parts = [value, unit, status];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

/// A status of table 0085 in a word.
fn word(status: &str) -> &str {
    match status {
        "P" | "R" | "S" => "preliminary",
        "F" | "U" => "final",
        "C" => "corrected",
        "X" => "cancelled",
        "D" | "W" => "withdrawn",
        "I" | "O" | "N" => "pending",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(messages: &[&str], expected: &[(&str, &str)]) {
        let mut receiver = Receiver::default();
        for message in messages {
            receiver.take(&message.replace('\n', "\r"));
        }
        let facts = receiver.facts();
        let facts: Vec<(&str, &str)> = facts.iter().map(|(a, b)| (&**a, &**b)).collect();
        assert_eq!(facts, expected);
    }

    fn adt(event: &str, number: &str, more: &str) -> String {
        format!("MSH|^~\\&|||||||ADT^{event}|1|P|2.5\nPID|||{number}||DOE^JO||1980|F\n{more}")
    }

    #[test]
    fn believes_what_came_last() {
        let (a, b) = (
            adt("A02", "7", "PV1||I|W2||||||||||||||||V1"),
            adt("A01", "7", "PV1||I|W1||||||||||||||||V1"),
        );
        check(
            &[&a, &b],
            &[("7", "DOE JO 1980 F"), ("7 visit V1", "W1 admitted")],
        );
    }

    #[test]
    fn a_merge_moves_what_it_has() {
        let oru =
            "MSH|^~\\&|||||||ORU^R01|1|P|2.5\nPID|||8\nOBR|||F1\nOBX|1|NM|K||4.1|mmol/L|||||F";
        let merge = adt("A40", "7", "MRG|8");
        check(
            &[oru, &merge],
            &[
                ("7", "DOE JO 1980 F"),
                ("7 result F1 K", "4.1 mmol/L final"),
            ],
        );
    }

    #[test]
    fn a_withdrawn_result_has_no_value_and_a_charge_of_another_message_is_posted() {
        let oru =
            "MSH|^~\\&|||||||ORU^R01|1|P|2.5\nPID|||8\nOBR|||F1\nOBX|1|NM|K||4.1|mmol/L|||||W";
        check(&[oru], &[("8 result F1 K", "withdrawn")]);
        let dft = "MSH|^~\\&|||||||DFT^P03|1|P|2.5\nPID|||8\nFT1|1|||||CG|ECG";
        let other = dft.replace("|1|P|", "|2|P|");
        check(&[dft, dft, &other], &[("8 charge ECG", "2")]);
    }
}
