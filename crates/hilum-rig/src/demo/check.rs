//! What must have happened, compared with what the systems saw.

use std::collections::{HashMap, HashSet};

use hilum_testkit::messages::{Event, field};

use super::peer::Arrival;
use super::sender::{Journal, Kind, Sent};

/// From this on, in mmol/L, the simulated record thinks a potassium impossible.
const IMPOSSIBLE: f64 = 7.0;
/// LOINC's code for it, which only a translated message has.
const POTASSIUM: &str = "2823-3";

/// What was to be shown.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// Control ids of what the record refused.
    pub(super) refused: Vec<String>,
    /// How often the pharmacy went down and caught up.
    pub(super) outages: usize,
    /// How many stays were played that every system has right at the end.
    pub(super) stories: u64,
}

/// The record's mind: it refuses a potassium that it thinks impossible.
pub(super) fn record_mind(message: &[u8]) -> &'static str {
    let impossible = fields_of(message, "OBX").any(|obx| {
        let code = obx.get(3).is_some_and(|code| code.starts_with(POTASSIUM));
        let value = obx.get(5).and_then(|value| value.parse::<f64>().ok());
        code && value.is_some_and(|value| value >= IMPOSSIBLE)
    });
    if impossible { "AR" } else { "AA" }
}

/// Whether an arrival is the message with this control id.
pub(super) fn is(arrival: &Arrival, id: &str) -> bool {
    field(&arrival.bytes, 10) == id.as_bytes()
}

/// Whether an alert tells of a message that the record refused.
pub(super) fn tells_of_dead_letter(alert: &[u8]) -> bool {
    let text = String::from_utf8_lossy(alert);
    ["dead-letter", "results", "ehr"]
        .iter()
        .all(|word| text.contains(word))
}

pub(super) fn all_arrived(ids: &[String], seen: &[Arrival]) -> bool {
    let seen: HashSet<&[u8]> = seen
        .iter()
        .map(|arrival| field(&arrival.bytes, 10))
        .collect();
    ids.iter().all(|id| seen.contains(id.as_bytes()))
}

impl Expected {
    /// What did not happen.
    pub(super) fn findings(
        &self,
        sent: &Journal,
        ehr: &[Arrival],
        pharmacy: &[Arrival],
        pacs: &[Arrival],
    ) -> Vec<String> {
        let mut found = Vec::new();
        let all = sent.all();
        let of = |kinds: &[Kind]| -> Vec<Sent> {
            let wanted = all.iter().filter(|sent| kinds.contains(&sent.from));
            wanted.copied().collect()
        };
        arrived_in_order("ehr", &of(&[Kind::Pas, Kind::Lis]), ehr, &mut found);
        arrived_in_order(
            "pharmacy",
            &of(&[Kind::Pas, Kind::Cpoe]),
            pharmacy,
            &mut found,
        );
        arrived_in_order("pacs", &of(&[Kind::Pas]), pacs, &mut found);
        let events: HashSet<&str> = all.iter().map(|sent| name(sent.message.event)).collect();
        for event in ["A01", "A08", "A03", "R01", "O11"] {
            if !events.contains(event) {
                found.push(format!("no {event} was sent"));
            }
        }
        for arrival in ehr
            .iter()
            .filter(|a| fields_of(&a.bytes, "OBX").next().is_some())
        {
            let foreign = fields_of(&arrival.bytes, "OBX").any(|obx| {
                obx.get(3)
                    .is_none_or(|code| code.split('^').nth(2) != Some("LN"))
            });
            if foreign {
                let id = String::from_utf8_lossy(field(&arrival.bytes, 10)).into_owned();
                found.push(format!("{id} reached the record with a local code"));
            }
        }
        for id in &self.refused {
            let times = ehr.iter().filter(|arrival| is(arrival, id)).count();
            if times != 1 {
                found.push(format!(
                    "{id} was to be refused once, and arrived {times} times"
                ));
            }
        }
        if self.refused.is_empty() || self.outages == 0 || self.stories == 0 {
            found.push("nothing was refused, nothing was down, or no stay was played".to_owned());
        }
        found
    }
}

/// Every message arrived, and of each patient those of one sender in the order of sending.
fn arrived_in_order(who: &str, sent: &[Sent], seen: &[Arrival], found: &mut Vec<String>) {
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    for (place, arrival) in seen.iter().enumerate() {
        places.entry(field(&arrival.bytes, 10)).or_insert(place);
    }
    let mut latest: HashMap<(u64, &str), (usize, String)> = HashMap::new();
    for sent in sent {
        let id = sent.message.control_id();
        let Some(&place) = places.get(id.as_bytes()) else {
            found.push(format!("{id} did not reach {who}"));
            continue;
        };
        let sender = match sent.from {
            Kind::Pas => "pas",
            Kind::Lis => "lis",
            Kind::Cpoe => "cpoe",
        };
        let key = (sent.message.patient, sender);
        if let Some((earlier, before)) = latest.get(&key)
            && *earlier > place
        {
            found.push(format!("{id} reached {who} before {before}"));
        }
        latest.insert(key, (place, id));
    }
}

const fn name(event: Event) -> &'static str {
    match event {
        Event::Admit => "A01",
        Event::Update => "A08",
        Event::Discharge => "A03",
        Event::Result | Event::Potassium(_) => "R01",
        Event::Prescription => "O11",
    }
}

/// The fields of each segment of this name; a place in the list is the number of the field.
fn fields_of<'a>(message: &'a [u8], segment: &'a str) -> impl Iterator<Item = Vec<&'a str>> {
    message
        .split(|byte| *byte == b'\r')
        .filter_map(|line| std::str::from_utf8(line).ok())
        .filter(move |line| line.split('|').next() == Some(segment))
        .map(|line| line.split('|').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_refuses_only_an_impossible_potassium() {
        for (obx, expected) in [
            ("OBX|1|NM|2823-3^Potassium^LN||7.1", "AR"),
            ("OBX|1|NM|2823-3^Potassium^LN||4.1", "AA"),
            ("OBX|1|NM|K^Kalium^L||7.1", "AA"),
            ("OBX|1|NM|2951-2^Sodium^LN||140", "AA"),
        ] {
            let message = format!("MSH|^~\\&|x\r{obx}\r");
            assert_eq!(record_mind(message.as_bytes()), expected, "{obx}");
        }
    }

    #[test]
    fn hears_of_the_right_dead_letter() {
        let alert = br#"{"kind":"dead-letter","channel":"results","destination":"ehr"}"#;
        assert!(tells_of_dead_letter(alert));
        assert!(!tells_of_dead_letter(
            br#"{"kind":"queue-length","channel":"admissions"}"#
        ));
    }
}
