//! A registration that comes after a newer one of the same patient or visit.
//!
//! A plain receiver applies what it gets: a late admission would readmit whoever was discharged, and
//! a late change would bring back an old address. So the newest value of each field takes the place
//! of an older one, lists that were told again since are left out or brought up to date item by item,
//! and an event that is over becomes a change. What no newer message has said goes on as it is. Of a visit
//! that was merged into another one since, only what is said of the person goes on.
//!
//! What changes links (A40, A42, A24, ...) says of whoever stays what any registration would: it is kept, and
//! what is older than what is known gives way to that. The event itself goes on whenever it comes, since no
//! newer message says its links again. Each patient of such a message is a part of its own.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use hilum_component::{Halted, SECURITY, StepContext, Working};
use hilum_hl7v2::{EditError, Message, Part, Path, Segment};
use hilum_identity::{
    Act, Event, Facts, Field, Kind, Level, NULL, Newer, Overtaken, Rows, digest, overtaken, tell,
};
use hilum_message::MessageId;
use smol_str::format_smolstr;

use super::config::{Late, Merged};
use super::facts::Group;
use super::lists::{self, Names};
use super::sender::Sender;
use super::{finding_at, waits, withhold};

/// What becomes of a registration, or of a section of it.
pub(super) enum Fate {
    /// It goes on as it is.
    Same,
    /// It goes on with these changes.
    Changed(Changes),
    /// It says nothing that newer ones have not said.
    Over(&'static str),
}

/// What a message says of one of its patients.
pub(super) struct Section<'a> {
    pub(super) facts: &'a Facts,
    /// Its segments.
    at: Range<usize>,
    /// It is all of the message.
    is_all: bool,
    /// Where its number was merged, that of the survivor takes its place.
    is_followed: bool,
    by: MessageId,
}

impl<'a> Section<'a> {
    /// What is told of the patients of a group. Messages about several patients are told as far as they
    /// change links: of others nobody says how their parts belong together.
    pub(super) fn of(group: &'a Group, single: bool, by: MessageId) -> Vec<Self> {
        let facts = &group.facts;
        let relinks = facts.event.is_some_and(Event::relinks);
        if facts.kind != Kind::Registration || facts.event.is_none() || !(single || relinks) {
            return Vec::new();
        }
        let is_all = single && group.other.is_none();
        let own = Self {
            facts,
            at: if is_all {
                0..usize::MAX
            } else {
                group.segments.clone()
            },
            is_all,
            is_followed: true,
            by,
        };
        let other = group.other.as_deref().map(|other| Self {
            facts: &other.facts,
            at: other.segments.clone(),
            is_all: false,
            is_followed: false,
            by: by.derive("other", 0),
        });
        std::iter::once(own).chain(other).collect()
    }
}

/// What the site wants.
pub(super) struct Policy<'s> {
    pub(super) late: Late,
    pub(super) merged: Merged,
    pub(super) sender: &'s Sender,
}

/// What newer messages have said of a late one.
pub(super) struct Changes {
    /// The segments that it is about.
    at: Range<usize>,
    newer: Newer,
    /// How its lists are named.
    names: Names,
    event: Becomes,
}

/// What becomes of its event.
enum Becomes {
    Itself,
    /// It is over: a change (A08).
    Change,
    /// Its visit is over too: a change of the person (A31), without a visit.
    Person,
    /// It is about the person alone, and goes on without a visit.
    Alone,
}

/// Fields that name the record, count or are about the message itself.
const NAMING: [(&str, &[u32]); 2] = [("PID", &[1, 2, 3, 4, 18]), ("PV1", &[1, 19, 50])];

/// The segments whose fields are told one by one, of the patient and of the visit.
const BY_FIELD: [(&str, bool); 4] = [("PID", true), ("PD1", true), ("PV1", false), ("PV2", false)];

/// The lists of the visit; all others are of the patient.
const OF_VISIT: [&str; 8] = ["DG1", "DRG", "PR1", "OBX", "ROL", "ACC", "IN1", "IN2"];

type Fields<'m> = Vec<Field<'m>>;

/// What has overtaken each section. To be asked before the message is remembered.
pub(super) fn past(
    sections: &[Section<'_>],
    rows: &mut Rows,
    context: &mut StepContext<'_>,
) -> Result<Vec<Overtaken>, Halted> {
    let all = sections.iter();
    let all = all.map(|one| overtaken(&mut rows.over(context), one.facts));
    let all: Result<_, _> = all.collect();
    all.map_err(|error| waits(error.to_string()))
}

/// Takes in what a registration says of a patient, which is remembered already, and decides what
/// becomes of it. `past` is what had overtaken it before it was remembered.
pub(super) fn judge(
    message: &Working,
    section: Section<'_>,
    past: Overtaken,
    policy: &Policy<'_>,
    rows: &mut Rows,
    context: &mut StepContext<'_>,
) -> Result<Fate, Halted> {
    let Some(v2) = message.document.as_any().downcast_ref::<Message>() else {
        return Ok(Fate::Same);
    };
    context.spend()?;
    let facts = section.facts;
    let names = match section.is_all {
        true => Names::of(v2, policy.sender),
        false => Names::default(),
    };
    let given_up = past == Overtaken::GivenUp;
    let (person, stay) = told(message, v2, &section, &names, given_up);
    let total = person.len() + stay.len();
    let newer = tell(&mut rows.over(context), facts, (&person, &stay), section.by);
    let mut newer = newer.map_err(|error| waits(error.to_string()))?;
    if newer.of_former && !(section.is_followed && policy.merged == Merged::Rewrite) {
        // It stays under the former number, of which it is said.
        newer = Newer::default();
    }
    if past == Overtaken::No && newer.is_empty() {
        return Ok(Fate::Same);
    }
    if past != Overtaken::No || !newer.of_former {
        late_message(context);
    }
    if let Some(event) = facts.event.filter(|event| event.relinks()) {
        let names_visits = |level: &Level| matches!(level, Level::Visit | Level::AlternateVisit);
        let of_visit = event.levels.iter().any(names_visits);
        return Ok(match policy.late {
            Late::Keep => Fate::Same,
            // Nobody else says its links.
            Late::Newest | Late::Withhold => Fate::Changed(Changes {
                at: section.at,
                newer,
                names,
                event: match given_up && !of_visit {
                    true => Becomes::Alone,
                    false => Becomes::Itself,
                },
            }),
        });
    }
    Ok(registration(
        facts,
        past,
        policy.late,
        (section.at, newer, names),
        total,
    ))
}

fn late_message(context: &mut StepContext<'_>) {
    let code = "late-message";
    if context.findings.iter().all(|known| known.code != code) {
        let text = "a newer message of the same patient or visit came before it";
        finding_at(context, "EVN-2", code, text.to_owned());
    }
}

/// What a part of a message tells of its patient and of its visit.
fn told<'m>(
    message: &'m Working,
    v2: &'m Message,
    section: &Section<'_>,
    names: &Names,
    given_up: bool,
) -> (Fields<'m>, Fields<'m>) {
    let facts = section.facts;
    let has_visit = facts.sides.visit.is_some();
    let (mut person, mut stay) = said(v2, &section.at, has_visit, names);
    let code = facts.event.map_or("", |event| event.code);
    if LEAVE.contains(&code) {
        stay.push(("leave".into(), None));
    }
    if facts.event.is_some_and(Event::relinks) {
        // A PV1 says something of the visit that it names, and of several each of its own.
        let own = |one: &Segment<'_>| section.at.contains(&one.index()) && one.has_id("PV1");
        if !has_visit || v2.segments().filter(own).count() > 1 {
            let of_visit = |name: &str| name.starts_with("PV1-") || name.starts_with("PV2-");
            person.retain(|(name, _)| !of_visit(name));
            stay.retain(|(name, _)| !of_visit(name));
        }
    }
    if given_up {
        // It is not said of the visit that stays.
        stay.clear();
    }
    if !section.is_all {
        return (person, stay);
    }
    let labelled = match has_visit && !given_up {
        true => &mut stay,
        false => &mut person,
    };
    // A label that no newer message has had is news: what is absent takes none away.
    let labels = message.metadata.get(SECURITY).unwrap_or_default();
    for label in labels.split(' ').filter(|label| !label.is_empty()) {
        let name = format_smolstr!("label={:016x}", digest([label.as_bytes()]));
        labelled.push((name, None));
    }
    (person, stay)
}

/// What becomes of one that registers or changes a patient or a visit, and no links.
fn registration(
    facts: &Facts,
    past: Overtaken,
    policy: Late,
    (at, newer, names): (Range<usize>, Newer, Names),
    total: usize,
) -> Fate {
    let given_up = past == Overtaken::GivenUp;
    let left = newer.said.contains_key("leave");
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
    match policy {
        Late::Keep => Fate::Same,
        Late::Withhold => Fate::Over("a newer message of the same patient or visit came before it"),
        Late::Newest if past == Overtaken::Gone => {
            Fate::Over("its patient or visit was deleted since")
        }
        Late::Newest if past == Overtaken::Back => {
            Fate::Over("its patient was registered again since")
        }
        Late::Newest if given_up && newer.said.len() == total => {
            Fate::Over("its visit was merged into another one since")
        }
        Late::Newest if newer.said.len() == total && !moves => {
            Fate::Over("newer messages have said all that it says")
        }
        Late::Newest => Fate::Changed(Changes {
            at,
            newer,
            names,
            event: match past {
                Overtaken::GivenUp if of_visit => Becomes::Person,
                Overtaken::GivenUp => Becomes::Alone,
                Overtaken::Visit if of_visit => Becomes::Change,
                _ if of_visit && left => Becomes::Change,
                Overtaken::No | Overtaken::Visit | Overtaken::Gone | Overtaken::Back => {
                    Becomes::Itself
                }
            },
        }),
    }
}

/// What segments say of their patient and of their visit: fields with their values, lists by name.
fn said<'m>(
    message: &'m Message,
    at: &Range<usize>,
    has_visit: bool,
    names: &Names,
) -> (Fields<'m>, Fields<'m>) {
    let (mut patient, mut visit): (Fields<'_>, Fields<'_>) = (Vec::new(), Vec::new());
    let mut scratch = None;
    let own = message.segments();
    for segment in own.filter(|segment| at.contains(&segment.index())) {
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
                    let name = format_smolstr!("{id}-{}", field.field_number());
                    to.push((name, value));
                }
            }
            continue;
        }
        let to = if has_visit && OF_VISIT.contains(&&*id) {
            &mut visit
        } else {
            &mut patient
        };
        let name = names.name(&segment);
        let text = match names.keeps(&name) {
            true => lists::text(&segment, &mut scratch),
            false => names.deletes_all(&segment).then_some(NULL.into()),
        };
        match to.iter_mut().find(|(known, _)| *known == name) {
            // One of several of the same name cannot take the place of another.
            Some((_, Some(before))) if before != NULL => {
                let text = text.as_deref().unwrap_or_default();
                *before = format!("{before}\r{text}").into();
            }
            Some(_) => {}
            None => to.push((name, text)),
        }
    }
    (patient, visit)
}

/// The patient goes on leave, returns, and what takes either back: of these the newest holds.
const LEAVE: [&str; 4] = ["A21", "A22", "A52", "A53"];

pub(super) const HEADER: &str = "MSH|^~\\&|||||||ADT^A08|0|P|2.5|||||||UNICODE UTF-8\r";

/// A field with the separators of the standard, in UTF-8.
fn plain<'m>(
    message: &Message,
    segment: &Segment<'m>,
    field: &Part<'m>,
    scratch: &mut Option<Message>,
) -> Option<Cow<'m, str>> {
    if is_usual(message) && field.raw().is_ascii() {
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

/// It has the separators of the standard.
pub(super) fn is_usual(message: &Message) -> bool {
    let d = message.delimiters();
    let usual = (d.component, d.repetition, d.escape, d.subcomponent) == (b'^', b'~', b'\\', b'&');
    usual && d.field == b'|'
}

/// Writes a field, repetition by repetition.
pub(super) fn put(
    message: &mut Message,
    segment: &str,
    number: u32,
    field: Part<'_>,
) -> Result<(), EditError> {
    let path = |text: String| {
        Path::parse(&text).map_err(|_| EditError::Target {
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

/// Writes what the sections of a message become; gives why nothing of it goes on.
pub(super) fn write(
    fates: Vec<Fate>,
    message: &mut Working,
) -> Result<Option<&'static str>, Halted> {
    // The last first: what goes out of one moves those behind it.
    for fate in fates.into_iter().rev() {
        match fate {
            Fate::Same => {}
            Fate::Over(why) => return Ok(Some(why)),
            Fate::Changed(changes) => changes.write(message)?,
        }
    }
    Ok(None)
}

impl Changes {
    fn write(self, message: &mut Working) -> Result<(), Halted> {
        let at = self.at;
        let Newer { said, items, .. } = self.newer;
        let (fields, parts): (BTreeMap<_, _>, BTreeMap<_, _>) =
            said.into_iter().partition(|(name, _)| name.contains('-'));
        let parts: BTreeSet<String> = parts.into_keys().collect();
        let Some(v2) = message.document.as_any_mut().downcast_mut::<Message>() else {
            return Ok(());
        };
        for (name, value) in fields {
            if let Some((segment, field)) = name.split_once('-') {
                let field = field.parse().unwrap_or_default();
                replace(v2, &at, (segment, field), value.as_deref()).map_err(failed)?;
            }
        }
        let event = match self.event {
            Becomes::Itself | Becomes::Alone => &[][..],
            Becomes::Change => &[("MSH-9.2", "A08"), ("MSH-9.3", "ADT_A01"), ("EVN-1", "A08")],
            Becomes::Person => &[("MSH-9.2", "A31"), ("MSH-9.3", "ADT_A05"), ("EVN-1", "A31")],
        };
        for (path, value) in event {
            let path = path_of(path)?;
            if v2.get(&path).is_some_and(|value| !value.is_empty()) {
                v2.set(&path, value).map_err(failed)?;
            }
        }
        let alone = matches!(self.event, Becomes::Person | Becomes::Alone);
        if alone {
            without_visit(v2, &at).map_err(failed)?;
        }
        let said_again = self.names.say_again(message, &parts, &items)?;
        let Some(v2) = message.document.as_any().downcast_ref::<Message>() else {
            return Ok(());
        };
        let of_visit = |one: &Segment<'_>| {
            let id = one.id();
            alone && (id == "PV2" || OF_VISIT.contains(&&*id))
        };
        let over = v2.segments().filter(|one| at.contains(&one.index()));
        let is_over = |one: &Segment<'_>| {
            !said_again.contains(&*one.id()) && parts.contains(&*self.names.name(one))
        };
        let over = over.filter(|one| of_visit(one) || is_over(one));
        let over = over.map(|one| one.index()).collect();
        withhold(message, over)
    }
}

pub(super) fn failed(error: EditError) -> Halted {
    Halted::reject(format!("the newest values cannot be written: {error}"))
}

/// Gives a field the newest value; one that is not kept says nothing.
fn replace(
    message: &mut Message,
    at: &Range<usize>,
    (segment, field): (&str, u32),
    value: Option<&str>,
) -> Result<(), EditError> {
    let all = message.segments().filter(|one| one.has_id(segment));
    let Some((_, nth)) = all.zip(1..).find(|(one, _)| at.contains(&one.index())) else {
        return Ok(());
    };
    let bars = "|".repeat(field as usize);
    let text = format!("{HEADER}{segment}{bars}{}\r", value.unwrap_or_default());
    let newest = Message::parse(text.into_bytes()).ok();
    let newest = newest.as_ref().and_then(|one| one.segment(1)?.field(field));
    match newest {
        Some(newest) => put(message, &format!("{segment}[{nth}]"), field, newest),
        None => Ok(()),
    }
}

fn path_of(text: &str) -> Result<Path, Halted> {
    Path::parse(text).map_err(|error| Halted::reject(error.to_string()))
}

/// Says that the message is about no visit (PV1-2, table 0004).
fn without_visit(message: &mut Message, at: &Range<usize>) -> Result<(), EditError> {
    let visits = message.segments().filter(|segment| segment.has_id("PV1"));
    let mut fields = Vec::new();
    for (visit, nth) in visits.zip(1..) {
        if !at.contains(&visit.index()) {
            continue;
        }
        let others = visit.fields().map(|field| field.field_number());
        let others = others.filter(|field| *field > 2);
        fields.extend(others.map(|field| format!("PV1[{nth}]-{field}")));
        fields.push(format!("PV1[{nth}]-2"));
    }
    for text in fields {
        let Ok(path) = Path::parse(&text) else {
            continue;
        };
        match text.ends_with("-2") {
            true => message.set(&path, "N")?,
            false => message.delete(&path)?,
        };
    }
    Ok(())
}
