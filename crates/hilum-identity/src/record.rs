//! The rows: what is remembered of patients, visits and orders, and where.
//!
//! Each row is one value of the state under the key of its identifier, so that what a message needs
//! to know of a patient is one read. A row that is merged keeps what it knew, so that the merge can
//! be undone.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bytes::Bytes;
use hilum_component::StepContext;
use hilum_message::SourceTime;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use crate::aside::Aside;
use crate::event::VisitStatus;
use crate::person::Person;
use crate::time::{self, Time};

/// The state, read and changed with the message that is worked on.
pub trait Memory {
    /// The value of a key.
    fn read(&mut self, scope: &str, key: &str) -> Option<Bytes>;
    /// Makes ready what will be read, where that costs less for all at once.
    fn fetch(&mut self, _names: &[(&'static str, SmolStr)]) {}
    /// Changes a value; `None` removes it.
    fn write(&mut self, scope: &'static str, key: &SmolStr, value: Option<Bytes>);
    /// A row that was read or changed before, where somebody keeps them ([`Rows`]).
    fn recall(&mut self, _scope: &str, _key: &str) -> Option<Rc<dyn Any>> {
        None
    }
    /// Keeps a row that was read.
    fn keep(&mut self, _scope: &'static str, _key: &SmolStr, _row: Rc<dyn Any>) {}
    /// Changes a row.
    fn change(&mut self, scope: &'static str, key: &SmolStr, row: Changed) {
        if let Some(bytes) = row.encoded() {
            self.write(scope, key, Some(bytes));
        }
    }
}

/// Most rows are shorter.
const ENCODED_BYTES: usize = 1_024;

/// A row that was changed and is not written yet.
#[derive(Clone, Debug)]
pub struct Changed {
    row: Rc<dyn Any>,
    encode: fn(&dyn Any) -> Option<Bytes>,
}

impl Changed {
    fn of<R: Row>(row: R) -> Self {
        Self {
            row: Rc::new(row),
            encode: |row| {
                // What is kept is as long as it is: many rows lie in memory until they are folded.
                let mut text = Vec::with_capacity(ENCODED_BYTES);
                // Texts, numbers and lists of them can always be written.
                serde_json::to_writer(&mut text, row.downcast_ref::<R>()?).ok()?;
                Some(Bytes::copy_from_slice(&text))
            },
        }
    }

    fn encoded(&self) -> Option<Bytes> {
        (self.encode)(&*self.row)
    }
}

/// The rows of one message: each is parsed once, however often it is asked for, and written once, by
/// [`flush`](Self::flush), however often it changes. Without that nothing of it is written.
#[derive(Debug, Default)]
pub struct Rows(Vec<Kept>);

#[derive(Debug)]
struct Kept {
    scope: &'static str,
    key: SmolStr,
    what: What,
}

#[derive(Debug)]
enum What {
    /// As it was read.
    Read(Rc<dyn Any>),
    /// A row that is not written yet.
    Changed(Changed),
    /// Another value that is not written yet.
    Value(Option<Bytes>),
}

impl Rows {
    /// The state with these rows before it.
    pub fn over<'a>(&'a mut self, memory: &'a mut dyn Memory) -> impl Memory + 'a {
        Over { rows: self, memory }
    }

    /// Writes what has changed.
    pub fn flush(self, memory: &mut dyn Memory) {
        for Kept { scope, key, what } in self.0 {
            match what {
                What::Read(row) => memory.keep(scope, &key, row),
                What::Changed(row) => memory.change(scope, &key, row),
                What::Value(value) => memory.write(scope, &key, value),
            }
        }
    }

    fn find(&self, scope: &str, key: &str) -> Option<&What> {
        let mut kept = self.0.iter();
        let found = kept.find(|kept| kept.key == key && kept.scope == scope)?;
        Some(&found.what)
    }

    fn set(&mut self, scope: &'static str, key: &SmolStr, what: What) {
        let mut kept = self.0.iter_mut();
        match kept.find(|kept| kept.key == *key && kept.scope == scope) {
            Some(kept) => kept.what = what,
            None => self.0.push(Kept {
                scope,
                key: key.clone(),
                what,
            }),
        }
    }
}

struct Over<'a> {
    rows: &'a mut Rows,
    memory: &'a mut dyn Memory,
}

impl Memory for Over<'_> {
    fn read(&mut self, scope: &str, key: &str) -> Option<Bytes> {
        match self.rows.find(scope, key) {
            Some(What::Changed(row)) => row.encoded(),
            Some(What::Value(value)) => value.clone(),
            Some(What::Read(_)) | None => self.memory.read(scope, key),
        }
    }

    fn fetch(&mut self, names: &[(&'static str, SmolStr)]) {
        self.memory.fetch(names);
    }

    fn write(&mut self, scope: &'static str, key: &SmolStr, value: Option<Bytes>) {
        self.rows.set(scope, key, What::Value(value));
    }

    fn recall(&mut self, scope: &str, key: &str) -> Option<Rc<dyn Any>> {
        match self.rows.find(scope, key) {
            Some(What::Read(row) | What::Changed(Changed { row, .. })) => Some(Rc::clone(row)),
            Some(What::Value(_)) => None,
            None => self.memory.recall(scope, key),
        }
    }

    fn keep(&mut self, scope: &'static str, key: &SmolStr, row: Rc<dyn Any>) {
        self.rows.set(scope, key, What::Read(row));
    }

    fn change(&mut self, scope: &'static str, key: &SmolStr, row: Changed) {
        self.rows.set(scope, key, What::Changed(row));
    }
}

impl Memory for StepContext<'_> {
    fn read(&mut self, scope: &str, key: &str) -> Option<Bytes> {
        self.get(scope, key)
    }

    fn fetch(&mut self, names: &[(&'static str, SmolStr)]) {
        StepContext::fetch(self, names);
    }

    fn write(&mut self, scope: &'static str, key: &SmolStr, value: Option<Bytes>) {
        let until = remembered_until(scope, self.arrived_ms).filter(|_| value.is_some());
        self.put(scope, key.clone(), value, until);
    }
}

/// How long an order is remembered of which nothing new is said, in milliseconds: three years. It is our
/// choice: ordinary reports and their corrections are kept for two years where a law says how long (42 CFR
/// 493.1105(a)), pathology and transfusion for ten and more, and a laboratory gives its numbers again.
pub const ORDER_REMEMBERED_MS: u64 = 3 * 366 * 86_400_000;

/// Until when a row of a scope is remembered that was written at a time, both in Unix milliseconds; `None`
/// for ever. Patients and visits come back; an order ends, and its number may be given again.
#[must_use]
pub fn remembered_until(scope: &str, at_ms: u64) -> Option<u64> {
    (scope == Order::SCOPE).then(|| at_ms.saturating_add(ORDER_REMEMBERED_MS))
}

/// A map, for tests and tools.
impl Memory for BTreeMap<(String, String), Bytes> {
    fn read(&mut self, scope: &str, key: &str) -> Option<Bytes> {
        self.get(&(scope.to_owned(), key.to_owned())).cloned()
    }

    fn write(&mut self, scope: &'static str, key: &SmolStr, value: Option<Bytes>) {
        let key = (scope.to_owned(), key.to_string());
        match value {
            Some(value) => drop(self.insert(key, value)),
            None => drop(self.remove(&key)),
        }
    }
}

/// A row that cannot be read: it was written by a newer program, or is damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what is known of a {0} cannot be read; a newer program may have written it")]
pub struct Unreadable(pub &'static str);

/// The kinds of row.
pub trait Row: Serialize + DeserializeOwned + Clone + 'static {
    /// The scope of the state that they lie in.
    const SCOPE: &'static str;
    /// What one is, for people.
    const NAME: &'static str;
}

/// The row of a key.
pub fn read<R: Row>(memory: &mut dyn Memory, key: &SmolStr) -> Result<Option<Rc<R>>, Unreadable> {
    if let Some(row) = memory.recall(R::SCOPE, key)
        && let Ok(row) = row.downcast::<R>()
    {
        return Ok(Some(row));
    }
    let Some(bytes) = memory.read(R::SCOPE, key) else {
        return Ok(None);
    };
    let row: R = serde_json::from_slice(&bytes).map_err(|_| Unreadable(R::NAME))?;
    let row = Rc::new(row);
    memory.keep(R::SCOPE, key, Rc::clone(&row) as Rc<dyn Any>);
    Ok(Some(row))
}

/// Writes the row of a key.
pub fn write<R: Row>(memory: &mut dyn Memory, key: &SmolStr, row: R) {
    memory.change(R::SCOPE, key, Changed::of(row));
}

/// Something that was said, and when. The newest one stays, in whatever order they come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said<T> {
    /// What.
    pub value: T,
    /// When.
    pub as_of: SourceTime,
    /// A registration said so; what a result says of its patient is only kept until then.
    pub registered: bool,
}

// Every message reads and writes several: without names they are half as long.
impl<T: Serialize> Serialize for Said<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.value, Time::from(self.as_of), self.registered).serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Said<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (value, as_of, registered) = <(T, Time, bool)>::deserialize(deserializer)?;
        Ok(Self {
            value,
            as_of: as_of.into(),
            registered,
        })
    }
}

impl<T: PartialOrd> Said<T> {
    /// Takes over what is newer.
    pub fn hear(slot: &mut Option<Self>, new: Self) {
        let newer = slot.as_ref().is_none_or(|old| {
            let rank = |said: &Self| (said.registered, said.as_of);
            // Of two of one time the greater one, so that the order of arrival decides nothing.
            rank(&new) > rank(old) || (rank(&new) == rank(old) && new.value > old.value)
        });
        if newer {
            *slot = Some(new);
        }
    }
}

/// What a record stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A person.
    #[default]
    Person,
    /// Somebody; nobody knows yet who.
    Temporary,
    /// Nobody: it was entered by mistake.
    Deleted,
}

/// A source patient: one for each authority, type and identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Patient {
    /// Its id, which never derives from the identifier and stays when that changes.
    pub id: SmolStr,
    /// Family and given name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Said<(SmolStr, SmolStr)>>,
    /// Birth date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth: Option<Said<SmolStr>>,
    /// Sex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sex: Option<Said<SmolStr>>,
    /// What it stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Said<Standing>>,
    /// Which of those born together it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth_order: Option<Said<SmolStr>>,
    /// The key of the mother's record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mother: Option<Said<SmolStr>>,
    /// One of several born together.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multiple_birth: bool,
    /// The keys of those whose registrations named it as the mother, at most [`CHILDREN_MAX`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub children: BTreeSet<SmolStr>,
    /// The key of the record that it was merged into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<SmolStr>,
    /// The keys of records of the same person.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub links: BTreeSet<SmolStr>,
    /// The newest events that changed its links, at most [`EVENTS_KEPT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<SmolStr>,
    /// What registrations have said of it.
    #[serde(default, skip_serializing_if = "Aside::is_empty")]
    pub(crate) told: Aside,
}

/// Children that a record names. Of a mother with more of them nobody can say that no other child has
/// a birth order.
pub const CHILDREN_MAX: usize = 64;

/// Events that a record names; older ones are still there by their own id.
pub const EVENTS_KEPT: usize = 100;

impl Patient {
    /// What is known of the person.
    #[must_use]
    pub fn person(&self) -> Person {
        let (family, given) = self.name.clone().map(|said| said.value).unwrap_or_default();
        let text = |said: &Option<Said<SmolStr>>| {
            said.as_ref()
                .map(|said| said.value.clone())
                .unwrap_or_default()
        };
        Person {
            family,
            given,
            birth: text(&self.birth),
            sex: text(&self.sex),
            birth_order: text(&self.birth_order),
        }
    }

    /// Somebody has said who it is, or that nobody knows.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.standing.is_some()
    }

    /// A registration has said who it is.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.standing.as_ref().is_some_and(|said| said.registered)
    }

    /// What it stands for.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
            .as_ref()
            .map(|said| said.value)
            .unwrap_or_default()
    }

    /// Takes over what a message says of the person.
    pub fn hear(
        &mut self,
        person: &Person,
        standing: Standing,
        as_of: SourceTime,
        registered: bool,
    ) {
        fn said<T>(value: T, as_of: SourceTime, registered: bool) -> Said<T> {
            Said {
                value,
                as_of,
                registered,
            }
        }
        if !person.family.is_empty() || !person.given.is_empty() {
            let name = (person.family.clone(), person.given.clone());
            Said::hear(&mut self.name, said(name, as_of, registered));
        }
        for (slot, value) in [
            (&mut self.birth, &person.birth),
            (&mut self.sex, &person.sex),
            (&mut self.birth_order, &person.birth_order),
        ] {
            if !value.is_empty() {
                Said::hear(slot, said(value.clone(), as_of, registered));
            }
        }
        Said::hear(&mut self.standing, said(standing, as_of, registered));
    }
}

impl Row for Patient {
    const SCOPE: &'static str = "hilum.identity.patient";
    const NAME: &'static str = "patient";
}

/// An account or a visit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Visit {
    /// Its id.
    pub id: SmolStr,
    /// The keys of its patient, as the message that told of it gave them.
    #[serde(default)]
    pub patients: BTreeSet<SmolStr>,
    /// What it is.
    pub status: VisitStatus,
    /// When it became what it is.
    #[serde(with = "time")]
    pub as_of: SourceTime,
    /// The key of the one that it was merged into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<SmolStr>,
    /// Since when it is a mistake that was merged; one that only has another number is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) given_up: Option<Time>,
    /// The messages that said something of it from before it was given up and came later, at most
    /// [`LATE_KEPT`]: nothing of them is known of the one that stays.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) late: BTreeSet<SmolStr>,
    /// The key of its account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<SmolStr>,
    /// Of an account: the keys of its visits, at most [`VISITS_KEPT`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) visits: BTreeSet<SmolStr>,
    /// What registrations have said of it.
    #[serde(default, skip_serializing_if = "Aside::is_empty")]
    pub(crate) told: Aside,
}

/// Visits that an account names; further ones are not moved with it (A44).
pub const VISITS_KEPT: usize = 1_000;

/// Late messages that a merged visit names; further ones are not told again when the merge is taken back.
pub const LATE_KEPT: usize = 100;

impl Visit {
    /// It was merged into another one, and what is said of it as of a time is said of what was given up.
    pub(crate) fn was_given_up(&self, as_of: SourceTime) -> bool {
        let since = self.given_up.map(SourceTime::from);
        self.into.is_some() && since.is_some_and(|since| as_of < since)
    }
}

impl Row for Visit {
    const SCOPE: &'static str = "hilum.identity.visit";
    const NAME: &'static str = "visit";
}

/// An order, by its placer or filler number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Order {
    /// The keys of its patient.
    #[serde(default)]
    pub patients: BTreeSet<SmolStr>,
    /// It was cancelled, discontinued or replaced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelled: bool,
    /// Something was reported for it before that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reported: bool,
    /// When it became what it is.
    #[serde(
        with = "time",
        default = "time::never",
        skip_serializing_if = "time::is_never"
    )]
    pub as_of: SourceTime,
    /// What was reported of its observations, where results go by this number.
    #[serde(default, skip_serializing_if = "Aside::is_empty")]
    pub(crate) results: Aside,
}

/// An order of which nothing is known.
impl Default for Order {
    fn default() -> Self {
        Self {
            patients: BTreeSet::new(),
            cancelled: false,
            reported: false,
            as_of: SourceTime::NEVER,
            results: Aside::default(),
        }
    }
}

impl Row for Order {
    const SCOPE: &'static str = "hilum.identity.order";
    const NAME: &'static str = "order";
}

/// What a link event changed, so that it can be told and undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LinkEvent {
    /// The code of table 0003, or `undo`.
    pub code: String,
    /// When the message arrived or the person acted, Unix milliseconds.
    pub at_ms: u64,
    /// The message, or who did it.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What changed, in order.
    pub changes: Vec<LinkChange>,
    /// The event that undid it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone_by: Option<SmolStr>,
}

impl Row for LinkEvent {
    const SCOPE: &'static str = "hilum.identity.event";
    const NAME: &'static str = "link event";
}

/// One link that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum LinkChange {
    /// A patient was merged into another one, or is no longer.
    PatientInto {
        /// The patient's key.
        key: SmolStr,
        /// Into which before.
        before: Option<SmolStr>,
        /// Into which now.
        after: Option<SmolStr>,
    },
    /// Two patients are the same person, or are not.
    Linked {
        /// The one.
        key: SmolStr,
        /// The other.
        other: SmolStr,
        /// They are now.
        linked: bool,
    },
    /// A visit or account was merged into another one, or is no longer.
    VisitInto {
        /// Its key.
        key: SmolStr,
        /// Into which before.
        before: Option<SmolStr>,
        /// Into which now.
        after: Option<SmolStr>,
    },
    /// A visit or account has other patients.
    VisitOf {
        /// Its key.
        key: SmolStr,
        /// Of whom before.
        before: BTreeSet<SmolStr>,
        /// Of whom now.
        after: BTreeSet<SmolStr>,
    },
    /// A visit belongs to another account.
    AccountOf {
        /// The visit's key.
        key: SmolStr,
        /// Which before.
        before: Option<SmolStr>,
        /// Which now.
        after: Option<SmolStr>,
    },
}
