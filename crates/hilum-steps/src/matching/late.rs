//! A registration that comes after a newer one of the same patient or visit.
//!
//! A plain receiver applies what it gets: a late admission would readmit whoever was discharged, and
//! a late change would bring back an old address. So the newest value of each field takes the place
//! of an older one, lists that were told again since are left out, and an event that is over becomes
//! a change. What no newer message has said goes on as it is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hilum_component::{Halted, SECURITY, StepContext, Working};
use hilum_hl7v2::{Message, Part, Path, Segment};
use hilum_identity::{Act, Facts, Field, Overtaken, Rows, digest, tell};

use super::config::Late;
use super::{finding_at, waits, withhold};

/// What becomes of a registration.
pub(super) enum Fate {
    /// It goes on as it is.
    Same,
    /// It goes on with these changes.
    Changed(Changes),
    /// It says nothing that newer ones have not said.
    Over(&'static str),
}

/// What newer messages have said of a late one.
pub(super) struct Changes {
    /// Fields and lists by name, with the newest value.
    newer: BTreeMap<String, Option<String>>,
    /// Its event is over.
    over: bool,
}

/// Fields that name the record, count or are about the message itself.
const NAMING: [(&str, &[u32]); 2] = [("PID", &[1, 2, 3, 4, 18]), ("PV1", &[1, 19, 50])];

/// The segments whose fields are told one by one, of the patient and of the visit.
const BY_FIELD: [(&str, bool); 4] = [("PID", true), ("PD1", true), ("PV1", false), ("PV2", false)];

/// The lists of the visit; all others are of the patient.
const OF_VISIT: [&str; 8] = ["DG1", "DRG", "PR1", "OBX", "ROL", "ACC", "IN1", "IN2"];

type Fields<'m> = Vec<Field<'m>>;

/// Takes in what a registration of one patient says, which is remembered already, and decides what
/// becomes of it. `past` is what had overtaken it before it was remembered.
pub(super) fn judge(
    message: &Working,
    facts: &Facts,
    past: Overtaken,
    policy: Late,
    rows: &mut Rows,
    context: &mut StepContext<'_>,
) -> Result<Fate, Halted> {
    let Some(v2) = message.document.as_any().downcast_ref::<Message>() else {
        return Ok(Fate::Same);
    };
    context.spend()?;
    let has_visit = facts.sides.visit.is_some();
    let (mut person, mut stay) = said(v2, has_visit);
    let code = facts.event.map_or("", |event| event.code);
    if LEAVE.contains(&code) {
        stay.push(("leave".into(), None));
    }
    let labelled = if has_visit { &mut stay } else { &mut person };
    // A label that no newer message has had is news: what is absent takes none away.
    let labels = message.metadata.get(SECURITY).unwrap_or_default();
    for label in labels.split(' ').filter(|label| !label.is_empty()) {
        let name = format!("label:{:016x}", digest([label.as_bytes()]));
        labelled.push((name.into(), None));
    }
    let total = person.len() + stay.len();
    let newer = tell(&mut rows.over(context), facts, &person, &stay);
    let newer = newer.map_err(|error| waits(error.to_string()))?;
    if past == Overtaken::No && newer.is_empty() {
        return Ok(Fate::Same);
    }
    let left = newer.contains_key("leave");
    let text = "a newer message of the same patient or visit came before it".to_owned();
    finding_at(context, "EVN-2", "late-message", text);
    // What is about the person alone (A31, A60) is not over with the visit.
    let of_visit = matches!(
        facts.event.map(|event| event.act),
        Some(Act::Visit(_) | Act::Within)
    );
    let moves = match facts.event.map(|event| (event.code, event.act)) {
        Some((_, Act::Visit(_))) => past == Overtaken::No,
        // Whoever adds a person makes it known to the receiver.
        Some((code, Act::Person)) => code == "A28",
        _ => false,
    };
    Ok(match policy {
        Late::Keep => Fate::Same,
        Late::Withhold => Fate::Over("a newer message of the same patient or visit came before it"),
        Late::Newest if past == Overtaken::Gone => {
            Fate::Over("its patient or visit was deleted since")
        }
        Late::Newest if past == Overtaken::Back => {
            Fate::Over("its patient was registered again since")
        }
        Late::Newest if newer.len() == total && !moves => {
            Fate::Over("newer messages have said all that it says")
        }
        Late::Newest => Fate::Changed(Changes {
            newer,
            over: of_visit && (past == Overtaken::Visit || left),
        }),
    })
}

/// What a message says of its patient and of its visit: fields with their values, lists by name.
fn said(message: &Message, has_visit: bool) -> (Fields<'_>, Fields<'_>) {
    let (mut patient, mut visit): (Fields<'_>, Fields<'_>) = (Vec::new(), Vec::new());
    let mut scratch = None;
    for segment in message.segments() {
        let id = segment.id();
        if matches!(&*id, "MSH" | "EVN" | "SFT" | "UAC" | "MRG" | "NTE") {
            continue;
        }
        if let Some((_, of_patient)) = BY_FIELD.iter().find(|(name, _)| *name == id) {
            let to = if *of_patient || !has_visit {
                &mut patient
            } else {
                &mut visit
            };
            let naming = NAMING.iter().find(|(name, _)| *name == id);
            let naming = naming.map_or(&[][..], |(_, fields)| fields);
            for field in segment.fields() {
                if !field.is_blank() && !naming.contains(&field.field_number()) {
                    let value = plain(message, &segment, &field, &mut scratch);
                    let name = format!("{id}-{}", field.field_number());
                    to.push((name.into(), value));
                }
            }
            continue;
        }
        let to = if has_visit && OF_VISIT.contains(&&*id) {
            &mut visit
        } else {
            &mut patient
        };
        let name = list(&segment);
        if !to.iter().any(|(known, _)| *known == name) {
            to.push((name, None));
        }
    }
    (patient, visit)
}

/// The patient goes on leave, returns, and what takes either back: of these the newest holds.
const LEAVE: [&str; 4] = ["A21", "A22", "A52", "A53"];

/// The name of the list to which a segment belongs. Each allergy with an action code (IAM-6) is a
/// list of its own, by IAM-7, else IAM-3: that one is deleted says nothing of another.
fn list<'m>(segment: &Segment<'m>) -> Cow<'m, str> {
    let id = segment.id();
    if id != "IAM" {
        return id;
    }
    let said = |n| segment.field(n).filter(|field| !field.is_blank());
    let item = said(7).or_else(|| said(3));
    format!("{id}:{:016x}", digest(item.iter().map(|field| field.raw()))).into()
}

const HEADER: &str = "MSH|^~\\&|||||||ADT^A08|0|P|2.5|||||||UNICODE UTF-8\r";

/// A field with the separators of the standard, in UTF-8.
fn plain<'m>(
    message: &Message,
    segment: &Segment<'m>,
    field: &Part<'m>,
    scratch: &mut Option<Message>,
) -> Option<Cow<'m, str>> {
    let d = message.delimiters();
    let usual = (d.component, d.repetition, d.escape, d.subcomponent) == (b'^', b'~', b'\\', b'&');
    if usual && field.raw().is_ascii() {
        return str::from_utf8(field.raw()).ok().map(Cow::Borrowed);
    }
    if scratch.is_none() {
        *scratch = Message::parse(HEADER.as_bytes().to_vec()).ok();
    }
    let copy = scratch.as_mut()?;
    let (id, number) = (segment.id(), field.field_number());
    put(copy, &id, number, *field).ok()?;
    let found = copy.segments().find(|one| one.id() == id)?.field(number)?;
    String::from_utf8(found.raw().to_vec()).ok().map(Cow::Owned)
}

/// Writes a field, repetition by repetition.
fn put(
    message: &mut Message,
    segment: &str,
    number: u32,
    field: Part<'_>,
) -> Result<(), hilum_hl7v2::EditError> {
    let path = |text: String| {
        Path::parse(&text).map_err(|_| hilum_hl7v2::EditError::Target {
            path: text,
            what: "no field",
        })
    };
    message.delete(&path(format!("{segment}-{number}"))?)?;
    for (part, n) in field.children().zip(1..) {
        message.set_part(&path(format!("{segment}-{number}[{n}]"))?, part)?;
    }
    Ok(())
}

impl Changes {
    /// Writes them into the message.
    pub(super) fn write(self, message: &mut Working) -> Result<(), Halted> {
        let mut lists = Vec::new();
        let Some(v2) = message.document.as_any_mut().downcast_mut::<Message>() else {
            return Ok(());
        };
        let failed = |error: hilum_hl7v2::EditError| {
            Halted::reject(format!("the newest values cannot be written: {error}"))
        };
        for (name, value) in self.newer {
            match name.split_once('-') {
                Some((segment, field)) => {
                    let field = field.parse().unwrap_or_default();
                    replace(v2, segment, field, value.as_deref()).map_err(failed)?;
                }
                None => {
                    let named = |at: &usize| v2.segment(*at).is_some_and(|one| list(&one) == name);
                    lists.extend((0..v2.segment_count()).filter(named));
                }
            }
        }
        if self.over {
            for (path, value) in [("MSH-9.2", "A08"), ("MSH-9.3", "ADT_A01"), ("EVN-1", "A08")] {
                let path = Path::parse(path).map_err(|error| Halted::reject(error.to_string()))?;
                if v2.get(&path).is_some_and(|value| !value.is_empty()) {
                    v2.set(&path, value).map_err(failed)?;
                }
            }
        }
        withhold(message, lists)
    }
}

/// Gives a field the newest value; one that is not kept says nothing.
fn replace(
    message: &mut Message,
    segment: &str,
    field: u32,
    value: Option<&str>,
) -> Result<(), hilum_hl7v2::EditError> {
    let bars = "|".repeat(field as usize);
    let text = format!("{HEADER}{segment}{bars}{}\r", value.unwrap_or_default());
    let newest = Message::parse(text.into_bytes()).ok();
    let newest = newest.as_ref().and_then(|one| one.segment(1)?.field(field));
    match newest {
        Some(newest) => put(message, segment, field, newest),
        None => Ok(()),
    }
}
