//! Dictionaries: trained once per channel from its first messages.

use std::collections::HashMap;
use std::sync::Arc;

use hilum_db::rusqlite::params;
use hilum_db::{Cancel, DbError, Doing};

use crate::codec::{Dictionary, REPLIES};
use crate::error::JournalError;
use crate::journal::Inner;
use crate::model::Disposition;
use crate::partition::Partition;
use crate::partition::ops::Op;
use crate::read::content_of;
use crate::schema::NameKind;

/// Messages that a dictionary is trained from.
const SAMPLES_MAX: usize = 1000;
/// Bytes of one sample, and of all together.
const SAMPLE_BYTES_MAX: usize = 8 * 1024;
const SAMPLES_BYTES_MAX: usize = 2 << 20;
/// Bytes of a reply that is a sample.
const REPLY_BYTES_MAX: usize = 1024;
/// Rows between two looks.
const LOOK_ROWS: u64 = 256;

/// What is remembered between passes.
#[derive(Debug, Default)]
pub(crate) struct Training {
    looked_at: u64,
    /// Channels for which training brought nothing.
    refused: HashMap<Arc<str>, ()>,
}

/// Trains for channels of the open partition that have enough messages.
pub(super) fn pass(inner: &Inner, training: &mut Training) -> Result<(), JournalError> {
    let core = &inner.core;
    let after = core.limits.dictionary_after;
    let Some(open) = inner.open_partition() else {
        return Ok(());
    };
    let last = open.shared.last();
    if after == 0 || last < training.looked_at.saturating_add(after.min(LOOK_ROWS)) {
        return Ok(());
    }
    training.looked_at = last;
    train_replies(inner, &open, training)?;
    for (channel, count) in received_per_channel(&open)? {
        let known = core.codecs.current(&channel).is_some();
        if count < after || known || training.refused.contains_key(&channel) {
            continue;
        }
        if core.codecs.all_current().len() >= core.limits.dictionaries_loaded_max {
            return Ok(());
        }
        let samples = samples_of(inner, &open, &channel)?;
        let trained = Dictionary::train(&samples, core.limits.dictionary_bytes);
        match trained.filter(|trained| is_unmistakable(inner, trained)) {
            // Used only once it is committed; see the handler.
            Some(dictionary) => open.urgent(Op::Dictionary {
                channel,
                dictionary,
            })?,
            None => {
                training.refused.insert(channel, ());
            }
        }
    }
    Ok(())
}

/// No other dictionary in use has its id: rows name it by nothing else.
fn is_unmistakable(inner: &Inner, trained: &Dictionary) -> bool {
    let current = inner.core.codecs.all_current();
    let mut same_id = current.iter().filter(|(_, known)| known.id == trained.id);
    same_id.all(|(_, known)| known.bytes == trained.bytes)
}

/// What peers answer differs in few bytes: one dictionary serves all of them.
fn train_replies(
    inner: &Inner,
    open: &Partition,
    training: &mut Training,
) -> Result<(), JournalError> {
    let core = &inner.core;
    let known = core.codecs.current(REPLIES).is_some();
    if known || training.refused.contains_key(REPLIES) {
        return Ok(());
    }
    let samples: Vec<Vec<u8>> = open.readers.read(&Cancel::new(), |conn| {
        let sql = "SELECT reply FROM attempt WHERE codec = 0 AND length(reply) < ?1 LIMIT ?2";
        let read = || {
            let mut statement = conn.prepare_cached(sql)?;
            let rows = statement.query_map(params![REPLY_BYTES_MAX, SAMPLES_MAX], |row| row.get(0));
            rows?.collect::<Result<Vec<_>, _>>()
        };
        read().doing("find samples in", open.name())
    })?;
    if (samples.len() as u64) < core.limits.dictionary_after.min(SAMPLES_MAX as u64) {
        return Ok(());
    }
    let bytes: usize = samples.iter().map(Vec::len).sum();
    let trained = Dictionary::train(&samples, core.limits.dictionary_bytes.min(bytes / 8));
    match trained.filter(|trained| is_unmistakable(inner, trained)) {
        Some(dictionary) => open.urgent(Op::Dictionary {
            channel: REPLIES.into(),
            dictionary,
        })?,
        None => {
            training.refused.insert(REPLIES.into(), ());
        }
    }
    Ok(())
}

fn received_per_channel(open: &Partition) -> Result<Vec<(Arc<str>, u64)>, DbError> {
    let name = open.name().clone();
    let rows = open.readers.read(&Cancel::new(), |conn| {
        let sql = "SELECT name, sum(count) FROM tally WHERE what <= ?1 GROUP BY name";
        let read = || {
            let mut statement = conn.prepare_cached(sql)?;
            let rows = statement.query_map([Disposition::BatchClosed as u8], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, u64>(1)?))
            })?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        read().doing("count the messages of", &name)
    })?;
    let named = |(id, count)| (open.shared.names.text(id), count);
    Ok(rows.into_iter().map(named).collect())
}

fn samples_of(
    inner: &Inner,
    open: &Partition,
    channel: &str,
) -> Result<Vec<Vec<u8>>, JournalError> {
    let shared = &open.shared;
    let id = shared.names.id(NameKind::Channel, channel.as_bytes());
    let found = open.readers.read(&Cancel::new(), |conn| {
        let sql = "SELECT seq FROM message WHERE channel = ?1 AND text_bytes BETWEEN 64 AND ?2 \
                   ORDER BY seq DESC LIMIT ?3";
        let read = || {
            let mut statement = conn.prepare_cached(sql)?;
            let row = params![id, SAMPLE_BYTES_MAX, SAMPLES_MAX];
            let rows = statement.query_map(row, |row| row.get::<_, u64>(0))?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        let sequences = read().doing("find samples in", &shared.name)?;
        let mut samples = Vec::with_capacity(sequences.len());
        let mut bytes = 0;
        for sequence in sequences {
            // A damaged row is no sample; `verify` names it.
            let Ok(body) = content_of(conn, &inner.core.codecs, shared, sequence) else {
                continue;
            };
            bytes += body.bytes.len();
            if bytes > SAMPLES_BYTES_MAX {
                break;
            }
            samples.push(body.bytes.to_vec());
        }
        Ok(samples)
    })?;
    Ok(found)
}
