//! An intake in memory that records what it takes.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hilum_message::{BlobRef, MessageId, Payload, Piece};
use tokio::sync::watch;

use super::within;
use crate::{
    Arrival, BlobWriter, BoxFuture, Disposition, Intake, IntakePort, NotTaken, Partial, Peer, Reply,
};

type Responder = Box<dyn Fn(u64, &Arrival) -> Reply + Send + Sync>;

/// Records arrivals and replies as it is told to; accepts everything until then.
pub struct FakeIntake {
    state: Mutex<State>,
    blobs: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    taken: watch::Sender<u64>,
    gate: watch::Sender<bool>,
}

struct State {
    arrivals: Vec<Arrival>,
    junk: Vec<(Bytes, u64, Peer)>,
    refused: Vec<Partial>,
    remembered: BTreeMap<String, Bytes>,
    respond: Responder,
    no_room: bool,
}

impl FakeIntake {
    /// An intake that accepts everything at once.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let state = State {
            arrivals: Vec::new(),
            junk: Vec::new(),
            refused: Vec::new(),
            remembered: BTreeMap::new(),
            respond: Box::new(|number, _| Self::reply(number, Disposition::Accepted, b"yes")),
            no_room: false,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            blobs: Arc::default(),
            taken: watch::channel(0).0,
            gate: watch::channel(true).0,
        })
    }

    /// A reply as an engine gives it, for a message with this number.
    #[must_use]
    pub fn reply(number: u64, disposition: Disposition, answer: &'static [u8]) -> Reply {
        Reply {
            disposition,
            answer: Some(Bytes::from_static(answer)),
            reason: (!disposition.is_positive()).then(|| "told to refuse".to_owned()),
            message: Some(MessageId::new(1, u128::from(number))),
        }
    }

    /// The door to hand to a source.
    #[must_use]
    pub fn door(self: &Arc<Self>) -> Intake {
        Intake::new(Arc::clone(self) as Arc<dyn IntakePort>)
    }

    /// Replies in another way from now on; numbers count from 1.
    pub fn respond(&self, respond: impl Fn(u64, &Arrival) -> Reply + Send + Sync + 'static) {
        self.state().respond = Box::new(respond);
    }

    /// Keeps messages waiting for their reply until [`FakeIntake::release`].
    pub fn hold(&self) {
        self.gate.send_replace(false);
    }

    /// Replies to those that wait, and to all that follow.
    pub fn release(&self) {
        self.gate.send_replace(true);
    }

    /// From now on there is no room for blobs and remembered values.
    pub fn fill_disk(&self) {
        self.state().no_room = true;
    }

    /// There is room again.
    pub fn clear_disk(&self) {
        self.state().no_room = false;
    }

    /// What was taken, in order.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.state().arrivals.clone()
    }

    /// The bytes of what was taken, with blobs put back.
    #[must_use]
    pub fn contents(&self) -> Vec<Vec<u8>> {
        self.arrivals()
            .iter()
            .map(|arrival| self.whole(&arrival.payload))
            .collect()
    }

    /// The bytes of a payload, with blobs put back.
    #[must_use]
    pub fn whole(&self, payload: &Payload) -> Vec<u8> {
        let blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = Vec::new();
        for piece in payload.pieces() {
            match piece {
                Piece::Inline(bytes) => out.extend_from_slice(&bytes),
                Piece::Blob(range) => {
                    let blob = blobs
                        .get(&*range.blob.name)
                        .expect("a payload names finished blobs");
                    let (from, length) = (range.offset as usize, range.length as usize);
                    out.extend_from_slice(&blob[from..from + length]);
                }
            }
        }
        out
    }

    /// Junk that was recorded: first bytes, count, peer.
    #[must_use]
    pub fn junk(&self) -> Vec<(Bytes, u64, Peer)> {
        self.state().junk.clone()
    }

    /// Messages that were refused for want of the whole of them; their answer is `no`.
    #[must_use]
    pub fn refused(&self) -> Vec<Partial> {
        self.state().refused.clone()
    }

    /// Waits until this many messages were handed over.
    pub async fn wait_for(&self, count: u64) {
        let mut taken = self.taken.subscribe();
        let what = format!("{count} messages at the intake");
        drop(
            within(&what, taken.wait_for(|now| *now >= count))
                .await
                .expect("the sender lives in self"),
        );
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FakeIntake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FakeIntake({} taken)", *self.taken.borrow())
    }
}

impl IntakePort for FakeIntake {
    fn take(&self, arrival: Arrival) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let (number, reply) = {
                let mut state = self.state();
                let number = state.arrivals.len() as u64 + 1;
                let reply = (state.respond)(number, &arrival);
                if let Some((key, value)) = &arrival.remembers
                    && reply.disposition != Disposition::Failed
                {
                    state.remembered.insert(key.to_string(), value.clone());
                }
                state.arrivals.push(arrival);
                (number, reply)
            };
            self.taken.send_replace(number);
            let mut gate = self.gate.subscribe();
            drop(
                gate.wait_for(|open| *open)
                    .await
                    .expect("the sender lives in self"),
            );
            reply
        })
    }

    fn record_junk(&self, bytes: Bytes, total: u64, peer: Peer) -> BoxFuture<'_, ()> {
        self.state().junk.push((bytes, total, peer));
        Box::pin(async {})
    }

    fn refuse(&self, partial: Partial) -> BoxFuture<'_, Reply> {
        let (disposition, message) = match partial.why {
            NotTaken::TooLarge { .. } => (Disposition::Rejected, Some(MessageId::new(1, 0))),
            NotTaken::NotStored { .. } => (Disposition::Failed, None),
        };
        let reply = Reply {
            disposition,
            answer: Some(Bytes::from_static(b"no")),
            reason: Some(partial.why.to_string()),
            message,
        };
        self.state().refused.push(partial);
        Box::pin(async { reply })
    }

    fn blob(&self) -> BoxFuture<'_, io::Result<Box<dyn BlobWriter>>> {
        let full = self.state().no_room;
        let home = Arc::clone(&self.blobs);
        Box::pin(async move {
            if full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(Box::new(FakeBlob {
                bytes: Vec::new(),
                home,
            }) as Box<dyn BlobWriter>)
        })
    }

    fn ends_attachment(&self, byte: u8) -> bool {
        matches!(byte, b'\r' | b'|' | b'^' | b'~' | b'&')
    }

    fn remember<'a>(&'a self, key: &'a str, value: Bytes) -> BoxFuture<'a, io::Result<()>> {
        let mut state = self.state();
        if state.no_room {
            return Box::pin(async { Err(io::ErrorKind::StorageFull.into()) });
        }
        state.remembered.insert(key.to_owned(), value);
        Box::pin(async { Ok(()) })
    }

    fn recall<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Bytes>> {
        let found = self.state().remembered.get(key).cloned();
        Box::pin(async move { found })
    }

    fn now_ms(&self) -> u64 {
        1_767_225_600_000
    }
}

struct FakeBlob {
    bytes: Vec<u8>,
    home: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl BlobWriter for FakeBlob {
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, io::Result<()>> {
        self.bytes.extend_from_slice(bytes);
        Box::pin(async { Ok(()) })
    }

    fn written(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, io::Result<BlobRef>> {
        let mut home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("blob-{}", home.len());
        home.insert(name.clone(), self.bytes);
        Box::pin(async move {
            Ok(BlobRef {
                partition: "fake".into(),
                name: name.into(),
            })
        })
    }
}
