//! A plain receiver of HL7 v2, as many records and laboratories are: it believes each message as it
//! comes.
//!
//! What came last about a patient, visit, order or observation is what it shows; a merge moves what
//! it has to the survivor. It compares no times and holds nothing against anything, so that a stale,
//! doubled or misdirected message shows as a wrong fact. It reads messages with code of its own.
//! The security labels that come beside a message are on what the message says; it takes none away,
//! since no message says that something is confidential no more.

use std::collections::{BTreeMap, BTreeSet};

/// The facts that a receiver has, by patient and subject: `4711 result F1 K`.
#[derive(Clone, Debug, Default)]
pub struct Receiver {
    patients: BTreeMap<String, Patient>,
    taken: Vec<String>,
    /// Control ids of messages with charges: a ledger posts none twice.
    posted: BTreeSet<String>,
    /// It takes a list of allergies for all there is.
    takes_whole_lists: bool,
}

#[derive(Clone, Debug, Default)]
struct Patient {
    /// Name, birth date and sex; `None` while nothing but results was sent.
    who: Option<Fact>,
    facts: BTreeMap<String, Fact>,
    /// What the numbers of its procedures stand for.
    procedures: BTreeMap<String, String>,
    /// The account of each visit, by the subject of the visit.
    accounts: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default)]
struct Fact {
    value: String,
    labels: BTreeSet<String>,
}

type Labels<'a> = [&'a str];

impl Fact {
    fn of(value: String, labels: &Labels<'_>) -> Self {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Self { value, labels }
    }

    /// Another value, with the labels of both.
    fn becomes(&mut self, value: String, labels: &Labels<'_>) {
        let next = Self::of(value, labels);
        self.value = next.value;
        self.labels.extend(next.labels);
    }

    fn text(&self) -> String {
        let labels: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        labelled(&self.value, &labels)
    }
}

/// A fact with the labels of what it is from, in their order: `4.1 mmol/L final [HIV R]`.
#[must_use]
pub fn labelled(value: &str, labels: &[&str]) -> String {
    if labels.is_empty() {
        return value.to_owned();
    }
    format!("{value} [{}]", labels.join(" "))
}

impl Patient {
    fn say(&mut self, subject: String, value: String, labels: &Labels<'_>) {
        let fact = self.facts.entry(subject).or_default();
        fact.becomes(value, labels);
    }

    /// Forgets what is of a kind.
    fn forget(&mut self, kind: &str) {
        self.facts.retain(|subject, _| !subject.starts_with(kind));
    }

    fn value(&self, subject: &str) -> &str {
        self.facts.get(subject).map_or("", |fact| &fact.value)
    }
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

    /// The hospital's own number of a patient (PID-3), else the first one.
    fn number(&self) -> &'a str {
        let list = self.field(3);
        let is_own = |one: &&str| one.split('^').nth(4) == Some("MR");
        let own = list.split('~').find(is_own);
        let number = own.unwrap_or(list).split(['~', '^']).next();
        number.unwrap_or_default()
    }

    /// The numbers of all repetitions.
    fn numbers(&self, n: usize) -> Vec<&'a str> {
        let all = self.field(n).split('~').filter(|one| !one.is_empty());
        all.map(|one| one.split('^').next().unwrap_or_default())
            .collect()
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
        "A01" | "A13" | "A06" | "A07" | "A02" | "A12" | "A22" | "A52" => "admitted",
        "A21" | "A53" => "on leave",
        "A03" => "discharged",
        "A04" => "registered",
        "A05" | "A14" => "expected",
        "A11" | "A27" | "A38" => "cancelled",
        _ => return None,
    })
}

impl Receiver {
    /// One that takes a list of allergies for all there is.
    #[must_use]
    pub fn of_whole_lists() -> Self {
        Self {
            takes_whole_lists: true,
            ..Self::default()
        }
    }

    /// What it has.
    #[must_use]
    pub fn facts(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for (number, patient) in &self.patients {
            if let Some(who) = &patient.who {
                all.insert(number.clone(), who.text());
            }
            for (subject, fact) in &patient.facts {
                all.insert(format!("{number} {subject}"), fact.text());
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
        self.take_labelled(text, &[]);
    }

    /// Believes a message that comes with security labels.
    pub fn take_labelled(&mut self, text: &str, labels: &[&str]) {
        self.taken.push(text.to_owned());
        let segments = Segment::all(text);
        let Some(header) = segments.first() else {
            return;
        };
        let (kind, event) = (header.part(9, 1), header.part(9, 2));
        let Some(pid) = segments.iter().find(|one| one.id() == "PID") else {
            return;
        };
        let number = pid.number().to_owned();
        match kind {
            // Merges and links tell of several patients, each from its PID on.
            "ADT" => {
                let starts =
                    |one: &&[Segment<'_>]| one.first().is_some_and(|one| one.id() == "PID");
                let groups = segments.chunk_by(|_, next| next.id() != "PID");
                for group in groups.filter(starts) {
                    if let Some(pid) = group.first() {
                        self.registration(event, pid, group, labels);
                    }
                }
            }
            "ORU" => self.results(&number, &segments, labels),
            "ORM" | "OML" | "OMG" => self.orders(&number, &segments, labels),
            "DFT" if self.posted.insert(header.part(10, 1).to_owned()) => {
                self.charges(&number, &segments, labels);
            }
            _ => {}
        }
    }

    fn registration(
        &mut self,
        event: &str,
        pid: &Segment<'_>,
        all: &[Segment<'_>],
        labels: &Labels<'_>,
    ) {
        let number = pid.number();
        let former = all.iter().find(|one| one.id() == "MRG");
        let visit = all.iter().find(|one| one.id() == "PV1");
        let visit_number = visit.map_or("", |visit| visit.part(19, 1));
        if let Some(former) = former {
            self.relink(event, former, pid, visit_number);
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
            let own = patient.who.get_or_insert_default();
            own.becomes(who.trim_end().to_owned(), labels);
        }
        if let Some(visit) = visit.filter(|_| !visit_number.is_empty()) {
            let subject = format!("visit {visit_number}");
            let before = patient.value(&subject).to_owned();
            let (before_place, before_state) = before.split_once(' ').unwrap_or(("", ""));
            let place = Some(visit.part(3, 1)).filter(|place| !place.is_empty());
            let state = visit_state(event).unwrap_or(before_state);
            let state = if state.is_empty() { "known" } else { state };
            let fact = format!("{} {state}", place.unwrap_or(before_place));
            patient.say(subject.clone(), fact.trim().to_owned(), labels);
            let account = pid.part(18, 1);
            if !account.is_empty() {
                patient.accounts.insert(subject.clone(), account.to_owned());
            }
            let doctor = visit.part(7, 2);
            if !doctor.is_empty() {
                patient.say(format!("{subject} doctor"), doctor.to_owned(), labels);
            }
        }
        if self.takes_whole_lists && all.iter().any(|one| one.id() == "AL1") {
            patient.forget("allergy ");
        }
        for allergy in all.iter().filter(|one| matches!(one.id(), "AL1" | "IAM")) {
            let code = allergy.part(3, 1);
            if code == "\"\"" {
                patient.forget("allergy ");
            } else if allergy.id() == "IAM" && allergy.part(6, 1) == "D" {
                patient.facts.remove(&format!("allergy {code}"));
            } else {
                let text = allergy.part(3, 2).to_owned();
                patient.say(format!("allergy {code}"), text, labels);
            }
        }
        for procedure in all.iter().filter(|one| one.id() == "PR1") {
            let subject = format!("procedure {}", procedure.part(3, 1));
            // Under one number (PR1-19) it is the same procedure, whatever it turns out to be.
            let numbered = procedure.field(19);
            if !numbered.is_empty() {
                let before = patient
                    .procedures
                    .insert(numbered.to_owned(), subject.clone());
                if let Some(before) = before.filter(|before| *before != subject) {
                    patient.facts.remove(&before);
                }
            }
            if procedure.part(20, 1) == "D" {
                patient.facts.remove(&subject);
                continue;
            }
            let text = procedure.part(3, 2).to_owned();
            patient.say(subject, text, labels);
        }
    }

    /// Merges and moves: what it has goes with the number.
    fn relink(&mut self, event: &str, former: &Segment<'_>, pid: &Segment<'_>, visit: &str) {
        let number = pid.number();
        let from = former.part(1, 1);
        match event {
            "A18" | "A30" | "A34" | "A36" | "A39" | "A40" | "A46" | "A47" | "A49" => {
                for from in former.numbers(1) {
                    self.merge(from, number);
                }
            }
            "A43" => self.move_numbers(&former.numbers(1), &pid.numbers(3)),
            "A35" | "A42" | "A50" | "A51" => {
                self.visit_becomes(number, former.part(5, 1), visit);
            }
            "A44" => self.move_account(from, former.part(3, 1), number),
            "A45" => self.move_visit(from, former.part(5, 1), number),
            _ => {}
        }
    }

    /// Numbers that stand on both sides, else all of before, go to the other number of now; without one
    /// they stay.
    fn move_numbers(&mut self, before: &[&str], now: &[&str]) {
        let both: Vec<_> = before.iter().filter(|one| now.contains(one)).collect();
        let moved: Vec<_> = if both.is_empty() {
            before.iter().collect()
        } else {
            both
        };
        if let Some(to) = now.iter().find(|one| !moved.contains(one)) {
            for from in moved {
                self.merge(from, to);
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
        into.accounts.extend(gone.accounts);
        if into.who.is_none() {
            into.who = gone.who;
        }
    }

    fn visit_becomes(&mut self, number: &str, from: &str, to: &str) {
        let patient = self.patients.entry(number.to_owned()).or_default();
        if let Some(value) = patient.facts.remove(&format!("visit {from}")) {
            // Of two that are merged the one that stays is what it was.
            patient.facts.entry(format!("visit {to}")).or_insert(value);
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

    /// An account goes to another patient with its visits.
    fn move_account(&mut self, from: &str, account: &str, to: &str) {
        let Some(former) = self.patients.get_mut(from).filter(|_| from != to) else {
            return;
        };
        let mut accounts = BTreeMap::new();
        former.accounts.retain(|subject, of| {
            let stays = of != account;
            if !stays {
                accounts.insert(subject.clone(), of.clone());
            }
            stays
        });
        let facts: Vec<_> = accounts
            .keys()
            .filter_map(|subject| Some((subject.clone(), former.facts.remove(subject)?)))
            .collect();
        let into = self.patients.entry(to.to_owned()).or_default();
        into.facts.extend(facts);
        into.accounts.extend(accounts);
    }

    fn orders(&mut self, number: &str, all: &[Segment<'_>], labels: &Labels<'_>) {
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
                // RO is the order in the place of one that is replaced.
                "RP" | "RU" => "replaced",
                _ => "ordered",
            };
            patient.say(format!("order {named}"), state.to_owned(), labels);
        }
    }

    fn results(&mut self, number: &str, all: &[Segment<'_>], labels: &Labels<'_>) {
        let patient = self.patients.entry(number.to_owned()).or_default();
        let mut order = "";
        let mut said: BTreeMap<String, (Vec<String>, String, &str)> = BTreeMap::new();
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
                let unit = segment.part(6, 1).to_owned();
                let range = segment.field(7).replace(" - ", "-");
                entry.1 = if range.is_empty() {
                    unit
                } else {
                    format!("{unit} ({range})").trim_start().to_owned()
                };
                entry.2 = segment.part(11, 1);
            }
        }
        for (subject, (lines, unit, status)) in said {
            let fact = observation(&lines.join(" / "), &unit, word(status));
            patient.say(subject, fact, labels);
        }
    }

    fn charges(&mut self, number: &str, all: &[Segment<'_>], labels: &Labels<'_>) {
        let patient = self.patients.entry(number.to_owned()).or_default();
        for charge in all.iter().filter(|one| one.id() == "FT1") {
            let code = charge.part(7, 1);
            let subject = format!("charge {code}");
            let count: i32 = patient.value(&subject).parse().unwrap_or(0);
            // What comes in another message is another charge, or the credit of one.
            let next = if charge.part(6, 1) == "CR" { -1 } else { 1 };
            patient.say(subject, (count + next).to_string(), labels);
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
        "ED" => format!("document {}", segment.part(5, 5)),
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
        let several = adt("A40", "7", "MRG|9~8");
        check(
            &[oru, &several],
            &[
                ("7", "DOE JO 1980 F"),
                ("7 result F1 K", "4.1 mmol/L final"),
            ],
        );
    }

    #[test]
    fn each_patient_of_a_message_is_believed() {
        let groups = adt("A40", "7", "MRG|8\nPID|||9||ROE^ED||1970|M\nMRG|10");
        let who = ("7", "DOE JO 1980 F");
        check(&[&groups], &[who, ("9", "ROE ED 1970 M")]);
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

    #[test]
    fn a_label_stays_on_what_it_was_said_of() {
        let mut receiver = Receiver::default();
        let (admit, change) = (
            adt("A01", "7", "PV1||I|W1||||||||||||||||V1"),
            adt("A08", "7", ""),
        );
        receiver.take_labelled(&admit.replace('\n', "\r"), &["R", "CEL"]);
        receiver.take(&change.replace('\n', "\r"));
        let facts = receiver.facts();
        assert_eq!(facts["7"], "DOE JO 1980 F [CEL R]");
        assert_eq!(facts["7 visit V1"], "W1 admitted [CEL R]");
    }

    #[test]
    fn a_procedure_that_turns_out_to_be_another_one_is_one() {
        let done = |code: &str| adt("A08", "7", &format!("PR1|1||{code}{}77", "|".repeat(16)));
        check(
            &[&done("AP^Appendectomy^L"), &done("CH^Cholecystectomy^L")],
            &[
                ("7", "DOE JO 1980 F"),
                ("7 procedure CH", "Cholecystectomy"),
            ],
        );
    }

    #[test]
    fn a_patient_is_known_by_the_number_of_the_hospital_wherever_it_stands() {
        let change = adt("A08", "9^^^NAT^NI~7^^^STE^MR", "");
        check(&[&change], &[("7", "DOE JO 1980 F")]);
    }

    #[test]
    fn an_allergy_goes_when_its_action_is_delete() {
        let add = adt("A60", "7", "IAM|1|DA|PEN^Penicillin^L|SV||A");
        let delete = adt("A60", "7", "IAM|1|DA|PEN^Penicillin^L|SV||D");
        let who = ("7", "DOE JO 1980 F");
        check(&[&add], &[who, ("7 allergy PEN", "Penicillin")]);
        check(&[&add, &delete], &[who]);
    }

    #[test]
    fn a_list_is_added_to_what_is_there_or_is_all_there_is() {
        let list = |code: &str| adt("A08", "7", &format!("AL1|1||{code}")).replace('\n', "\r");
        let (mut adds, mut replaces) = (Receiver::default(), Receiver::of_whole_lists());
        for receiver in [&mut adds, &mut replaces] {
            receiver.take(&list("PEN"));
            receiver.take(&list("NUT"));
            receiver.take(&adt("A08", "7", "").replace('\n', "\r"));
        }
        assert_eq!(adds.facts().len(), 3);
        assert!(!replaces.facts().contains_key("7 allergy PEN"));
        assert!(replaces.facts().contains_key("7 allergy NUT"));
    }
}
