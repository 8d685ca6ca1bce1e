//! Two states of a resource become one.
//!
//! Each part has the value of the greatest time; of one time the greater bytes, and a value before a
//! deletion. That is a maximum for each part, so neither the order of arrival nor repetition matters.
//!
//! A result or report is one part as a whole: the flag of an old value beside the new value would be
//! a lie. Whether it is final comes before when it was so, so that nothing preliminary stands in the
//! place of what was final, whatever the clocks say (see `hilum-identity`, the state table).

use std::collections::HashMap;

use hilum_fhir::definitions::{Definitions, TypeId};
use hilum_message::SourceTime;

use super::inactive::Inactive;
use super::parts::{Key, Part, above, joined, named, number, parts};
use super::times::{Own, Times};
use super::{Timed, listed};
use crate::write::{Member, members};

/// Types that a message always says as a whole.
const WHOLE: [&str; 5] = [
    "Observation",
    "DiagnosticReport",
    "Binary",
    "Media",
    "Composition",
];

/// Statuses that are not final yet (FHIR R4 observation-status, diagnostic-report-status,
/// composition-status, event-status).
const OPEN: [&[u8]; 5] = [
    b"\"registered\"",
    b"\"partial\"",
    b"\"preliminary\"",
    b"\"preparation\"",
    b"\"in-progress\"",
];

/// Codes that only fill a place that must not be empty (FHIR R4 Encounter.status, Encounter.class).
const NOTHING: [Member<'_>; 2] = [
    (b"status", b"\"unknown\""),
    (
        b"class",
        b"{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-NullFlavor\",\"code\":\"UNK\"}",
    ),
];

/// What a link to the one who replaces a patient says, and the element that goes with it (FHIR R4
/// Patient.link).
const REPLACED: Member<'_> = (b"type", b"\"replaced-by\"");
const ACTIVE: &str = "active";

/// What is stored now.
pub(crate) struct Current<'b> {
    pub(crate) json: &'b [u8],
    pub(crate) times: Times,
    /// It, or what comes, has content that is not in its text: neither is taken apart.
    pub(crate) apart: bool,
}

/// What the merge comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing changes, not even a time.
    Same,
    /// What comes takes the place of what is there, as it is.
    Replaced(Times),
    /// A resource of both.
    Merged(Vec<u8>, Times),
    /// Something newer is there in everything.
    Late,
}

/// Merges what comes with what is there. Both are compact JSON.
pub(crate) fn merge(ty: TypeId, current: &Current<'_>, comes: &[u8], timed: &Timed) -> Outcome {
    if current.times.gap {
        return Outcome::Replaced(fresh(ty, timed));
    }
    let name = Definitions::r4().type_def(ty).name;
    if current.apart || WHOLE.contains(&name) {
        return whole(ty, current, comes, timed);
    }
    Merge {
        now: &current.times,
        timed,
        deletes: deleted(ty, timed),
        gives_up: given_up(timed).collect(),
        type_name: name,
        revived: listed::revived(&current.times, timed),
        back: HashMap::new(),
        inactive: Inactive::of(&current.times),
        replaced: false,
        changed: false,
        newer: false,
        lost: false,
    }
    .run(name, parts(ty, current.json), parts(ty, comes))
}

/// The times of a resource that was not there.
pub(crate) fn fresh(ty: TypeId, timed: &Timed) -> Times {
    let gone = deleted(ty, timed).into_iter().chain(given_up(timed));
    let own = gone.map(|name| Own {
        name,
        place: None,
        time: timed.time,
    });
    Times {
        own: own.collect(),
        ..Times::all(timed.time)
    }
}

/// The parts that a source deletes. Numbers stay, for without them a resource is found no more, and
/// what no resource of the type may be without.
fn deleted(ty: TypeId, timed: &Timed) -> Vec<String> {
    let tables = Definitions::r4();
    let root = tables.type_def(ty).root;
    let may = |element: &&String| {
        let top = above(element).unwrap_or(element);
        let mut children = tables.children(root).map(|id| tables.element(id));
        let found = children.find(|child| child.name == top);
        found.is_some_and(|found| found.min == 0 || element.contains('.'))
    };
    let names = timed.deletes.iter().filter(may);
    names
        .map(|element| named(ty, element))
        .filter(|name| !matches!(&**name, "identifier" | "extension"))
        .chain(listed::marks(timed))
        .collect()
}

/// The names of the identifiers that a source says are no more.
fn given_up(timed: &Timed) -> impl Iterator<Item = String> {
    let all = timed.gives_up.iter();
    all.map(|(system, value)| number(system, value))
}

fn whole(ty: TypeId, current: &Current<'_>, comes: &[u8], timed: &Timed) -> Outcome {
    let before = current.times.rest.unwrap_or(SourceTime::NEVER);
    let plain = |json| -> Vec<Vec<u8>> {
        let mut all: Vec<Vec<u8>> = parts(ty, json).iter().map(Part::bytes).collect();
        all.sort_unstable();
        all
    };
    let (old, new) = (plain(current.json), plain(comes));
    if old == new {
        return match timed.time > before {
            true => Outcome::Replaced(listed::replaced(&current.times, timed)),
            false => Outcome::Same,
        };
    }
    let is_closed = |json| {
        let status = members(json)
            .into_iter()
            .find(|(name, _)| *name == b"status");
        status.is_some_and(|(_, status)| !OPEN.contains(&status))
    };
    let now = (is_closed(current.json), before, old);
    match (is_closed(comes), timed.time, new) > now {
        true => Outcome::Replaced(listed::replaced(&current.times, timed)),
        false => Outcome::Late,
    }
}

/// Whether a part is all of what a name means. Of a list whose items are parts there may be more.
fn is_one(key: &Key, name: &str) -> bool {
    key.name == name && key.item.is_none()
}

/// A link to the one who replaces a patient.
fn replaces(part: &Part<'_>) -> bool {
    let mut links = part.content.iter().filter(|(name, _)| *name == b"link");
    part.key.name == "link" && links.any(|(_, link)| members(link).contains(&REPLACED))
}

/// A part of the result, with its time.
type Kept<'b> = (Part<'b>, SourceTime);

struct Merge<'t> {
    now: &'t Times,
    timed: &'t Timed,
    deletes: Vec<String>,
    /// The identifiers that are given up.
    gives_up: Vec<String>,
    type_name: &'static str,
    /// Since when it had ended that is said again.
    revived: Option<SourceTime>,
    /// What is taken back, with what it was.
    back: HashMap<Key, Vec<u8>>,
    /// What is said of a patient who is replaced apart from that.
    inactive: Inactive,
    /// The patient is replaced by another one, and so is not active, whatever else is said of it.
    replaced: bool,
    /// A value is another one.
    changed: bool,
    /// A time is another one.
    newer: bool,
    /// Something of what comes is not there.
    lost: bool,
}

impl<'t> Merge<'t> {
    fn run<'b>(mut self, name: &str, now: Vec<Part<'b>>, comes: Vec<Part<'b>>) -> Outcome {
        let takes_back = &self.timed.takes_back;
        let (back, comes): (Vec<_>, Vec<_>) = comes
            .into_iter()
            .partition(|part| takes_back.contains(&part.key.name));
        let back = back.into_iter();
        self.back = back.map(|part| (part.key.clone(), part.bytes())).collect();
        let gone = |part: &&Part<'b>| {
            self.back
                .get(&part.key)
                .is_some_and(|said| *said == part.bytes())
        };
        let stays = now.iter().filter(|part| !gone(part));
        let heard = comes.iter().filter(|part| !self.is_over(&part.key));
        self.replaced = stays.chain(heard).any(replaces);
        self.apart_from_links(&now, &comes);
        let mut coming: HashMap<Key, Part<'b>> = comes
            .iter()
            .map(|part| (part.key.clone(), part.clone()))
            .collect();
        let mut kept: Vec<Kept<'b>> = Vec::with_capacity(now.len() + comes.len());
        let mut gone: Vec<(String, SourceTime)> = Vec::new();
        for part in now {
            if self
                .back
                .get(&part.key)
                .is_some_and(|said| *said == part.bytes())
                && !self.must_be(&part.key)
            {
                self.changed = true;
                if part.key.name == ACTIVE {
                    // It says the same of who was deleted.
                    match self.inactive.since() {
                        Some(since) => kept.push((part, since)),
                        None => gone.extend(self.inactive.over.map(|over| (part.key.name, over))),
                    }
                }
                // Of all else nothing is said any more, as if it had never been; so no time is kept.
                continue;
            }
            match coming.remove(&part.key) {
                Some(new) => kept.push(self.both(part, new)),
                None => match self.only_now(&part) {
                    None => {
                        let time = self.present(&part);
                        kept.push((part, time));
                    }
                    Some(time) => {
                        let name = part.key.number().unwrap_or(part.key.name);
                        gone.push((name, time));
                    }
                },
            }
        }
        for part in comes {
            if coming.remove(&part.key).is_some()
                && let Some(one) = self.only_coming(part)
            {
                kept.push(one);
            }
        }
        self.deletions(&kept, &mut gone);
        match (self.changed, self.newer, self.lost) {
            (false, false, false) => Outcome::Same,
            (false, false, true) => Outcome::Late,
            _ => self.result(name, kept, gone),
        }
    }

    /// Notes what is said of a patient who is replaced, and is not said because they are.
    fn apart_from_links(&mut self, now: &[Part<'_>], comes: &[Part<'_>]) {
        let was_replaced = now.iter().any(replaces);
        if self.type_name != "Patient" || !(self.replaced || was_replaced) {
            return;
        }
        let before = self.inactive;
        let is_active = |part: &&Part<'_>| part.key.name == ACTIVE;
        if !was_replaced {
            match now.iter().find(is_active) {
                Some(part) => self.inactive.says(self.present(part)),
                None => self.inactive.over = self.inactive.over.max(self.now.named(ACTIVE, None)),
            }
        }
        let links = comes.iter().any(replaces) || !self.back.is_empty();
        if comes.iter().any(|part| is_active(&part)) && !links {
            self.inactive.says(self.timed.time);
        }
        if self.deletes.iter().any(|name| name == ACTIVE) {
            self.inactive.ends(self.timed.time);
        }
        self.newer |= before != self.inactive;
    }

    /// Whether a part stays as long as another one is there.
    fn must_be(&self, key: &Key) -> bool {
        self.replaced && key.name == ACTIVE
    }

    /// The time of a part that is there.
    fn present(&self, part: &Part<'_>) -> SourceTime {
        let place = part.key.item.as_ref().and(part.place);
        let own = self.now.named(&part.key.name, place);
        own.or(self.now.rest).unwrap_or(SourceTime::NEVER)
    }

    /// Since when a part is absent, as far as anybody said so.
    fn absent(&self, key: &Key) -> Option<SourceTime> {
        let above = above(&key.name);
        let own = self.now.named(&key.name, None);
        let above = above.and_then(|above| self.now.named(above, None));
        let number = key.number();
        let number = number.and_then(|number| self.now.named(&number, None));
        own.max(above).max(number).max(self.now.base)
    }

    /// Somebody said later that it is absent.
    fn is_over(&self, key: &Key) -> bool {
        let since = self.absent(key);
        since.is_some_and(|since| since > self.timed.time)
    }

    fn both<'b>(&mut self, now: Part<'b>, new: Part<'b>) -> Kept<'b> {
        let (before, time) = (self.present(&now), self.timed.time);
        let (old_bytes, new_bytes) = (now.bytes(), new.bytes());
        if old_bytes == new_bytes {
            self.newer |= time > before;
            return if time > before {
                (new, time)
            } else {
                (now, before)
            };
        }
        // A code that only fills a place that must not be empty says nothing.
        let says = |part: &Part<'_>| !NOTHING.iter().any(|one| part.content == [*one]);
        if (says(&new), time, new_bytes) > (says(&now), before, old_bytes) {
            self.changed = true;
            (new, time)
        } else {
            self.lost = true;
            (now, before)
        }
    }

    /// When a part that does not come is deleted; `None` if it stays.
    fn only_now(&mut self, part: &Part<'_>) -> Option<SourceTime> {
        let above = above(&part.key.name);
        let is_deleted = self.deletes.contains(&part.key.name)
            || above.is_some_and(|above| self.deletes.iter().any(|name| name == above));
        // It said nothing but that the resource had ended.
        let of_end = || listed::of_end(self.type_name, &part.key.name);
        let number = || part.key.number();
        let is_deleted = is_deleted
            || number().is_some_and(|number| self.gives_up.contains(&number))
            || self
                .revived
                .is_some_and(|ended| ended == self.present(part) && of_end());
        if !is_deleted || self.must_be(&part.key) {
            return None;
        }
        // What an application has said of it no message means.
        if part.key.name == ACTIVE && self.now.base == Some(self.present(part)) {
            return None;
        }
        if self.timed.time > self.present(part) {
            self.changed = true;
            return Some(self.timed.time);
        }
        self.lost = true;
        None
    }

    fn only_coming<'b>(&mut self, part: Part<'b>) -> Option<Kept<'b>> {
        if self.is_over(&part.key) && !self.must_be(&part.key) {
            self.lost = true;
            return None;
        }
        self.changed = true;
        Some((part, self.timed.time))
    }

    /// Notes since when what is deleted is absent.
    fn deletions(&mut self, kept: &[Kept<'_>], gone: &mut Vec<(String, SourceTime)>) {
        for name in std::mem::take(&mut self.deletes) {
            let known = self.now.named(&name, None);
            let is_there = kept.iter().any(|(part, _)| is_one(&part.key, &name));
            if !is_there && known.is_none_or(|known| known < self.timed.time) {
                self.newer = true;
                gone.push((name, self.timed.time));
            }
        }
        for name in std::mem::take(&mut self.gives_up) {
            let known = self.now.named(&name, None);
            let is_there = kept
                .iter()
                .any(|(part, _)| part.key.number().as_ref() == Some(&name));
            if !is_there && known.is_none_or(|known| known < self.timed.time) {
                self.newer = true;
                gone.push((name, self.timed.time));
            }
        }
    }

    fn result(self, name: &str, kept: Vec<Kept<'_>>, gone: Vec<(String, SourceTime)>) -> Outcome {
        let mut kept = kept;
        // Of a list the newest first; what one message said stays in its order.
        kept.sort_by(|(one, of_one), (other, of_other)| {
            let names = one.key.name.cmp(&other.key.name);
            names
                .then_with(|| of_other.cmp(of_one))
                .then_with(|| one.place.cmp(&other.place))
        });
        let times: HashMap<Key, SourceTime> = kept
            .iter()
            .map(|(part, time)| (part.key.clone(), *time))
            .collect();
        let all = kept.into_iter().map(|(part, _)| part).collect();
        let (json, places, keys) = joined(name, all);
        // What most parts share is said once.
        let rest = times.values().copied().max();
        let mut own: Vec<Own> = Vec::new();
        for (key, place) in keys.iter().zip(places) {
            let time = times.get(key).copied();
            if let Some(time) = time.filter(|time| Some(*time) != rest) {
                let name = key.name.clone();
                own.push(Own { name, place, time });
            }
        }
        let before = self.now.own.iter();
        let is_back = self.revived.is_some();
        let before =
            before.filter(|one| one.place.is_none() && !(is_back && listed::is_end(&one.name)));
        let before = before.filter(|one| !Inactive::is_note(&one.name));
        let before = before.map(|one| (one.name.clone(), one.time));
        let mut absent: HashMap<String, SourceTime> = HashMap::new();
        for (name, time) in before.chain(gone) {
            let is = |key: &Key| is_one(key, &name) || key.number().as_ref() == Some(&name);
            if !keys.iter().any(is) {
                let known = absent.entry(name).or_insert(time);
                *known = time.max(*known);
            }
        }
        let mut absent: Vec<_> = absent.into_iter().collect();
        absent.sort_unstable();
        own.extend(absent.into_iter().map(|(name, time)| Own {
            name,
            place: None,
            time,
        }));
        if self.replaced {
            own.extend(self.inactive.own());
        }
        let times = Times {
            gap: false,
            rest,
            base: self.now.base,
            own,
        };
        Outcome::Merged(json, times)
    }
}
