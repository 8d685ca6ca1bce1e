//! The connections of a destination: to a peer that is called, or from one that calls.
//!
//! A connection carries one message at a time and is kept in between. One that is dropped in use
//! is closed, so that a late answer can never be taken for that of another message. A peer that
//! calls keeps no more connections than `connections`; what is too many is closed at once.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hilum_component::{DeliveryError, Reached};
use hilum_hl7v2::mllp::{Decoder, DecoderOptions, StartByte};
use hilum_net::{Connection, Connector, ListenOptions, Listener, NetError};
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::endpoint;

/// The longest answer.
const ANSWER_BYTES_MAX: u64 = 1_000_000;
/// Bytes read at once.
const READ_BYTES: usize = 4 * 1024;
/// Connections that a listener lets in beyond those that are used, so that a peer that comes again
/// is heard before its old connection is known to be gone.
const SPARE: usize = 10;
/// Pause before a port that is taken is tried again.
const BIND_AGAIN: Duration = Duration::from_secs(1);

/// A connection.
pub(super) struct Line {
    pub(super) connection: Connection,
    pub(super) decoder: Decoder,
    pub(super) read: Box<[u8]>,
    pub(super) deadline: Pin<Box<Sleep>>,
}

impl Line {
    fn new(connection: Connection) -> Self {
        let options = DecoderOptions {
            frame_bytes_max: ANSWER_BYTES_MAX,
            start_byte: StartByte::Required,
        };
        Self {
            connection,
            decoder: Decoder::new(options),
            read: vec![0; READ_BYTES].into_boxed_slice(),
            deadline: Box::pin(sleep_until(Instant::now())),
        }
    }

    fn is_quiet(&mut self) -> bool {
        self.connection.stream.is_quiet()
    }
}

/// Who calls whom.
#[derive(Clone)]
pub(super) enum Place {
    /// The peer is called.
    Call(Connector),
    /// The peer calls; how long an attempt waits for it.
    Called(ListenOptions, Duration),
}

impl Place {
    /// For people.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Call(connector) => connector.address().to_string(),
            Self::Called(options, _) => options.address.to_string(),
        }
    }

    pub(super) fn uses_tls(&self) -> bool {
        match self {
            Self::Call(connector) => connector.uses_tls(),
            Self::Called(options, _) => options.tls.is_some(),
        }
    }
}

/// The connections of a destination.
pub(super) struct Lines {
    place: Place,
    kept: Arc<Kept>,
    /// The task that lets the peer in; ends when it is dropped.
    door: Mutex<JoinSet<()>>,
}

impl Lines {
    pub(super) fn new(mut place: Place, max: usize) -> Self {
        if let Place::Called(options, _) = &mut place {
            options.connections_max = max + SPARE;
        }
        Self {
            place,
            kept: Arc::new(Kept {
                max,
                lines: Mutex::default(),
                came: Notify::new(),
                trouble: Mutex::default(),
            }),
            door: Mutex::default(),
        }
    }

    /// Lets the peer in, where it is the peer that calls.
    pub(super) fn open(&self) {
        let Place::Called(options, _) = &self.place else {
            return;
        };
        let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        if door.is_empty() {
            door.spawn(let_in(options.clone(), Arc::clone(&self.kept)));
        }
    }

    /// A kept connection that is still good, or a new one.
    pub(super) async fn take(&self) -> Result<Line, DeliveryError> {
        match self.kept.quiet() {
            Some(line) => Ok(line),
            None => self.fresh().await,
        }
    }

    /// A connection that has not been used, or that has at least nothing outstanding.
    pub(super) async fn fresh(&self) -> Result<Line, DeliveryError> {
        match &self.place {
            Place::Call(connector) => {
                let connection = connector.connect().await;
                connection
                    .map(Line::new)
                    .map_err(|error| endpoint::delivery_error(&error))
            }
            Place::Called(options, within) => {
                self.open();
                timeout(*within, self.kept.wait()).await.map_err(|_| {
                    let trouble = self.kept.trouble().clone();
                    let text = trouble.unwrap_or_else(|| {
                        let within = within.as_secs_f64();
                        format!("no peer called at {} within {within} s", options.address)
                    });
                    DeliveryError::retry("peer-not-connected", text).hint(
                        "the peer connects to this destination: see whether it runs, knows this address, and is named by `allow`",
                    )
                })
            }
        }
    }

    pub(super) fn keep(&self, line: Line) {
        drop(self.kept.add(line));
    }

    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// Connects and lets go again; nothing can be tried where the peer calls.
    pub(super) async fn reach(&self) -> Option<Result<Reached, DeliveryError>> {
        match &self.place {
            Place::Call(connector) => Some(endpoint::reach(connector).await),
            Place::Called(..) => None,
        }
    }

    pub(super) async fn close(&self) {
        let mut door =
            std::mem::take(&mut *self.door.lock().unwrap_or_else(PoisonError::into_inner));
        door.shutdown().await;
        let lines = std::mem::take(&mut *self.kept.lines());
        for mut line in lines {
            // The peer may have gone already.
            drop(line.connection.stream.shutdown().await);
        }
    }
}

/// The connections that are not in use.
struct Kept {
    max: usize,
    lines: Mutex<Vec<Line>>,
    came: Notify,
    /// Why the listener is not there.
    trouble: Mutex<Option<String>>,
}

impl Kept {
    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that is open and on which the peer has said nothing; others are closed.
    fn quiet(&self) -> Option<Line> {
        let mut lines = self.lines();
        while let Some(mut line) = lines.pop() {
            if line.is_quiet() {
                return Some(line);
            }
        }
        None
    }

    async fn wait(&self) -> Line {
        loop {
            // Before the look, so that who comes in between is not missed.
            let came = self.came.notified();
            if let Some(line) = self.quiet() {
                return line;
            }
            came.await;
        }
    }

    /// Gives back the one for which there is no room.
    fn add(&self, line: Line) -> Option<Line> {
        let mut lines = self.lines();
        if lines.len() >= self.max {
            return Some(line);
        }
        lines.push(line);
        None
    }

    fn let_in(&self, line: Line) {
        self.lines().retain_mut(Line::is_quiet);
        match self.add(line) {
            None => self.came.notify_waiters(),
            Some(line) => {
                let (peer, limit) = (line.connection.peer.to_string(), self.max);
                tracing::warn!(%peer, limit, "refused a peer: all connections of the destination are there");
            }
        }
    }
}

async fn let_in(options: ListenOptions, kept: Arc<Kept>) {
    let listener = bind(options, &kept).await;
    let mut handshakes: JoinSet<Result<Connection, NetError>> = JoinSet::new();
    loop {
        tokio::select! {
            Some(done) = handshakes.join_next() => match done {
                Ok(Ok(connection)) => kept.let_in(Line::new(connection)),
                Ok(Err(error)) => {
                    let (error, hint) = (error.chain(), error.hint());
                    tracing::warn!(%error, hint, "a peer could not connect");
                }
                Err(error) => tracing::error!(%error, "a connection ended by a bug in hilum"),
            },
            incoming = listener.accept() => {
                handshakes.spawn(incoming.handshake());
            }
        }
    }
}

/// Another, an older plan's destination for example, may hold the port a moment longer.
async fn bind(options: ListenOptions, kept: &Kept) -> Listener {
    loop {
        match Listener::bind(options.clone()).await {
            Ok(listener) => {
                *kept.trouble() = None;
                return listener;
            }
            Err(error) => {
                let text = error.chain();
                let known = kept.trouble().replace(text.clone()).is_some();
                if !known {
                    tracing::warn!(error = %text, hint = error.hint(), "a destination cannot listen; it tries again every second");
                }
                tokio::time::sleep(BIND_AGAIN).await;
            }
        }
    }
}
