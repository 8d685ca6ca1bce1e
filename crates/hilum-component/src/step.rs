//! Steps: synchronous and pure.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use hilum_fhirpath::Env;
use hilum_message::{BlobRange, MessageId, Metadata, Phi};
use smol_str::{SmolStr, format_smolstr};

use crate::{Document, Finding, Format, Problem, StateChange, StateRead, StateView, TimerChange};

/// One step of a channel.
///
/// It sees a message and a snapshot of the state, and changes the message in place. The same
/// message, state and plan give the same result: time is the arrival time, new ids derive from
/// the message id, and a step never waits.
pub trait Step: Send + Sync {
    /// Works on one message.
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted>;

    /// The format of what it makes, where that is another one than it takes: what comes behind the
    /// step is read and written in it.
    fn format(&self) -> Option<Arc<dyn Format>> {
        None
    }

    /// What it was configured with and cannot do; whoever checks the site is told.
    fn warnings(&self) -> Vec<Problem> {
        Vec::new()
    }
}

impl fmt::Debug for dyn Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Step(…)")
    }
}

/// A message on its way through the steps.
#[derive(Debug)]
pub struct Working {
    /// Its id.
    pub id: MessageId,
    /// The parsed view.
    pub document: Box<dyn Document>,
    /// Named values.
    pub metadata: Metadata,
    /// The destinations chosen by `route`; `None` means all.
    pub routes: Option<Vec<Arc<str>>>,
}

impl Working {
    /// A copy under the id of a derived message.
    #[must_use]
    pub fn derived(&self, ordinal: u64) -> Self {
        Self {
            id: self.id.derive("split", ordinal),
            document: self.document.boxed_clone(),
            metadata: self.metadata.clone(),
            routes: self.routes.clone(),
        }
    }
}

/// What becomes of a message after a step.
#[derive(Debug)]
pub enum Flow {
    /// It goes on.
    Next,
    /// It ends here, recorded as filtered, with the reason.
    Filtered(String),
    /// These go on in its place.
    Split(Vec<Working>),
}

/// Why a step does not let a message go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halted {
    /// The message is at fault.
    Reject {
        /// Code of table 0357 or our own.
        code: String,
        /// Where in the message.
        path: Option<String>,
        /// A sentence without content.
        text: String,
    },
    /// The message waits and blocks its keys.
    Hold {
        /// A sentence without content.
        reason: String,
        /// When it goes on by itself, Unix milliseconds.
        until_ms: Option<u64>,
        /// A state key (scope, key) whose change lets it go on.
        wake: Option<(SmolStr, SmolStr)>,
    },
    /// The step took longer than the budget allows.
    Budget,
}

impl Halted {
    /// A rejection with code 207 (application internal error) and a sentence without content.
    pub fn reject(text: impl Into<String>) -> Self {
        Self::Reject {
            code: "207".to_owned(),
            path: None,
            text: text.into(),
        }
    }
}

/// Says when a step has taken too long.
pub trait Meter {
    /// The budget is used up.
    fn exhausted(&self) -> bool;
}

/// A meter without a limit, for tests and tools.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlimited;

impl Meter for Unlimited {
    fn exhausted(&self) -> bool {
        false
    }
}

/// One line that a trace shows of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceLine {
    /// The step's place in the channel, from 0; a destination's own steps follow its name.
    pub step: String,
    /// The place in the message that was read or written, if one was.
    pub path: Option<String>,
    /// What it was.
    pub before: Option<Phi<String>>,
    /// What it is.
    pub after: Option<Phi<String>>,
    /// A sentence without content, or the source of a value (`tables/local-to-loinc.csv:41`).
    pub note: String,
}

/// Different unmapped codes of one message that are told apart; further ones are only counted.
pub const UNMAPPED_PER_MESSAGE_MAX: usize = 100;

/// A code that no table has, for the register of unmapped codes.
///
/// Only what is safe to be shown: a code that looks like an identifier or like free text is told by
/// its length alone, and then its text is not told at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmappedCode {
    /// The table that it was looked for in, as the site names it.
    pub table: String,
    /// The field, as the step is set by: a path, never content.
    pub field: String,
    /// Its code system, as the message names it.
    pub system: String,
    /// The code, or its number of characters in brackets.
    pub code: String,
    /// Its text; empty if the message gave none or it must not be shown.
    pub display: String,
    /// What was done about it.
    pub fate: UnmappedFate,
    /// How often the message has it.
    pub count: u32,
}

/// What was done about a code that no table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnmappedFate {
    /// It stayed as it was.
    Kept,
    /// It stayed, with a finding.
    Flagged,
    /// A default was written.
    Defaulted,
    /// The message was rejected.
    Rejected,
    /// The message was held for a person.
    Held,
}

/// What a step may use beside the message.
pub struct StepContext<'a> {
    /// The channel's name.
    pub channel: &'a str,
    /// When the message arrived, Unix milliseconds: the only time there is.
    pub arrived_ms: u64,
    /// The environment of expressions: the time, `%meta` as it was before the step, `%original`.
    pub env: &'a Env<'a>,
    /// A hold by this step is over: it lets the message go on.
    pub released: bool,
    /// Of a reply: the message that asked.
    pub original: Option<&'a dyn Document>,
    /// What the step noticed.
    pub findings: &'a mut Vec<Finding>,
    /// Lines for the trace; `None` where nobody asks, so that they cost nothing.
    pub trace: Option<&'a mut Vec<TraceLine>>,
    /// The name of the running step, for findings and trace.
    pub step: &'a str,
    pub(crate) meter: &'a dyn Meter,
    pub(crate) state: &'a dyn StateView,
    pub(crate) changes: &'a mut Changes,
    /// What [`StepContext::keep_apart`] was called with.
    pub(crate) apart: Option<&'static str>,
}

/// What a message did to the state.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// What was read, with the value: who reads a key twice sees the same.
    pub(crate) reads: Vec<(StateRead, Option<Bytes>)>,
    pub(crate) writes: BTreeMap<(SmolStr, SmolStr), StateChange>,
    pub(crate) timers: Vec<TimerChange>,
    pub(crate) unmapped: Vec<UnmappedCode>,
    /// Unmapped codes beyond [`UNMAPPED_PER_MESSAGE_MAX`].
    pub(crate) unmapped_more: u32,
}

impl StepContext<'_> {
    /// To be called in every loop over content.
    pub fn spend(&self) -> Result<(), Halted> {
        if self.meter.exhausted() {
            Err(Halted::Budget)
        } else {
            Ok(())
        }
    }

    /// Fills `into` with what was cut out of the message, from so many bytes on, and says how many they
    /// are: 0 at its end. `None` where it cannot be read.
    pub fn read_cut(&self, range: &BlobRange, offset: u64, into: &mut [u8]) -> Option<usize> {
        self.state.read_cut(range, offset, into)
    }

    /// From now on this step reads and writes values that lie apart from those of other messages:
    /// what a test says is never held against what is real, nor remembered with it.
    pub fn keep_apart(&mut self, name: &'static str) {
        self.apart = Some(name);
    }

    /// The scope in which the values of a scope lie for this message.
    #[must_use]
    pub fn scope(&self, scope: &str) -> SmolStr {
        match self.apart {
            Some(apart) => format_smolstr!("{scope}.{apart}"),
            None => scope.into(),
        }
    }

    /// The value of a key, with what this message has already changed.
    pub fn get(&mut self, scope: &str, key: &str) -> Option<Bytes> {
        let apart = self.apart.map(|_| self.scope(scope));
        let scope = apart.as_deref().unwrap_or(scope);
        let changes = &mut *self.changes;
        if !changes.writes.is_empty() {
            let name = (scope.into(), key.into());
            if let Some(change) = changes.writes.get(&name) {
                return change.value.clone();
            }
        }
        let mut seen = changes.reads.iter().rev();
        if let Some((_, value)) = seen.find(|(read, _)| *read.key == *key && *read.scope == *scope)
        {
            return value.clone();
        }
        let stored = self.state.get(scope, key);
        let read = StateRead {
            scope: scope.into(),
            key: key.into(),
            version: stored.version,
        };
        changes.reads.push((read, stored.value.clone()));
        stored.value
    }

    /// Reads keys that [`get`](Self::get) will be asked for, all at once.
    pub fn fetch(&mut self, names: &[(&str, SmolStr)]) {
        let own = names
            .iter()
            .map(|(scope, key)| (self.scope(scope), key.clone()));
        let reads = &self.changes.reads;
        let unseen = own.filter(|(scope, key)| {
            let mut reads = reads.iter();
            !reads.any(|(read, _)| read.key == *key && read.scope == *scope)
        });
        let unseen: Vec<_> = unseen.collect();
        let asked: Vec<_> = unseen
            .iter()
            .map(|(scope, key)| (&**scope, &**key))
            .collect();
        let found = self.state.get_all(&asked);
        let found = unseen.into_iter().zip(found);
        self.changes
            .reads
            .extend(found.map(|((scope, key), stored)| {
                let read = StateRead {
                    scope,
                    key,
                    version: stored.version,
                };
                (read, stored.value)
            }));
    }

    /// Changes a value; committed with the message or not at all.
    pub fn put(
        &mut self,
        scope: &str,
        key: impl Into<SmolStr>,
        value: Option<Bytes>,
        expires_ms: Option<u64>,
    ) {
        let (scope, key) = (self.scope(scope), key.into());
        let change = StateChange {
            scope: scope.clone(),
            key: key.clone(),
            value,
            expires_ms,
        };
        self.changes.writes.insert((scope, key), change);
    }

    /// Sets a timer, or removes it.
    pub fn wake(&mut self, scope: &str, key: impl Into<SmolStr>, due_ms: Option<u64>) {
        let (scope, key) = (self.scope(scope), key.into());
        self.changes.timers.push(TimerChange { scope, key, due_ms });
    }

    /// Notes a code that no table has. It is counted with the message in one commit, whatever
    /// becomes of the message.
    pub fn unmapped(&mut self, code: UnmappedCode) {
        let changes = &mut *self.changes;
        let room = changes.unmapped.len() < UNMAPPED_PER_MESSAGE_MAX;
        let known = changes.unmapped.iter_mut().find(|known| {
            known.code == code.code
                && known.system == code.system
                && known.field == code.field
                && known.table == code.table
        });
        match known {
            Some(known) => known.count = known.count.saturating_add(code.count),
            None if room => changes.unmapped.push(code),
            None => changes.unmapped_more = changes.unmapped_more.saturating_add(code.count),
        }
    }

    /// Adds a line to the trace if somebody asks for one.
    pub fn note(&mut self, line: impl FnOnce(&str) -> TraceLine) {
        let step = self.step;
        if let Some(trace) = self.trace.as_deref_mut() {
            trace.push(line(step));
        }
    }
}

impl fmt::Debug for StepContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepContext")
            .field("channel", &self.channel)
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}
