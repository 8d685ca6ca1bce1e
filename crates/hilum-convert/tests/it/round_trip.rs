//! HL7 v2 to FHIR and back: what of each field comes back, as `docs/scores/round-trip.md` says.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hilum_convert::reverse::{Nothing, Sent, V2Settings, to_v2};
use hilum_convert::{Converted, Maps, to_fhir};
use hilum_hl7v2::Message;

use crate::samples::{ARRIVED, messages, settings, shared};

/// The sets: name and folder.
const SETS: &[(&str, &str)] = &[
    (
        "reportstream",
        "samples/hl7v2/reportstream-mappinginventory",
    ),
    ("google-whistle", "samples/hl7v2/google-whistle"),
    ("linuxforhealth", "samples/hl7v2/linuxforhealth"),
    ("guide", "samples/hl7v2/hl7-v2-to-fhir-ig"),
];

/// The messages that can be sent.
const CODES: &[&str] = &["ADT", "ORU", "ORM", "OML", "MDM", "SIU", "VXU"];

/// What whoever sends a message sets anew, and what only counts or repeats what stands elsewhere.
const OWN: &[(&str, u32)] = &[
    ("MSH", 1),
    ("MSH", 2),
    ("MSH", 7),
    ("MSH", 10),
    ("MSH", 11),
    ("MSH", 12),
    ("MSH", 18),
    ("EVN", 1),
    ("PID", 1),
    ("NK1", 1),
    ("PV1", 1),
    ("AL1", 1),
    ("DG1", 1),
    ("OBR", 1),
    ("OBX", 1),
    ("NTE", 1),
    ("SPM", 1),
    ("TXA", 1),
    ("AIS", 1),
    ("AIG", 1),
    ("AIL", 1),
    ("AIP", 1),
    ("RGS", 1),
    ("TQ1", 1),
    ("RXA", 1),
    ("RXA", 2),
];

/// Fields whose value may come back in another one that says the same.
const ELSEWHERE: &[(&str, u32, &str, u32)] = &[
    ("PID", 2, "PID", 3),
    ("PID", 4, "PID", 3),
    ("PID", 9, "PID", 5),
    ("PID", 12, "PID", 11),
    ("PID", 14, "PID", 13),
    ("PID", 40, "PID", 13),
    ("OBR", 2, "ORC", 2),
    ("OBR", 3, "ORC", 3),
    ("ORC", 2, "OBR", 2),
    ("ORC", 3, "OBR", 3),
    ("OBR", 16, "ORC", 12),
    ("ORC", 12, "OBR", 16),
    ("NK1", 12, "NK1", 33),
    ("OBR", 14, "SPM", 18),
    ("OBR", 7, "SPM", 17),
    ("TXA", 5, "TXA", 9),
    ("SCH", 11, "TQ1", 7),
    ("AIS", 4, "SCH", 11),
    ("OBR", 17, "ORC", 14),
    ("ORC", 14, "OBR", 17),
];

/// Leaves of one field: repetition, component, subcomponent and text.
type Leaves = Vec<(u32, u32, u32, String)>;
/// Fields by segment, its ordinal and the number of the field.
type Fields = BTreeMap<(String, usize, u32), Leaves>;

fn fields(message: &Message) -> Fields {
    let mut fields = Fields::new();
    let mut ordinals: BTreeMap<String, usize> = BTreeMap::new();
    for segment in message.segments() {
        let id = segment.id().into_owned();
        let ordinal = ordinals.entry(id.clone()).or_insert(0);
        *ordinal += 1;
        for field in segment.fields() {
            let mut leaves = Vec::new();
            for (r, repetition) in (1..).zip(field.children()) {
                for (c, component) in (1..).zip(repetition.children()) {
                    for (s, part) in (1..).zip(component.children()) {
                        let text = part.text();
                        if !text.trim().is_empty() && !part.is_null() {
                            leaves.push((r, c, s, text.trim().to_owned()));
                        }
                    }
                }
            }
            if !leaves.is_empty() {
                fields.insert((id.clone(), *ordinal, field.field_number()), leaves);
            }
        }
    }
    fields
}

/// A time without what only says the zone of the test, and without seconds of nought.
fn time(text: &str) -> &str {
    let text = text
        .strip_suffix("+0000")
        .or(text.strip_suffix("-0000"))
        .unwrap_or(text);
    let text = text.split_once('.').map_or(text, |(whole, fraction)| {
        if fraction.bytes().all(|b| b == b'0') {
            whole
        } else {
            text
        }
    });
    let long = text.len() > 8 && text.bytes().all(|b| b.is_ascii_digit());
    if long {
        text.trim_end_matches('0')
    } else {
        text
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Equal,
    Meaning,
    LostThere,
    LostBack,
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
        || time(a) == time(b)
        || a.parse::<f64>().ok() == b.parse().ok() && a.parse::<f64>().is_ok()
}

fn fate(
    key: &(String, usize, u32),
    leaves: &Leaves,
    there: &Converted,
    back: &Fields,
    all: &[&str],
) -> Fate {
    if back.get(key) == Some(leaves) {
        return Fate::Equal;
    }
    let own = back.get(key);
    let elsewhere = ELSEWHERE
        .iter()
        .filter(|(segment, field, ..)| *segment == key.0 && *field == key.2)
        .flat_map(|(_, _, segment, field)| {
            back.iter()
                .filter(move |(other, _)| other.0 == *segment && other.2 == *field)
        })
        .map(|(_, leaves)| leaves);
    let candidates: Vec<&Leaves> = own.into_iter().chain(elsewhere).collect();
    let found = |text: &str| {
        let texts = candidates.iter().flat_map(|leaves| leaves.iter());
        let mut texts = texts.map(|(.., other)| other.as_str());
        texts.any(|other| same(text, other) || (text.len() > 2 && other.contains(text)))
    };
    // The names of systems that FHIR says by a URI, and digits that a number or words hold.
    if leaves.iter().all(|(.., text)| found(text)) {
        return Fate::Meaning;
    }
    let _ = all;
    let unread = there.unmapped.iter().any(|place| {
        place.segment == key.0.as_bytes()
            && place.ordinal as usize == key.1
            && (place.field == key.2 || place.field == 0)
    });
    if unread {
        Fate::LostThere
    } else {
        Fate::LostBack
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    valued: usize,
    equal: usize,
    meaning: usize,
    there: usize,
    back: usize,
}

impl Tally {
    fn add(&mut self, fate: Fate) {
        self.valued += 1;
        match fate {
            Fate::Equal => self.equal += 1,
            Fate::Meaning => self.meaning += 1,
            Fate::LostThere => self.there += 1,
            Fate::LostBack => self.back += 1,
        }
    }

    fn row(&self) -> String {
        let kept = self.equal + self.meaning;
        #[expect(clippy::cast_precision_loss, reason = "a percentage")]
        let share = 100.0 * kept as f64 / self.valued.max(1) as f64;
        format!(
            "{} | {} | {} | {} | {} | {share:.1} %",
            self.valued, self.equal, self.meaning, self.there, self.back
        )
    }
}

#[test]
fn a_message_comes_back_as_the_page_says_suite() {
    if SETS
        .iter()
        .any(|(_, folder)| shared(folder, "round trip").is_none())
    {
        return;
    }
    let maps = Maps::shipped().expect("maps");
    let settings = settings();
    let out = V2Settings::default();
    let sent = Sent {
        control_id: "1",
        at: "2026-01-02T03:04:05Z",
    };
    let mut sets = Vec::new();
    let mut by_field: BTreeMap<(String, u32), Tally> = BTreeMap::new();
    for (name, folder) in SETS {
        let mut tally = Tally::default();
        let (mut count, mut refused) = (0, 0);
        for (path, message) in messages(&shared(folder, "round trip").expect("checked")) {
            let code = message
                .component("MSH", 9, 1)
                .unwrap_or_default()
                .into_owned();
            if !CODES.contains(&code.as_str()) {
                continue;
            }
            let there = to_fhir(maps, &message, &settings, &ARRIVED);
            count += 1;
            let made = to_v2(maps, &there.bundle, &Nothing, &out, sent);
            let back = match made.as_ref().map(|made| made.messages.first()) {
                Ok(Some(back)) => fields(back),
                Ok(None) | Err(_) => {
                    refused += 1;
                    if std::env::var_os("HILUM_SHOW").is_some() {
                        println!(
                            "refused: {} {:?} {:?}",
                            path.display(),
                            message.field("MSH", 9),
                            made.err()
                        );
                    }
                    Fields::new()
                }
            };
            for (key, leaves) in &fields(&message) {
                if OWN
                    .iter()
                    .any(|(segment, field)| *segment == key.0 && *field == key.2)
                {
                    continue;
                }
                let fate = fate(key, leaves, &there, &back, &[]);
                tally.add(fate);
                by_field
                    .entry((key.0.clone(), key.2))
                    .or_default()
                    .add(fate);
                let show = std::env::var("HILUM_SHOW").unwrap_or_default();
                if fate == Fate::LostBack && show == format!("{}-{}", key.0, key.2) {
                    println!("{leaves:?}\n   {:?}", back.get(key));
                }
            }
        }
        sets.push((name, count, refused, tally));
    }
    let page = page(&sets, &by_field);
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/scores/round-trip.md"
    );
    if std::env::var_os("HILUM_SCORES").is_some() {
        std::fs::write(path, &page).expect("written");
    }
    let known = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        known == page,
        "the page differs: run `cargo xtask scores`\n{page}"
    );
}

fn page(
    sets: &[(&&str, usize, usize, Tally)],
    by_field: &BTreeMap<(String, u32), Tally>,
) -> String {
    let mut page = String::from(HEAD);
    for (name, count, refused, tally) in sets {
        let _ok = writeln!(page, "| {name} | {count} | {refused} | {} |", tally.row());
    }
    page.push_str(FIELDS);
    for ((segment, field), tally) in by_field {
        let _ok = writeln!(page, "| {segment}-{field} | {} |", tally.row());
    }
    page
}

const HEAD: &str = "# Round trip: HL7 v2 to FHIR and back

Written by `cargo xtask scores`; do not edit.

Each message of the sets whose kind can be sent (ADT, ORU, ORM, OML, MDM, SIU, VXU) goes to a Bundle
and back to a message. A field that is valued in the message is compared with the one of the same
segment, counted by its name.

- *Equal*: every component of every repetition is the same text.
- *Same meaning*: every value is there, in another component or repetition, in another case, with the
  zone written out, with noughts less, as a part of a longer text (a street line, a name), or in the
  field that says the same (PID-2 in PID-3, ORC-2 in OBR-2, OBR-16 in ORC-12 and the like).
- *Lost there*: the way to FHIR has no row for it, and says so (`unmapped`).
- *Lost back*: anything else. Most are codes that stand for the same code of FHIR, values that FHIR
  holds once for several segments, and elements that a version before 2.5.1 wrote elsewhere.

What whoever sends sets anew (MSH-7, MSH-10, MSH-11, MSH-12, MSH-18, EVN-1, set ids) is not
compared. *Refused* messages give no message at all: all their fields count as lost.

| Set | Messages | Refused | Fields | Equal | Same meaning | Lost there | Lost back | Kept |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
";

const FIELDS: &str = "
## By field

| Field | Valued | Equal | Same meaning | Lost there | Lost back | Kept |
|---|---:|---:|---:|---:|---:|---:|
";
