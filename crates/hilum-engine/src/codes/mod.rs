//! The register of codes that no table has: which, from where, how often.
//!
//! A message adds to it in its own commit, whatever becomes of it, and the journal's writer adds up
//! in commit order, so that counts are exact and no message waits for another. What is kept is what
//! steps say may be shown; the rest here are names, numbers and the id of a message.
//!
//! It is bounded: [`UNMAPPED_CODES_MAX`] different codes of a node, each forgotten when it was not
//! seen for [`FORGOTTEN_AFTER_MS`]. Beyond the limit a channel only counts.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hilum_component::{Processed, UnmappedCode, UnmappedFate};
use hilum_journal::{Journal, JournalError, StateMerge, StateWrite};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::operate::OperateError;
use crate::runtime::Core;
use crate::{Engine, store};

/// Different codes that are told apart, over all channels.
pub const UNMAPPED_CODES_MAX: usize = 10_000;
/// A code that was not seen for 400 days is forgotten.
pub const FORGOTTEN_AFTER_MS: u64 = 400 * 86_400_000;

/// Values in the journal: each channel may have one more, of codes beyond the limits.
const STORED_MAX: usize = 2 * UNMAPPED_CODES_MAX;

const SCOPE: &str = "hilum.codes";
/// Stands in a key for a code beyond the limits.
const MORE: &str = "(more)";
/// Between the parts of a key; no part holds it.
const BETWEEN: char = '\u{1f}';
/// Characters of one part of a key.
const PART_MAX: usize = 120;
/// New codes of a channel are told together, this far apart.
const TOLD_EVERY_MS: u64 = 10 * 60_000;

/// Codes that are over leave the memory this often.
const SWEPT_EVERY_MS: u64 = 3_600_000;

/// A code that no table has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Unmapped {
    /// The channel.
    pub channel: String,
    /// Sending application and facility, as the messages name them; empty where they do not.
    pub sender: String,
    /// The table in which it is not.
    pub table: String,
    /// The field, as the step is set by.
    pub field: String,
    /// The code system.
    pub system: String,
    /// The code; its length in brackets if it must not be shown; `(more)` for codes beyond the
    /// limits, which are only counted.
    pub code: String,
    /// What the messages say.
    #[serde(flatten)]
    pub seen: Seen,
}

/// What the register keeps of a code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Seen {
    /// Its text, if the message had one that may be shown.
    pub display: String,
    /// What was done about it the last time.
    pub fate: UnmappedFate,
    /// How often it came.
    pub count: u64,
    /// When the first one arrived, Unix milliseconds.
    pub first_ms: u64,
    /// When the last one arrived.
    pub last_ms: u64,
    /// The id of the last message that had it.
    pub message: String,
}

/// Which codes the register is to forget: all that fit every part that is said.
#[derive(Clone, Debug, Default)]
pub struct Forget {
    /// Of this channel.
    pub channel: Option<String>,
    /// Looked for in this table.
    pub table: Option<String>,
    /// This code.
    pub code: Option<String>,
}

/// What of the register is in memory: which codes are known, so that it stays bounded.
#[derive(Debug, Default)]
pub(crate) struct Codes(Mutex<BTreeMap<Arc<str>, OfChannel>>);

#[derive(Debug, Default)]
struct OfChannel {
    /// Codes, with the moment from which on each is forgotten.
    known: HashMap<SmolStr, u64>,
    /// When those that are over were last left out.
    swept_ms: u64,
    /// New codes that nobody was told of.
    new: u64,
    told_ms: Option<u64>,
}

impl OfChannel {
    /// Leaves out what is over, as the journal does; once an hour, since it looks at every code.
    fn sweep(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.swept_ms) < SWEPT_EVERY_MS {
            return;
        }
        self.swept_ms = now_ms;
        self.known.retain(|_, until_ms| *until_ms > now_ms);
    }
}

impl Codes {
    /// The codes that the journal knows.
    pub(crate) fn load(journal: &Journal) -> Self {
        let codes = Self::default();
        match journal.state_of(SCOPE, "", STORED_MAX) {
            Ok(found) => {
                let mut all = codes.lock();
                for (key, value) in found.into_iter().filter(|(key, _)| !key.ends_with(MORE)) {
                    let channel = Arc::from(key.split(BETWEEN).next().unwrap_or_default());
                    let seen = serde_json::from_slice::<Seen>(&value);
                    let last_ms = seen.map_or(0, |seen| seen.last_ms);
                    let until_ms = last_ms.saturating_add(FORGOTTEN_AFTER_MS);
                    all.entry(channel).or_default().known.insert(key, until_ms);
                }
            }
            Err(error) => tracing::error!(error = %store::chain(&error),
                "the register of unmapped codes cannot be read; it goes on from here"),
        }
        codes
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, OfChannel>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a message adds to the register.
    pub(crate) fn merges(&self, channel: &Arc<str>, processed: &Processed) -> Vec<StateMerge> {
        if processed.unmapped.is_empty() && processed.unmapped_more == 0 {
            return Vec::new();
        }
        let sender = processed
            .identity
            .sender
            .as_ref()
            .map(|(application, facility)| format!("{}/{}", name(application), name(facility)))
            .unwrap_or_default();
        let mut more = u64::from(processed.unmapped_more);
        let mut merges = Vec::with_capacity(processed.unmapped.len());
        let mut all = self.lock();
        let now_ms = processed.arrived_ms;
        for of in all.values_mut() {
            of.sweep(now_ms);
        }
        let mut room =
            UNMAPPED_CODES_MAX.saturating_sub(all.values().map(|of| of.known.len()).sum());
        let of = all.entry(Arc::clone(channel)).or_default();
        for code in &processed.unmapped {
            let key = key(channel, &sender, code);
            let until_ms = now_ms.saturating_add(FORGOTTEN_AFTER_MS);
            if let Some(known) = of.known.get_mut(&key) {
                // Messages of then may be processed again.
                *known = until_ms.max(*known);
            } else {
                if room == 0 {
                    more = more.saturating_add(u64::from(code.count));
                    continue;
                }
                room -= 1;
                of.known.insert(key.clone(), until_ms);
                // What a site keeps or gives a default on purpose is no news.
                if matches!(
                    code.fate,
                    UnmappedFate::Flagged | UnmappedFate::Rejected | UnmappedFate::Held
                ) {
                    of.new += 1;
                }
            }
            merges.extend(merge(
                key,
                code.display.clone(),
                code.fate,
                u64::from(code.count),
                processed,
            ));
        }
        drop(all);
        if more > 0 {
            let key = format!("{channel}{}{MORE}", BETWEEN.to_string().repeat(5));
            let fate = processed
                .unmapped
                .last()
                .map_or(UnmappedFate::Flagged, |code| code.fate);
            merges.extend(merge(key.into(), String::new(), fate, more, processed));
        }
        merges
    }

    /// How many different codes of a channel the register has.
    pub(crate) fn of_channel(&self, channel: &str) -> usize {
        self.lock().get(channel).map_or(0, |of| of.known.len())
    }

    /// How many codes of a channel are new since somebody was told; `None` if there are none, or
    /// somebody was told just before.
    pub(crate) fn news(&self, channel: &str, now_ms: u64) -> Option<u64> {
        let mut all = self.lock();
        let of = all.get_mut(channel)?;
        of.sweep(now_ms);
        let again = |told: u64| now_ms.saturating_sub(told) >= TOLD_EVERY_MS;
        if of.new == 0 || !of.told_ms.is_none_or(again) {
            return None;
        }
        of.told_ms = Some(now_ms);
        Some(std::mem::take(&mut of.new))
    }

    fn forget(&self, keys: &[SmolStr]) {
        let mut all = self.lock();
        for of in all.values_mut() {
            for key in keys {
                of.known.remove(key);
            }
        }
    }
}

impl Engine {
    /// The register of unmapped codes, of one channel or all: by channel, then as the codes are
    /// spelled.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn unmapped(&self, channel: Option<&str>) -> Result<Vec<Unmapped>, JournalError> {
        let found = stored(self.core(), channel)?;
        Ok(found.into_iter().map(|(_, unmapped)| unmapped).collect())
    }

    /// Forgets codes of the register, such as those that a table has by now. Gives how many.
    ///
    /// # Errors
    /// If the journal cannot be read, or the act could not be recorded.
    pub async fn forget_unmapped(
        &self,
        which: &Forget,
        reason: &str,
    ) -> Result<usize, OperateError> {
        let core = self.core();
        let fits = |wanted: &Option<String>, value: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == value)
        };
        let keys: Vec<SmolStr> = stored(core, which.channel.as_deref())?
            .into_iter()
            .filter(|(_, found)| fits(&which.table, &found.table) && fits(&which.code, &found.code))
            .map(|(key, _)| key)
            .collect();
        if keys.is_empty() {
            return Ok(0);
        }
        let writes = keys.iter().map(|key| StateWrite {
            scope: SmolStr::new_static(SCOPE),
            key: key.clone(),
            value: None,
            expires_ms: None,
        });
        let text = format!("forgot {} unmapped codes: {reason}", keys.len());
        store::write_state(core, text, writes.collect()).await?;
        core.codes.forget(&keys);
        Ok(keys.len())
    }

    /// How many different codes of a channel the register has.
    #[must_use]
    pub fn unmapped_count(&self, channel: &str) -> usize {
        self.core().codes.of_channel(channel)
    }
}

fn stored(core: &Core, channel: Option<&str>) -> Result<Vec<(SmolStr, Unmapped)>, JournalError> {
    let prefix = channel.map_or(String::new(), |channel| format!("{channel}{BETWEEN}"));
    let found = core.journal.state_of(SCOPE, &prefix, STORED_MAX)?;
    let read = found.into_iter().filter_map(|(key, value)| {
        let seen = serde_json::from_slice(&value).ok()?;
        let mut parts = key.split(BETWEEN).map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        let unmapped = Unmapped {
            channel: part(),
            sender: part(),
            table: part(),
            field: part(),
            system: part(),
            code: part(),
            seen,
        };
        Some((key, unmapped))
    });
    Ok(read.collect())
}

fn key(channel: &str, sender: &str, code: &UnmappedCode) -> SmolStr {
    let parts = [sender, &code.table, &code.field, &code.system, &code.code];
    let mut key = channel.to_owned();
    for part in parts {
        key.push(BETWEEN);
        key.extend(part.chars().filter(|c| !c.is_control()).take(PART_MAX));
    }
    key.into()
}

/// A name of an application or a place as it may be shown; anything else is told by its length.
fn name(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/#+% ".contains(c);
    if text.len() <= 60 && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("({})", text.chars().count())
    }
}

fn merge(
    key: SmolStr,
    display: String,
    fate: UnmappedFate,
    count: u64,
    processed: &Processed,
) -> Option<StateMerge> {
    let at_ms = processed.arrived_ms;
    let seen = Seen {
        display,
        fate,
        count,
        first_ms: at_ms,
        last_ms: at_ms,
        message: processed.id.to_string(),
    };
    Some(StateMerge {
        scope: SmolStr::new_static(SCOPE),
        key,
        // Names, numbers and a text: it can always be written.
        value: Bytes::from(serde_json::to_vec(&seen).ok()?),
        expires_ms: Some(at_ms.saturating_add(FORGOTTEN_AFTER_MS)),
        merge: add_up,
    })
}

/// What was seen before and now.
fn add_up(known: Option<&[u8]>, now: &[u8]) -> Vec<u8> {
    let read = |bytes: &[u8]| serde_json::from_slice::<Seen>(bytes).ok();
    let sum = known.and_then(read).zip(read(now)).map(|(known, now)| {
        let (older, newer) = if known.last_ms <= now.last_ms {
            (&known, &now)
        } else {
            (&now, &known)
        };
        let display = if newer.display.is_empty() {
            older.display.clone()
        } else {
            newer.display.clone()
        };
        Seen {
            display,
            fate: newer.fate,
            count: known.count.saturating_add(now.count),
            first_ms: known.first_ms.min(now.first_ms),
            last_ms: newer.last_ms,
            message: newer.message.clone(),
        }
    });
    sum.and_then(|sum| serde_json::to_vec(&sum).ok())
        .unwrap_or_else(|| now.to_vec())
}

#[cfg(test)]
mod tests;
