//! How bodies are stored: zstd with the channel's dictionary, outbound bytes against the received.
//!
//! The work is done by the task that accepts, never by the writer. A row says by which codec,
//! dictionary and (later) key it was written, so that each can change without migration. A
//! dictionary holds fragments of patient content and is protected like a body.

mod edit;
mod frame;
mod outbound;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use zstd::zstd_safe::{CCtx, CDict, DCtx, DDict, compress_bound};

pub(crate) use outbound::{pack_outbound, unpack_outbound};

/// Level of everything: 3 gains nothing measurable on messages of this size.
const LEVEL: i32 = 1;
/// Level at which dictionaries are prepared.
const DICTIONARY_LEVEL: i32 = 3;
/// Contexts kept; more threads than that make their own for a moment.
const CONTEXTS_MAX: usize = 4;
/// Below this nothing is gained, without and with a dictionary or a prefix.
const COMPRESS_MIN: usize = 256;
const COMPRESS_MIN_WITH: usize = 32;
/// What the dictionary of the peers' replies is kept under: no channel has this name.
pub(crate) const REPLIES: &str = "";

/// How the bytes of a body are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Codec {
    /// As they are.
    Plain = 0,
    /// zstd.
    Zstd = 1,
    /// zstd with the dictionary that the row names.
    Dictionary = 2,
    /// zstd with the received text as prefix.
    Prefix = 3,
    /// The received payload itself.
    Received = 4,
    /// The same as another one of the same message, or the received body of another row.
    Other = 5,
    /// The received text with one run of bytes replaced.
    Edited = 6,
}

impl Codec {
    pub(crate) const fn from_code(code: i64) -> Option<Self> {
        Some(match code {
            0 => Self::Plain,
            1 => Self::Zstd,
            2 => Self::Dictionary,
            3 => Self::Prefix,
            4 => Self::Received,
            5 => Self::Other,
            6 => Self::Edited,
            _ => return None,
        })
    }
}

/// A trained dictionary, ready for both directions.
pub(crate) struct Dictionary {
    pub(crate) id: i64,
    pub(crate) bytes: Bytes,
    compress: CDict<'static>,
    decompress: DDict<'static>,
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dictionary({}, {} bytes)", self.id, self.bytes.len())
    }
}

impl Dictionary {
    pub(crate) fn new(bytes: Bytes) -> Option<Arc<Self>> {
        Some(Arc::new(Self {
            // Few bytes, because every row that uses it names it.
            id: crate::bytes::sum(&[&bytes]) & 0x7FFF_FFFF,
            compress: CDict::try_create(&bytes, DICTIONARY_LEVEL)?,
            decompress: DDict::try_create(&bytes)?,
            bytes,
        }))
    }

    /// Trains one from the bodies of a channel.
    pub(crate) fn train(samples: &[Vec<u8>], max: usize) -> Option<Arc<Self>> {
        let bytes = zstd::dict::from_samples(samples, max).ok()?;
        Self::new(bytes.into())
    }
}

struct Contexts {
    compress: CCtx<'static>,
    decompress: DCtx<'static>,
}

/// A stored body.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) codec: Codec,
    pub(crate) dictionary: Option<Arc<Dictionary>>,
    pub(crate) bytes: Bytes,
}

impl Stored {
    pub(crate) fn dictionary_id(&self) -> Option<i64> {
        self.dictionary.as_ref().map(|dictionary| dictionary.id)
    }
}

/// Compression contexts and the dictionaries in memory.
#[derive(Default)]
pub(crate) struct Codecs {
    contexts: Mutex<Vec<Contexts>>,
    /// By channel: what new bodies are written with.
    current: Mutex<HashMap<Arc<str>, Arc<Dictionary>>>,
    /// By id, with the moment of the last use.
    loaded: Mutex<HashMap<i64, (Arc<Dictionary>, u64)>>,
    moment: AtomicU64,
    loaded_max: usize,
}

impl std::fmt::Debug for Codecs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Codecs")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Codecs {
    pub(crate) fn new(loaded_max: usize) -> Self {
        Self {
            loaded_max: loaded_max.max(1),
            ..Self::default()
        }
    }

    fn with_contexts<T>(&self, work: impl FnOnce(&mut Contexts) -> T) -> T {
        let kept = lock(&self.contexts).pop();
        let mut contexts = kept.unwrap_or_else(|| Contexts {
            compress: CCtx::create(),
            decompress: DCtx::create(),
        });
        let result = work(&mut contexts);
        let mut kept = lock(&self.contexts);
        if kept.len() < CONTEXTS_MAX {
            kept.push(contexts);
        }
        result
    }

    /// The dictionary for new bodies of a channel.
    pub(crate) fn current(&self, channel: &str) -> Option<Arc<Dictionary>> {
        lock(&self.current).get(channel).cloned()
    }

    /// From now on new bodies of the channel are written with this. Beyond the limit of
    /// dictionaries in memory a channel goes without.
    pub(crate) fn set_current(&self, channel: &Arc<str>, dictionary: Arc<Dictionary>) {
        self.keep(dictionary.clone());
        let mut current = lock(&self.current);
        if current.len() < self.loaded_max || current.contains_key(channel) {
            current.insert(channel.clone(), dictionary);
        }
    }

    /// All channels that have one, for a new partition to carry.
    pub(crate) fn all_current(&self) -> Vec<(Arc<str>, Arc<Dictionary>)> {
        let current = lock(&self.current);
        current
            .iter()
            .map(|(channel, dictionary)| (channel.clone(), dictionary.clone()))
            .collect()
    }

    pub(crate) fn loaded(&self, id: i64) -> Option<Arc<Dictionary>> {
        let moment = self.moment.fetch_add(1, Ordering::Relaxed);
        let mut loaded = lock(&self.loaded);
        let (dictionary, used) = loaded.get_mut(&id)?;
        *used = moment;
        Some(dictionary.clone())
    }

    pub(crate) fn keep(&self, dictionary: Arc<Dictionary>) {
        let moment = self.moment.fetch_add(1, Ordering::Relaxed);
        let mut loaded = lock(&self.loaded);
        if loaded.len() >= self.loaded_max && !loaded.contains_key(&dictionary.id) {
            let oldest = loaded.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(id) = oldest.map(|(id, _)| *id) {
                loaded.remove(&id);
            }
        }
        loaded.insert(dictionary.id, (dictionary, moment));
    }

    /// Compresses a received body.
    pub(crate) fn compress(&self, plain: &Bytes, dictionary: Option<&Arc<Dictionary>>) -> Stored {
        let stay = || Stored {
            codec: Codec::Plain,
            dictionary: None,
            bytes: plain.clone(),
        };
        let least = dictionary.map_or(COMPRESS_MIN, |_| COMPRESS_MIN_WITH);
        if plain.len() < least {
            return stay();
        }
        let mut out: Vec<u8> = Vec::with_capacity(compress_bound(plain.len()));
        let done = self.with_contexts(|contexts| match dictionary {
            Some(dictionary) => {
                let with = &dictionary.compress;
                contexts
                    .compress
                    .compress_using_cdict(&mut out, plain, with)
            }
            None => contexts.compress.compress(&mut out, plain, LEVEL),
        });
        match blocks_of(&out).filter(|blocks| done.is_ok() && blocks.len() < plain.len()) {
            None => stay(),
            Some(bytes) => Stored {
                codec: dictionary.map_or(Codec::Zstd, |_| Codec::Dictionary),
                dictionary: dictionary.cloned(),
                bytes,
            },
        }
    }

    /// Compresses outbound bytes against the received ones.
    pub(crate) fn compress_against(&self, plain: &Bytes, prefix: &[u8]) -> Stored {
        let stored = |codec, bytes| Stored {
            codec,
            dictionary: None,
            bytes,
        };
        if plain == prefix {
            return stored(Codec::Received, Bytes::new());
        }
        if let Some(edit) = edit::edit(plain, prefix) {
            return stored(Codec::Edited, edit.into());
        }
        if prefix.len() < COMPRESS_MIN_WITH || plain.len() < COMPRESS_MIN_WITH {
            return self.compress(plain, None);
        }
        let mut out: Vec<u8> = Vec::with_capacity(compress_bound(plain.len()));
        let done = self.with_contexts(|contexts| {
            contexts
                .compress
                .compress_using_dict(&mut out, plain, prefix, LEVEL)
        });
        match blocks_of(&out).filter(|blocks| done.is_ok() && blocks.len() < plain.len()) {
            None => stored(Codec::Plain, plain.clone()),
            Some(bytes) => stored(Codec::Prefix, bytes),
        }
    }

    /// Restores `plain_bytes` bytes; `None` if the stored ones are damaged.
    pub(crate) fn restore(
        &self,
        stored: &Stored,
        plain_bytes: usize,
        dictionary: Option<&Dictionary>,
        prefix: &[u8],
    ) -> Option<Bytes> {
        if stored.codec == Codec::Edited {
            let plain = edit::restore(&stored.bytes, prefix);
            return plain.filter(|plain| plain.len() == plain_bytes);
        }
        let mut out: Vec<u8> = Vec::new();
        let done = self.with_contexts(|contexts| {
            let context = &mut contexts.decompress;
            match stored.codec {
                Codec::Plain => Some(None),
                Codec::Received | Codec::Other | Codec::Edited => None,
                Codec::Zstd | Codec::Dictionary | Codec::Prefix => {
                    out.try_reserve_exact(plain_bytes).ok()?;
                    let from = &frame::whole(&stored.bytes, plain_bytes);
                    let done = match stored.codec {
                        Codec::Dictionary => {
                            context.decompress_using_ddict(&mut out, from, &dictionary?.decompress)
                        }
                        Codec::Prefix => context.decompress_using_dict(&mut out, from, prefix),
                        Codec::Zstd
                        | Codec::Plain
                        | Codec::Received
                        | Codec::Other
                        | Codec::Edited => context.decompress(&mut out, from),
                    };
                    done.ok().map(Some)
                }
            }
        })?;
        let plain = match done {
            None => stored.bytes.clone(),
            Some(_) => out.into(),
        };
        (plain.len() == plain_bytes).then_some(plain)
    }
}

/// A compressed frame as it is kept.
fn blocks_of(frame: &[u8]) -> Option<Bytes> {
    let blocks = frame.get(frame::header_bytes(frame)?..)?;
    Some(Bytes::copy_from_slice(blocks))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(n: u32) -> Bytes {
        format!("MSH|^~\\&|LIS|LAB|EHR|H|2024||ORU^R01|{n}|P|2.5\rPID|1||{n:08}^^^H^MR||DOE^J{n}\rOBX|1|NM|K^Potassium||{}|mmol/l\r", n % 90)
            .into()
    }

    #[test]
    fn bodies_come_back_by_every_codec() {
        let codecs = Codecs::new(4);
        let samples: Vec<Vec<u8>> = (0..400).map(|n| sample(n).to_vec()).collect();
        let dictionary = Dictionary::train(&samples, 4096).unwrap();
        // Longer than the window of the level, so that its frame has a header of another form.
        let long: String = (0_u64..40_000).map(|n| format!("{:x} ", n * n)).collect();
        let bodies = [
            sample(9999),
            Bytes::from_static(b"short"),
            Bytes::new(),
            long.into(),
        ];
        for body in bodies {
            for with in [None, Some(&dictionary)] {
                let stored = codecs.compress(&body, with);
                let back = codecs.restore(&stored, body.len(), with.map(|d| &**d), b"");
                assert_eq!(back, Some(body.clone()), "{:?}", stored.codec);
            }
        }
        let plain = sample(7).len();
        let with = codecs.compress(&sample(7), Some(&dictionary));
        assert!(with.bytes.len() * 2 < plain, "{} {plain}", with.bytes.len());
        let sent: Bytes = [&sample(7)[..], b"NTE|1"].concat().into();
        let against = codecs.compress_against(&sent, &sample(7));
        assert_eq!(against.codec, Codec::Edited);
        assert!(against.bytes.len() < 10, "{}", against.bytes.len());
        let back = codecs.restore(&against, sent.len(), None, &sample(7));
        assert_eq!(back, Some(sent.clone()));
        let much = [
            b"much before it that was not there; ".repeat(3),
            sent.to_vec(),
        ]
        .concat();
        let much: Bytes = [&much[..], &sent[..]].concat().into();
        let against = codecs.compress_against(&much, &sample(7));
        assert_eq!(against.codec, Codec::Prefix);
        assert!(against.bytes.len() < 80, "{}", against.bytes.len());
        let back = codecs.restore(&against, much.len(), None, &sample(7));
        assert_eq!(back, Some(much));
        let same = codecs.compress_against(&sample(7), &sample(7));
        assert_eq!((same.codec, same.bytes.len()), (Codec::Received, 0));
    }

    #[test]
    fn damage_is_noticed_and_dictionaries_in_memory_are_bounded() {
        let codecs = Codecs::new(2);
        let body = Bytes::from(vec![b'a'; 500]);
        let mut stored = codecs.compress(&body, None);
        assert!(codecs.restore(&stored, 499, None, b"").is_none());
        stored.bytes = stored.bytes.slice(1..);
        assert!(codecs.restore(&stored, 500, None, b"").is_none());
        let ids: Vec<i64> = (0..3_u8)
            .map(|n| {
                let dictionary = Dictionary::new(Bytes::from(vec![n; 64])).unwrap();
                codecs.keep(dictionary.clone());
                dictionary.id
            })
            .collect();
        let loaded: Vec<bool> = ids.iter().map(|id| codecs.loaded(*id).is_some()).collect();
        assert_eq!(loaded, [false, true, true]);
    }
}
