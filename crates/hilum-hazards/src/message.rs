//! From a template and what a sequence says to the bytes that a source sends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use hilum_hl7v2::{Message, Path as Place};
use serde_json::Value;

use crate::sequence::{Sent, documents};

/// The day of every story.
const DAY: u32 = 2;

/// The templates and people of the folder.
#[derive(Clone, Debug)]
pub(crate) struct Templates {
    folder: PathBuf,
    patients: BTreeMap<String, serde_json::Map<String, Value>>,
}

impl Templates {
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join("patients.yaml");
        let people = documents(&file)?.into_iter().next().unwrap_or_default();
        let mut patients = BTreeMap::new();
        for (name, places) in people.as_object().into_iter().flatten() {
            let places = places.as_object();
            let places = places.with_context(|| format!("{name} of patients.yaml is no map"))?;
            patients.insert(name.clone(), places.clone());
        }
        Ok(Self {
            folder: folder.join("templates"),
            patients,
        })
    }

    fn patient(&self, name: &str) -> anyhow::Result<&serde_json::Map<String, Value>> {
        let found = self.patients.get(name);
        found.with_context(|| format!("patients.yaml has no {name}"))
    }

    /// The number by which a patient of `patients.yaml` is known.
    pub(crate) fn number(&self, name: &str) -> anyhow::Result<&str> {
        let number = self.patient(name)?.get("PID-3.1").and_then(Value::as_str);
        number.with_context(|| format!("{name} of patients.yaml has no PID-3.1"))
    }

    /// The bytes of a message.
    pub(crate) fn build(&self, sent: &Sent) -> anyhow::Result<Bytes> {
        let doing = || format!("the message {}", sent.is.name);
        self.written(sent).with_context(doing)
    }

    fn written(&self, sent: &Sent) -> anyhow::Result<Bytes> {
        let file = self.folder.join(&sent.source);
        let file = file.join(format!("{}.hl7", sent.template));
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("there is no template {}", file.display()))?;
        let mut text = text.replace('\n', "\r");
        let is = &sent.is;
        for (n, result) in (1..).zip(&is.obx) {
            text.push_str(&observation(n, result)?);
        }
        for line in &is.lines {
            text.push_str(line);
            text.push('\r');
        }
        let mut message = Message::parse(text)?;
        let mut places: Vec<(&str, &str)> = vec![("MSH-10", is.name.as_str())];
        if let Some(name) = &is.patient {
            let own = self.patient(name)?.iter();
            places.extend(own.map(|(place, value)| (&**place, value.as_str().unwrap_or_default())));
        }
        if let Some(former) = &is.former {
            places.push(("MRG-1.1", self.number(former)?));
        }
        for (place, value) in places {
            set(&mut message, place, value)?;
        }
        let at = time(&is.at)?;
        write(&mut message, &["MSH-7", "EVN-2", "ORC-9", "OBR-22"], &at)?;
        for (places, value) in [
            (["PV1-19.1", "PV1-19.1"], &is.visit),
            (["ORC-3.1", "OBR-3.1"], &is.order),
            (["ORC-2.1", "OBR-2.1"], &is.placer),
        ] {
            if let Some(value) = value {
                write(&mut message, &places, value)?;
            }
        }
        for (place, value) in &is.set {
            set(&mut message, place, value.as_str().unwrap_or_default())?;
        }
        Ok(message.write())
    }
}

fn set(message: &mut Message, place: &str, value: &str) -> anyhow::Result<()> {
    let path = Place::parse(place)?;
    message
        .set(&path, value)
        .with_context(|| format!("cannot set {place}"))?;
    Ok(())
}

/// Writes a value wherever the segment of the place is.
fn write(message: &mut Message, places: &[&str], value: &str) -> anyhow::Result<()> {
    for place in places {
        let segment = place.split('-').next().unwrap_or_default();
        if message.segments().any(|one| one.has_id(segment)) {
            set(message, place, value)?;
        }
    }
    Ok(())
}

/// `CODE#SUB|VALUE|UNIT|STATUS` as a segment.
fn observation(n: u32, text: &str) -> anyhow::Result<String> {
    let parts: Vec<&str> = text.split('|').collect();
    let [code, value, unit, status] = parts[..] else {
        bail!("`{text}` is not CODE|VALUE|UNIT|STATUS");
    };
    let (code, sub) = code.split_once('#').unwrap_or((code, ""));
    let is_number = value.parse::<f64>().is_ok();
    let kind = if is_number { "NM" } else { "ST" };
    Ok(format!(
        "OBX|{n}|{kind}|{code}^{code}^L|{sub}|{value}|{unit}|||||{status}\r"
    ))
}

/// `07:00` or `+1 07:00` as HL7 writes it.
fn time(text: &str) -> anyhow::Result<String> {
    let (day, clock) = match text.strip_prefix('+').and_then(|text| text.split_once(' ')) {
        Some((later, clock)) => (DAY + later.parse::<u32>()?, clock),
        None => (DAY, text),
    };
    let Some((hour, minute)) = clock.split_once(':') else {
        bail!("`{text}` is no time: write 07:00, or +1 07:00 for the next day");
    };
    let seconds = if minute.len() == 2 { "00" } else { "" };
    let minute = minute.replace(':', "");
    Ok(format!("202611{day:02}{hour}{minute}{seconds}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sequence::read_all;

    /// The events that merge, link, move, delete or take something back (HL7 v2.5.1 table 0003).
    const EVENTS: [&str; 36] = [
        "A11", "A12", "A13", "A18", "A23", "A24", "A25", "A26", "A27", "A29", "A30", "A32", "A33",
        "A34", "A35", "A36", "A37", "A38", "A39", "A40", "A41", "A42", "A43", "A44", "A45", "A46",
        "A47", "A48", "A49", "A50", "A51", "A52", "A53", "A54", "A55", "A60",
    ];

    #[test]
    fn a_sequence_shows_every_event_that_changes_links_or_takes_something_back() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hazards");
        let templates = Templates::read(&folder).unwrap();
        let sequences = read_all(&folder.join("sequences")).unwrap();
        let sent = sequences.iter().flat_map(|one| one.messages());
        let event = |sent| {
            let message = Message::parse(templates.build(sent).unwrap()).unwrap();
            Some(message.component("MSH", 9, 2)?.into_owned())
        };
        let shown: BTreeSet<String> = sent.filter_map(event).collect();
        let none = EVENTS.iter().filter(|event| !shown.contains(**event));
        let none: Vec<_> = none.collect();
        assert_eq!(none, Vec::<&&str>::new(), "no sequence has these events");
    }

    #[test]
    fn times_are_of_the_day_of_the_story_or_a_later_one() {
        assert_eq!(time("07:05").unwrap(), "20261102070500");
        assert_eq!(time("+1 07:05:30").unwrap(), "20261103070530");
        assert!(time("7 o'clock").is_err());
    }

    #[test]
    fn a_result_is_code_value_unit_and_status() {
        let line = observation(2, "K#1|4.1|mmol/L|F").unwrap();
        assert_eq!(line, "OBX|2|NM|K^K^L|1|4.1|mmol/L|||||F\r");
        assert!(observation(1, "K|4.1").is_err());
    }
}
