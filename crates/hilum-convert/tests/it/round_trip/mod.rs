//! HL7 v2 to FHIR and back: what of each field comes back, as `docs/scores/round-trip.md` says.

mod compare;
mod explained;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hilum_convert::reverse::{Nothing, Sent, V2Settings, to_v2};
use hilum_convert::{Converted, Maps, Settings, to_fhir};
use hilum_hl7v2::Message;

use crate::samples::{ARRIVED, messages, settings, shared};
use compare::{Fate, OWN, Segment, fate, pairs, segments, shown};
use explained::Explanations;

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

/// What became of fields.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    valued: usize,
    equal: usize,
    meaning: usize,
    /// No row of the way there reads it.
    unread: usize,
    /// Lost or changed, and a row says why.
    told: usize,
    lost: usize,
    changed: usize,
}

impl Tally {
    fn row(&self) -> String {
        let kept = self.equal + self.meaning;
        #[expect(clippy::cast_precision_loss, reason = "a percentage")]
        let share = 100.0 * kept as f64 / self.valued.max(1) as f64;
        let Self {
            valued,
            equal,
            meaning,
            unread,
            told,
            lost,
            changed,
        } = self;
        format!(
            "{valued} | {equal} | {meaning} | {unread} | {told} | {lost} | {changed} | {share:.1} %"
        )
    }

    fn add(&mut self, other: &Self) {
        self.valued += other.valued;
        self.equal += other.equal;
        self.meaning += other.meaning;
        self.unread += other.unread;
        self.told += other.told;
        self.lost += other.lost;
        self.changed += other.changed;
    }
}

/// What became of whole segments.
#[derive(Clone, Copy, Debug, Default)]
struct Segments {
    count: usize,
    /// A segment of its name says something of it, or others say all of it.
    back: usize,
    /// No row of the way there reads anything of it.
    unread: usize,
    /// Gone, and a row says why.
    told: usize,
    gone: usize,
}

impl Segments {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.back += other.back;
        self.unread += other.unread;
        self.told += other.told;
        self.gone += other.gone;
    }
}

/// What was counted.
#[derive(Default)]
struct Counts {
    fields: BTreeMap<(String, u32), Tally>,
    segments: BTreeMap<String, Segments>,
}

impl Counts {
    /// Adds those of a set, and says what became of all its fields.
    fn add(&mut self, set: Self) -> Tally {
        let mut tally = Tally::default();
        for (field, one) in set.fields {
            tally.add(&one);
            self.fields.entry(field).or_default().add(&one);
        }
        for (name, one) in set.segments {
            self.segments.entry(name).or_default().add(&one);
        }
        tally
    }
}

/// A message there and back, field by field.
struct Trip<'m> {
    set: &'m str,
    file: String,
    message: &'m Message,
    there: Converted,
    back: Vec<Segment>,
}

impl Trip<'_> {
    fn count(&self, explanations: &mut Explanations, counts: &mut Counts) {
        let own = segments(self.message);
        for (one, other) in own.iter().zip(pairs(&own, &self.back)) {
            let compared = |field: &u32| {
                let mut own = OWN.iter();
                !own.any(|(id, number)| *id == one.id && number == field)
            };
            let fields = one.fields.keys().copied().filter(compared);
            let fates: Vec<(u32, Fate)> = fields
                .map(|field| (field, fate(one, field, other, &self.back)))
                .collect();
            let amiss = |(field, fate): &(u32, Fate)| {
                matches!(fate, Fate::Amiss(_)) && !self.is_unread(one, *field)
            };
            let all = counts.segments.entry(one.id.clone()).or_default();
            all.count += 1;
            // What is gone as a whole has one reason, and not one for each of its fields.
            let is_gone = other.is_none() && fates.iter().any(amiss);
            let is_told = is_gone && explanations.tell_gone(&self.file, &one.id);
            let is_read = fates.iter().any(|(field, _)| !self.is_unread(one, *field));
            match (is_gone, is_told) {
                (false, _) if other.is_some() || is_read || fates.is_empty() => all.back += 1,
                (false, _) => all.unread += 1,
                (true, true) => all.told += 1,
                (true, false) => all.gone += 1,
            }
            for (field, fate) in fates {
                let tally = counts.fields.entry((one.id.clone(), field)).or_default();
                tally.valued += 1;
                let amiss = match fate {
                    Fate::Equal => {
                        tally.equal += 1;
                        continue;
                    }
                    Fate::Meaning => {
                        tally.meaning += 1;
                        continue;
                    }
                    Fate::Amiss(amiss) => amiss,
                };
                let name = format!("{}-{field}", one.id);
                if self.is_unread(one, field) {
                    tally.unread += 1;
                } else if is_told || !is_gone && explanations.tell(&self.file, &name, &amiss) {
                    tally.told += 1;
                } else {
                    if amiss.iter().any(|(_, is_changed)| *is_changed) {
                        tally.changed += 1;
                    } else {
                        tally.lost += 1;
                    }
                    self.show(one, other, field, &amiss);
                }
            }
        }
    }

    /// Prints what came of a field that nothing explains.
    fn show(&self, one: &Segment, other: Option<&Segment>, field: u32, amiss: &[(u32, bool)]) {
        let leaves = |of: Option<&Segment>| {
            let leaves = of.and_then(|of| of.fields.get(&field));
            leaves.map(shown).unwrap_or_default()
        };
        println!(
            "{amiss:?} {} {} {}[{}]-{field}{}\n  {}\n  {}",
            self.set,
            self.file,
            one.id,
            one.ordinal,
            if other.is_none() { " (gone)" } else { "" },
            leaves(Some(one)),
            leaves(other)
        );
    }

    fn is_unread(&self, one: &Segment, field: u32) -> bool {
        self.there.unmapped.iter().any(|place| {
            place.segment == one.id.as_bytes()
                && place.ordinal as usize == one.ordinal
                && (place.field == field || place.field == 0)
        })
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
    // The sets are of the United States, where race and ethnicity have a place.
    let settings = Settings {
        country: Some("US".to_owned()),
        profile: Some("us-core".to_owned()),
        ..settings()
    };
    let out = V2Settings::default();
    let sent = Sent {
        control_id: "1",
        at: "2026-01-02T03:04:05Z",
    };
    let mut explanations = Explanations::read();
    let mut sets = Vec::new();
    let mut all = Counts::default();
    for (name, folder) in SETS {
        let mut counts = Counts::default();
        let (mut count, mut refused) = (0, 0);
        for (path, message) in messages(&shared(folder, "round trip").expect("checked")) {
            let code = message.component("MSH", 9, 1).unwrap_or_default();
            if !CODES.contains(&&*code) {
                continue;
            }
            let there = to_fhir(maps, &message, &settings, &ARRIVED);
            count += 1;
            let made = to_v2(maps, &there.bundle, &Nothing, &out, sent);
            let back = match made.as_ref().map(|made| made.messages.first()) {
                Ok(Some(back)) => segments(back),
                Ok(None) | Err(_) => {
                    refused += 1;
                    println!("refused: {} {:?}", path.display(), made.err());
                    Vec::new()
                }
            };
            let file = path.file_name().unwrap_or_default();
            let trip = Trip {
                set: name,
                file: file.to_string_lossy().into_owned(),
                message: &message,
                there,
                back,
            };
            trip.count(&mut explanations, &mut counts);
        }
        sets.push((name, count, refused, all.add(counts)));
    }
    let page = page(&sets, &all, &explanations);
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
    assert_eq!(
        explanations.unused(),
        Vec::<usize>::new(),
        "rows of explained.txt that fit nothing"
    );
    assert_eq!(
        unexplained(&sets),
        (0, 0),
        "fields are lost or changed and no row of explained.txt says why; they are printed above"
    );
}

/// Fields that are lost and changed without a reason.
fn unexplained(sets: &[(&&str, usize, usize, Tally)]) -> (usize, usize) {
    let mut all = Tally::default();
    sets.iter().for_each(|(.., tally)| all.add(tally));
    (all.lost, all.changed)
}

fn page(
    sets: &[(&&str, usize, usize, Tally)],
    all: &Counts,
    explanations: &Explanations,
) -> String {
    let mut page = String::from(HEAD);
    for (name, count, refused, tally) in sets {
        let _ok = writeln!(page, "| {name} | {count} | {refused} | {} |", tally.row());
    }
    page.push_str(WHY);
    explanations.write(&mut page);
    page.push_str(SEGMENTS);
    for (segment, all) in &all.segments {
        let Segments {
            count,
            back,
            unread,
            told,
            gone,
        } = all;
        let _ok = writeln!(
            page,
            "| {segment} | {count} | {back} | {unread} | {told} | {gone} |"
        );
    }
    page.push_str(FIELDS);
    for ((segment, field), tally) in &all.fields {
        let _ok = writeln!(page, "| {segment}-{field} | {} |", tally.row());
    }
    page
}

const HEAD: &str = "# Round trip: HL7 v2 to FHIR and back

Written by `cargo xtask scores`; do not edit.

Each message of the sets whose kind can be sent (ADT, ORU, ORM, OML, MDM, SIU, VXU) goes to a Bundle
and back to a message. A field that is valued in the message is compared with the one of the segment
of the same name that says most of the same.

- *Equal*: every component of every repetition is the same text.
- *Same meaning*: every value is there, in another component or repetition, in another case, with the
  zone written out, with noughts less, as a part of a longer text (a street line, a name), as another
  data type that holds the same (CE and CWE, ST, TX and FT, DT, TS and DTM in OBX-2), or in the field
  that says the same (PID-2 in PID-3, ORC-2 in OBR-2, OBR-16 in ORC-12, NK1-40 in NK1-5 and the like).
- *Not read*: the way to FHIR has no row for it, and says so (`unmapped`).
- *With a reason*: something of it does not come back, and a row below says why.
- *Lost*, *changed*: the rest; changed where another value stands in the place of one that is gone.

What whoever sends sets anew (MSH-7, MSH-10, MSH-11, MSH-12, MSH-18, EVN-1, set ids) is not
compared. *Refused* messages give no message at all: all their segments are gone. The test fails on
a field that is lost or changed, and on a segment that is gone, without a reason. The way to FHIR
is that of a site in the United States (`country: US`, `profile: us-core`), as the sets are.

| Set | Messages | Refused | Fields | Equal | Same meaning | Not read | With a reason | Lost | Changed | Kept |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
";

const WHY: &str = "
## Why

The rows of `crates/hilum-convert/tests/it/round_trip/explained.txt`, with how many fields, or whole
segments, each tells of. Behind an `@` stands the sample that a reason holds for.
";

const SEGMENTS: &str = "
## Whole segments

*Back*: something of it comes back, or all that it says stands in other segments. *Not read*: no row
of the way to FHIR reads anything of it, and says so. *Gone*: nothing of it comes back.

| Segment | There | Back | Not read | Gone with a reason | Gone |
|---|---:|---:|---:|---:|---:|
";

const FIELDS: &str = "
## By field

| Field | Valued | Equal | Same meaning | Not read | With a reason | Lost | Changed | Kept |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
";
