//! A receiver that records what it got and misbehaves on request.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::{framed, next_frame};
use crate::messages::{answer, field};

/// How long [`Receiver::idle`] waits.
const REACTION_WITHIN: Duration = Duration::from_secs(1);

/// What a receiver does with one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Answers with this code (`AA`, `AE`, `AR`) and the right id.
    Answer(&'static str),
    /// Answers AA with another id.
    WrongId,
    /// Answers with these bytes in a frame.
    Frame(Vec<u8>),
    /// Sends these bytes as they are.
    Raw(Vec<u8>),
    /// Answers AA one byte at a time with this pause.
    Slow(Duration),
    /// Never answers, and keeps the connection.
    Nothing,
    /// Closes without an answer.
    Close,
    /// Resets the connection without an answer.
    Reset,
}

/// How a receiver behaves; can be changed while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// What it does with a message that no other line names.
    pub usual: Reaction,
    /// What it does with every n-th message, counted from 1 over all connections.
    pub every: Vec<(u64, Reaction)>,
    /// What it does with the n-th message.
    pub at: Vec<(u64, Reaction)>,
    /// How long it takes before it reacts.
    pub delay: Duration,
    /// Whether it closes the connection after each answer.
    pub close_after: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            usual: Reaction::Answer("AA"),
            every: Vec::new(),
            at: Vec::new(),
            delay: Duration::ZERO,
            close_after: false,
        }
    }
}

impl Behaviour {
    /// Does the same with every message.
    #[must_use]
    pub fn always(reaction: Reaction) -> Self {
        Self {
            usual: reaction,
            ..Self::default()
        }
    }

    /// Does this with the n-th message and accepts all others.
    #[must_use]
    pub fn once(number: u64, reaction: Reaction) -> Self {
        Self {
            at: vec![(number, reaction)],
            ..Self::default()
        }
    }

    fn reaction(&self, number: u64) -> &Reaction {
        let at = self.at.iter().find(|(n, _)| *n == number);
        let every = || {
            self.every
                .iter()
                .find(|(n, _)| *n > 0 && number.is_multiple_of(*n))
        };
        at.or_else(every)
            .map_or(&self.usual, |(_, reaction)| reaction)
    }
}

/// How much of each message is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Id, length, digest and bytes.
    #[default]
    Bytes,
    /// Id, length and digest.
    Digests,
    /// Id and length.
    Ids,
}

/// One message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its number, from 1, over all connections.
    pub number: u64,
    /// The number of its connection, from 1.
    pub connection: u64,
    /// MSH-10.
    pub control_id: String,
    /// Its length.
    pub length: usize,
    /// SHA-256 of its bytes, unless only ids are kept.
    pub digest: Option<[u8; 32]>,
    /// Its bytes, if they are kept.
    pub bytes: Option<Bytes>,
    /// Whether it was answered with AA.
    pub accepted: bool,
    /// When it had arrived.
    pub at: Instant,
}

/// A running receiver; stops when dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    behaviour: Mutex<Behaviour>,
    received: Mutex<Vec<Received>>,
    arrived: Notify,
    keep: Keep,
    messages: AtomicU64,
    reacted: AtomicU64,
    connections: AtomicU64,
}

impl Receiver {
    /// Listens on a loopback port that the system chooses, accepts everything, keeps the bytes.
    pub async fn start() -> io::Result<Self> {
        Self::start_at(
            SocketAddr::from(([127, 0, 0, 1], 0)),
            Behaviour::default(),
            Keep::Bytes,
        )
        .await
    }

    /// Listens on a loopback port with a behaviour.
    pub async fn behaving(behaviour: Behaviour) -> io::Result<Self> {
        Self::start_at(
            SocketAddr::from(([127, 0, 0, 1], 0)),
            behaviour,
            Keep::Bytes,
        )
        .await
    }

    /// Listens at an address.
    pub async fn start_at(
        address: SocketAddr,
        behaviour: Behaviour,
        keep: Keep,
    ) -> io::Result<Self> {
        let listener = listen(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(behaviour),
            received: Mutex::new(Vec::new()),
            arrived: Notify::new(),
            keep,
            messages: AtomicU64::new(0),
            reacted: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        });
        let task = Some(tokio::spawn(accept(listener, Arc::clone(&shared))));
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Behaves differently from the next message on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self
            .shared
            .behaviour
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    /// What came so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared
            .received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until something came, and takes it out of the record, so that a receiver that runs
    /// for long does not grow. For one caller at a time.
    pub async fn take(&self) -> Vec<Received> {
        loop {
            let taken = std::mem::take(
                &mut *self
                    .shared
                    .received
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner),
            );
            if !taken.is_empty() {
                return taken;
            }
            self.shared.arrived.notified().await;
        }
    }

    /// The control ids that came so far.
    #[must_use]
    pub fn control_ids(&self) -> Vec<String> {
        let received = self
            .shared
            .received
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        received
            .iter()
            .map(|message| message.control_id.clone())
            .collect()
    }

    /// How many messages came.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.shared.messages.load(Ordering::SeqCst)
    }

    /// Waits until every message that came has had its reaction, at most for [`REACTION_WITHIN`].
    pub async fn idle(&self) {
        let done = async {
            while self.shared.reacted.load(Ordering::SeqCst) < self.count() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        // One that never reacts is not waited for any longer.
        drop(tokio::time::timeout(REACTION_WITHIN, done).await);
    }

    /// How many connections were made.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Closes the listener and all connections, as a machine does that goes down.
    pub async fn down(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // The result only says that it was aborted.
            drop(task.await);
        }
    }

    /// Listens again at the same address.
    pub async fn up(&mut self) -> io::Result<()> {
        self.down().await;
        let listener = listen(self.address)?;
        self.task = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
        Ok(())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, which ends the connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    // A peer that goes away is part of the tests.
                    drop(serve(stream, number, &shared).await);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut stream: TcpStream, connection: u64, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut searched) = (BytesMut::with_capacity(64 * 1024), 0);
    loop {
        while let Some(frame) = next_frame(&mut buffer, &mut searched) {
            let number = shared.messages.fetch_add(1, Ordering::SeqCst) + 1;
            let (reaction, delay, close_after) = {
                let behaviour = shared
                    .behaviour
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                (
                    behaviour.reaction(number).clone(),
                    behaviour.delay,
                    behaviour.close_after,
                )
            };
            shared.record(
                number,
                connection,
                &frame,
                reaction == Reaction::Answer("AA"),
            );
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            match reaction {
                Reaction::Answer(code) => {
                    stream
                        .write_all(&framed(&answer(&frame, code, None)))
                        .await?
                }
                Reaction::WrongId => {
                    stream
                        .write_all(&framed(&answer(&frame, "AA", Some("SOMETHING-ELSE"))))
                        .await?;
                }
                Reaction::Frame(bytes) => stream.write_all(&framed(&bytes)).await?,
                Reaction::Raw(bytes) => stream.write_all(&bytes).await?,
                Reaction::Slow(pause) => {
                    for byte in framed(&answer(&frame, "AA", None)) {
                        stream.write_all(&[byte]).await?;
                        tokio::time::sleep(pause).await;
                    }
                }
                Reaction::Nothing => {}
                Reaction::Close => return Ok(()),
                Reaction::Reset => return stream.set_zero_linger(),
            }
            shared.reacted.fetch_add(1, Ordering::SeqCst);
            if close_after {
                return Ok(());
            }
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

impl Shared {
    fn record(&self, number: u64, connection: u64, frame: &Bytes, accepted: bool) {
        let digest = (self.keep != Keep::Ids).then(|| Sha256::digest(frame).into());
        let message = Received {
            number,
            connection,
            control_id: String::from_utf8_lossy(field(frame, 10)).into_owned(),
            length: frame.len(),
            digest,
            bytes: (self.keep == Keep::Bytes).then(|| frame.clone()),
            accepted,
            at: Instant::now(),
        };
        self.received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(message);
        self.arrived.notify_one();
    }
}
