//! What a message of HL7 v2 tells the state of, and as of when.
//!
//! Registrations (ADT) tell of patients and visits, as of EVN-2; orders as of ORC-9; results of each
//! observation (OBX-3 and OBX-4 within their order), as of OBR-22; documents (MDM) as of the time of
//! the message. What a message lacks is MSH-7 instead. Other messages tell no state.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hilum_component::{Object, ObjectKind, Offsets};
use hilum_hl7v2::answer::builds_on;
use hilum_hl7v2::time::Stamp;
use hilum_hl7v2::{Message, Part, Segment};
use hilum_message::SourceTime;

use super::marks;

type Numbers = Vec<(String, Option<String>)>;

/// The objects of a message that arrived then, Unix milliseconds.
pub(super) fn objects(
    message: &Message,
    arrived_ms: u64,
    declared: Option<&Offsets>,
) -> Vec<Object> {
    let said = |id: &str, n: u32| message.component(id, n, 1);
    let sent = said("MSH", 7);
    // The zone of a time is its own, else that of MSH-7 (HL7 v2.5.1 §2.A.22), else that of the sender.
    let zone = Zone {
        sent: sent
            .as_deref()
            .and_then(Stamp::read)
            .and_then(|stamp| stamp.offset_minutes),
        declared,
    };
    let arrived = i64::try_from(arrived_ms).unwrap_or(i64::MAX);
    let sent_ms = sent
        .and_then(|text| instant_ms(&text, zone))
        .unwrap_or(arrived);
    let of_event = said("EVN", 2).and_then(|text| instant_ms(&text, zone));
    let as_of = SourceTime {
        at_ms: of_event.unwrap_or(sent_ms),
        sent_ms,
        sequence: said("MSH", 13)
            .and_then(|number| number.parse().ok())
            .unwrap_or(0),
    };
    let code = message.component("MSH", 9, 1).unwrap_or_default();
    let mut reader = Reader {
        tells: Tells::of(&code),
        replaces: matches!(
            message.component("MSH", 9, 2).as_deref(),
            Some("T09" | "T10")
        ),
        as_of,
        zone,
        order: None,
        found: Vec::new(),
    };
    for segment in message.segments() {
        reader.take(&segment);
    }
    reader.end();
    reader.found
}

/// What a message tells the state of, by MSH-9.1 (table 0076).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tells {
    Patients,
    Orders,
    Results,
    Documents,
    Nothing,
}

impl Tells {
    fn of(code: &str) -> Self {
        match code {
            "ADT" => Self::Patients,
            "MDM" => Self::Documents,
            "ORU" | "OUL" | "OPU" => Self::Results,
            code if builds_on(code) => Self::Orders,
            _ => Self::Nothing,
        }
    }
}

/// Where times are that say no offset.
#[derive(Clone, Copy)]
struct Zone<'z> {
    /// Minutes east of UTC that MSH-7 says.
    sent: Option<i32>,
    /// What the file of the sender says.
    declared: Option<&'z Offsets>,
}

impl Zone<'_> {
    /// Minutes east of UTC at a local time; without any both sides of a comparison are read alike.
    fn minutes(self, local_s: i64) -> i32 {
        let declared = || self.declared.and_then(|zone| zone.minutes(local_s));
        self.sent.or_else(declared).unwrap_or(0)
    }
}

struct Reader<'z> {
    tells: Tells,
    /// A document takes the place of its parent (HL7 v2.5.1 §9.5.9, §9.5.10).
    replaces: bool,
    as_of: SourceTime,
    zone: Zone<'z>,
    /// The order that is being read.
    order: Option<Order>,
    found: Vec<Object>,
}

#[derive(Default)]
struct Order {
    numbers: Numbers,
    at_ms: Option<i64>,
    /// OBX-3 and OBX-4, OBX-14, and whether OBX-11 withdraws it.
    observations: Vec<(String, String, bool)>,
}

impl Reader<'_> {
    fn take(&mut self, segment: &Segment<'_>) {
        let name = segment.name();
        match (self.tells, &name) {
            (Tells::Patients, b"PID") => {
                let mut numbers = extended(segment, 3);
                if numbers.is_empty() {
                    numbers = extended(segment, 2);
                }
                self.tell(ObjectKind::Patient, numbers);
            }
            (Tells::Patients, b"MRG") => {
                self.tell(ObjectKind::Patient, extended(segment, 1));
                self.tell(ObjectKind::Visit, extended(segment, 5));
            }
            (Tells::Patients, b"PV1") => self.tell(ObjectKind::Visit, extended(segment, 19)),
            (Tells::Documents, b"TXA") => {
                let mut numbers = entities(segment, 12, "document");
                if self.replaces {
                    numbers.extend(entities(segment, 13, "document"));
                }
                self.tell(ObjectKind::Document, numbers);
            }
            (Tells::Orders | Tells::Results, b"ORC" | b"OBR") => self.order(segment, &name),
            (Tells::Results, b"OBX") => {
                let part = |n, path: &[u32]| first(segment, n, path).unwrap_or_default();
                let code = match first(segment, 3, &[1]) {
                    Some(code) => format!("{code}^{}", part(3, &[3])),
                    None => part(3, &[2]),
                };
                let of = self.order.get_or_insert_default();
                of.observations.push((
                    format!("{code}|{}", part(4, &[])),
                    part(14, &[1]),
                    marks::is_withdrawn(segment),
                ));
            }
            _ => {}
        }
    }

    /// An OBR is about the order of the ORC before it, unless it has numbers of its own.
    fn order(&mut self, segment: &Segment<'_>, name: &[u8; 3]) {
        let mut numbers = entities(segment, 2, "placer");
        numbers.extend(entities(segment, 3, "filler"));
        let same = name == b"OBR"
            && self.order.as_ref().is_some_and(|order| {
                order.observations.is_empty()
                    && (numbers.is_empty()
                        || order.numbers.is_empty()
                        || numbers.iter().any(|number| order.numbers.contains(number)))
            });
        if !same {
            self.end();
        }
        let when = match (self.tells, name) {
            (Tells::Orders, b"ORC") => first(segment, 9, &[1]),
            (Tells::Results, b"OBR") => first(segment, 22, &[1]),
            _ => None,
        };
        let at_ms = when.and_then(|text| instant_ms(&text, self.zone));
        let order = self.order.get_or_insert_default();
        order.at_ms = at_ms.or(order.at_ms);
        for number in numbers {
            if !order.numbers.contains(&number) {
                order.numbers.push(number);
            }
        }
    }

    /// The order that was being read is complete.
    fn end(&mut self) {
        let Some(order) = self.order.take() else {
            return;
        };
        if order.numbers.is_empty() {
            return;
        }
        let as_of = SourceTime {
            at_ms: order.at_ms.unwrap_or(self.as_of.at_ms),
            ..self.as_of
        };
        if self.tells == Tells::Orders || order.observations.is_empty() {
            let kind = match self.tells {
                Tells::Orders => ObjectKind::Order,
                _ => ObjectKind::Result,
            };
            return self.found.push(Object {
                kind,
                numbers: order.numbers,
                part: String::new(),
                as_of,
                withdrawn: false,
            });
        }
        // Each once: reports come line by line. Where one message carries several values under one
        // code and sub-id, the time of the observation tells them apart.
        let mut parts: BTreeMap<&str, Vec<(&str, bool)>> = BTreeMap::new();
        for (part, time, withdrawn) in &order.observations {
            let times = parts.entry(part).or_default();
            match times.iter_mut().find(|(known, _)| known == time) {
                // One that has a value again is not withdrawn.
                Some((_, all)) => *all &= withdrawn,
                None => times.push((time, *withdrawn)),
            }
        }
        for (part, times) in parts {
            let several = times.len() > 1;
            self.found
                .extend(times.into_iter().map(|(time, withdrawn)| Object {
                    kind: ObjectKind::Result,
                    numbers: order.numbers.clone(),
                    part: match several {
                        true => format!("{part}|{time}"),
                        false => part.to_owned(),
                    },
                    as_of,
                    withdrawn,
                }));
        }
    }

    fn tell(&mut self, kind: ObjectKind, numbers: Numbers) {
        if !numbers.is_empty() {
            self.found.push(Object {
                kind,
                numbers,
                part: String::new(),
                as_of: self.as_of,
                withdrawn: false,
            });
        }
    }
}

fn each<'m>(segment: &Segment<'m>, n: u32) -> impl Iterator<Item = Part<'m>> + use<'m> {
    let field = segment.field(n).filter(|field| !field.raw().is_empty());
    field.into_iter().flat_map(|field| field.children())
}

fn first(segment: &Segment<'_>, n: u32, path: &[u32]) -> Option<String> {
    each(segment, n).next()?.said(path).map(Cow::into_owned)
}

/// Extended composite ids (CX): id in component 1, authority in component 4.
fn extended(segment: &Segment<'_>, n: u32) -> Numbers {
    let number = |part: Part<'_>| {
        let authority = part.said(&[4, 1]).or_else(|| part.said(&[4, 2]));
        Some((
            part.said(&[1])?.into_owned(),
            authority.map(Cow::into_owned),
        ))
    };
    each(segment, n).filter_map(number).collect()
}

/// Entity identifiers (EI): id in component 1, namespace in component 2, universal id in 3. Whoever
/// assigned no name may use the number of somebody else, so what it is for goes with it.
fn entities(segment: &Segment<'_>, n: u32, of: &str) -> Numbers {
    let number = |part: Part<'_>| {
        let authority = part.said(&[2]).or_else(|| part.said(&[3]));
        Some((
            format!("{of} {}", part.said(&[1])?),
            authority.map(Cow::into_owned),
        ))
    };
    each(segment, n).filter_map(number).collect()
}

/// A time in Unix milliseconds, in the zone that it says, else in this one.
fn instant_ms(text: &str, zone: Zone<'_>) -> Option<i64> {
    let stamp = Stamp::read(text)?;
    let said = stamp.offset_minutes;
    Some(stamp.unix_ms(said.unwrap_or_else(|| zone.minutes(stamp.local_s()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000;
    /// 2026-01-01 at midnight.
    const DAY: i64 = 1_767_225_600 * SECOND;

    /// Kind, first number, part, and seconds of the day at which it was so.
    fn check(message: &str, expected: &[(&str, &str, &str, i64)]) {
        let message = Message::parse(message.to_owned()).expect("a message");
        let found = objects(&message, 0, None);
        let found: Vec<_> = found
            .iter()
            .map(|object| {
                let (number, authority) = &object.numbers[0];
                let authority = authority.as_deref().unwrap_or("-");
                let at = (object.as_of.at_ms - DAY) / SECOND;
                let number = format!("{number}@{authority}");
                (object.kind.word(), number, object.part.clone(), at)
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|&(kind, number, part, at)| (kind, number.to_owned(), part.to_owned(), at))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_registration_tells_of_its_patient_and_visit_and_not_of_the_mother() {
        check(
            "MSH|^~\\&|P|H|||20260101000200||ADT^A08|1|P|2.5\rEVN||20260101000100\r\
             PID|||42^^^H~9^^^N||||||||||||||||||7^^^H\rPV1||I|||||||||||||||||V1^^^H\r",
            &[("patient", "42@H", "", 60), ("visit", "V1@H", "", 60)],
        );
    }

    #[test]
    fn a_merge_tells_of_both() {
        check(
            "MSH|^~\\&|P|H|||20260101000200||ADT^A40|1|P|2.5\rPID|||42^^^H\rMRG|43^^^H\r",
            &[("patient", "42@H", "", 120), ("patient", "43@H", "", 120)],
        );
    }

    #[test]
    fn each_observation_is_as_old_as_the_report_of_its_own_order() {
        check(
            "MSH|^~\\&|L|H|||20260101000500+0000||ORU^R01|1|P|2.5\rPID|||42^^^H\r\
             ORC|RE|P1^E|F1^L\rOBR|1|P1^E|F1^L|K||||||||||||||||||20260101000100\r\
             OBX|1|NM|K^^L||4\rOBX|2|NM|NA^^L|1|140\rOBX|3|TX|NA^^L|1|more\r\
             OBR|2||F2^L|G\rOBX|1|NM|G^^L||5||||||F|||20260101\rOBX|2|NM|G^^L||6||||||F|||20260102\r",
            &[
                ("result", "placer P1@E", "K^L|", 60),
                ("result", "placer P1@E", "NA^L|1", 60),
                ("result", "filler F2@L", "G^L||20260101", 300),
                ("result", "filler F2@L", "G^L||20260102", 300),
            ],
        );
    }

    #[test]
    fn what_a_report_withdraws_is_known() {
        let message = "MSH|^~\\&|L|H|||20260101000500||ORU^R01|1|P|2.5\rOBR|1||F1^L|K\r\
             OBX|1|NM|K^^L||4||||||W\rOBX|2|NM|NA^^L||140||||||F\r\
             OBX|3|NM|G^^L||5||||||W\rOBX|4|NM|G^^L||6||||||F\r";
        let message = Message::parse(message.to_owned()).expect("a message");
        let found = objects(&message, 0, None);
        let withdrawn: Vec<_> = found.iter().filter(|object| object.withdrawn).collect();
        let parts: Vec<_> = withdrawn.iter().map(|object| &*object.part).collect();
        assert_eq!(parts, ["K^L|"]);
    }

    #[test]
    fn a_report_without_observations_tells_of_all_of_its_order() {
        check(
            "MSH|^~\\&|L|H|||20260101000500||ORU^R01|1|P|2.5\r\
             OBR|1||F1^L|K||||||||||||||||||20260101000100|||X\r",
            &[("result", "filler F1@L", "", 60)],
        );
    }

    #[test]
    fn an_order_is_as_old_as_its_transaction_in_the_zone_of_the_message() {
        check(
            "MSH|^~\\&|E|H|||20260101020000+0100||ORM^O01|1|P|2.5\rPID|||42^^^H\r\
             ORC|NW|P1^E||||||||20260101\rORC|NW|P1^E|||||||20260101013000\rOBR|1|P1^E||K\r",
            &[
                ("order", "placer P1@E", "", 3_600),
                ("order", "placer P1@E", "", 1_800),
            ],
        );
    }

    #[test]
    fn a_time_without_an_offset_is_in_the_zone_of_msh_7_else_in_that_of_the_sender() {
        // Two hours east in summer, one in winter.
        let zone = Offsets::new(|local_s| Some(if local_s < DAY / SECOND { 120 } else { 60 }));
        let read = |sent: &str, at: &str, zone: Option<&Offsets>| {
            let message =
                format!("MSH|^~\\&|P|H|||{sent}||ADT^A08|1|P|2.5\rEVN||{at}\rPID|||42^^^H\r");
            let found = objects(&Message::parse(message).expect("a message"), 0, zone);
            (found[0].as_of.at_ms - DAY) / SECOND
        };
        let (sent, at) = ("20260101030000", "20260101020000");
        assert_eq!(read(sent, at, None), 7_200);
        assert_eq!(read(sent, at, Some(&zone)), 3_600);
        assert_eq!(read(sent, "20251231220000", Some(&zone)), -4 * 3_600);
        assert_eq!(read("20260101030000+0000", at, Some(&zone)), 7_200);
        assert_eq!(read(sent, "20260101020000+0200", Some(&zone)), 0);
    }

    #[test]
    fn a_replacement_tells_of_the_document_that_it_replaces() {
        check(
            "MSH|^~\\&|D|H|||20260101000500||MDM^T10|1|P|2.5\rTXA|1|||||||||||D2^S|D1^S\r",
            &[("document", "document D2@S", "", 300)],
        );
        check(
            "MSH|^~\\&|D|H|||20260101000500||DFT^P03|1|P|2.5\rPID|||42\r",
            &[],
        );
    }
}
