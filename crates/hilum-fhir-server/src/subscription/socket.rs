//! Websockets: subscribers that connect to us.
//!
//! A client of FHIR R4 sends `bind ID` and is sent `bound ID`, then `ping ID` for each event
//! (subscription.html#websockets). One of the backport guide asks for a token by
//! `$get-ws-binding-token`, sends `bind-with-token TOKEN`, and is sent Bundles, the first of which is
//! the handshake. What happens while nobody is connected waits in the queue of its destination.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hilum_fhir::IssueType;
use http::{HeaderMap, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::keeper;
use super::notification::{Kind, Told};
use super::read::{Status, Subscribed, Way};
use crate::call::{Answer, Reply};
use crate::fault::Fault;
use crate::slot::Slot;
use crate::tenant::Tenant;

/// Clients that are connected at once.
const SOCKETS_MAX: usize = 256;
/// Bytes of a message of a client: a word and an id, or a token.
const MESSAGE_MAX: usize = 4_096;
/// Subscriptions of one client.
pub(super) const BOUND_MAX: usize = 100;
/// Notifications on their way to one client.
const OUTGOING_MAX: usize = 16;
/// Silence after which a client is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How long a client may take for one message.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// How long a token is good.
pub(super) const TOKEN_GOOD_MS: i64 = 300_000;
/// Tokens that are good at once.
const TOKENS_MAX: usize = 1_000;

/// What is sent to a client, and who waits for it to be written.
struct Outgoing {
    text: Arc<str>,
    written: oneshot::Sender<()>,
}

type Line = mpsc::Sender<Outgoing>;

/// The clients that are connected, by the destinations that they are bound to.
pub(super) struct Sockets {
    bound: Mutex<HashMap<String, Vec<Line>>>,
    tokens: Mutex<HashMap<String, Token>>,
    somebody: Notify,
    places: Arc<Semaphore>,
    /// Counts the times that clients were sent away.
    kicks: watch::Sender<u64>,
}

/// What a token opens.
struct Token {
    ids: Vec<String>,
    tenant: String,
    until_ms: i64,
}

impl Sockets {
    pub(super) fn new() -> Self {
        Self {
            bound: Mutex::default(),
            tokens: Mutex::default(),
            somebody: Notify::new(),
            places: Arc::new(Semaphore::new(SOCKETS_MAX)),
            kicks: watch::Sender::new(0),
        }
    }

    fn lines(&self, destination: &str) -> Vec<Line> {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lines) = bound.get_mut(destination) else {
            return Vec::new();
        };
        lines.retain(|line| !line.is_closed());
        lines.clone()
    }

    fn bind(&self, destination: String, line: Line) {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = bound.entry(destination).or_default();
        lines.retain(|known| !known.is_closed() && !known.same_channel(&line));
        lines.push(line);
        self.somebody.notify_waiters();
    }

    /// Writes to all who are bound; false if nobody was, or got it.
    pub(super) async fn send(&self, destination: &str, text: &str) -> bool {
        let text: Arc<str> = text.into();
        let mut waiting = Vec::new();
        for line in self.lines(destination) {
            let (written, outcome) = oneshot::channel();
            let text = Arc::clone(&text);
            if line.send(Outgoing { text, written }).await.is_ok() {
                waiting.push(outcome);
            }
        }
        let mut any = false;
        for outcome in waiting {
            any |= outcome.await.is_ok();
        }
        any
    }

    /// Returns when somebody is bound, or after a time.
    pub(super) async fn somebody(&self, destination: &str, within: Duration) {
        let wait = async {
            loop {
                let bound = self.somebody.notified();
                if !self.lines(destination).is_empty() {
                    return;
                }
                bound.await;
            }
        };
        // Either way the caller tries.
        drop(tokio::time::timeout(within, wait).await);
    }

    /// Lets every client go.
    pub(super) fn close(&self) {
        self.places.close();
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        bound.clear();
    }

    /// Sends every client away: another node delivers.
    pub(super) fn kick(&self) {
        self.kicks.send_modify(|kicks| *kicks += 1);
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        bound.clear();
    }

    /// Makes a token for subscriptions.
    pub(super) fn token(
        &self,
        token: String,
        tenant: &str,
        ids: Vec<String>,
        now_ms: i64,
    ) -> Result<(), Fault> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, token| token.until_ms > now_ms);
        if tokens.len() >= TOKENS_MAX {
            let text = format!("more than {TOKENS_MAX} tokens are good at once");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(Fault::new(status, IssueType::Throttled, text));
        }
        let opens = Token {
            ids,
            tenant: tenant.to_owned(),
            until_ms: now_ms.saturating_add(TOKEN_GOOD_MS),
        };
        tokens.insert(token, opens);
        Ok(())
    }

    fn opened(&self, token: &str, tenant: &str, now_ms: i64) -> Option<Vec<String>> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tokens.get(token)?;
        (known.until_ms > now_ms && known.tenant == tenant).then(|| known.ids.clone())
    }
}

/// The request asks for a websocket.
pub(crate) fn asks(headers: &HeaderMap) -> bool {
    let named = |name, wanted: &str| {
        let values = headers.get_all(name).iter();
        let mut values = values.filter_map(|value| value.to_str().ok());
        values.any(|value| {
            let mut parts = value.split(',');
            parts.any(|part| part.trim().eq_ignore_ascii_case(wanted))
        })
    };
    named(header::UPGRADE, "websocket") && named(header::CONNECTION, "upgrade")
}

/// Answers a request for a websocket and serves the connection from then on (RFC 6455 §4.2).
/// Browsers let any page connect, so a page must be of an origin that may call.
pub(crate) fn accept(
    headers: &HeaderMap,
    upgrade: OnUpgrade,
    slot: &Arc<Slot>,
    origins: &[String],
) -> Result<Reply, Fault> {
    let origin = headers.get(header::ORIGIN);
    let may = |origin: &http::HeaderValue| {
        let mut known = origins.iter();
        known.any(|known| known.as_bytes() == origin.as_bytes())
    };
    if origin.is_some_and(|origin| !may(origin)) {
        let text = "pages of this origin may not connect; `fhir: origins:` names those that may";
        let status = StatusCode::FORBIDDEN;
        return Err(Fault::new(status, IssueType::Forbidden, text));
    }
    let version = headers.get(header::SEC_WEBSOCKET_VERSION);
    if version.is_none_or(|version| version.as_bytes() != b"13") {
        let text = "websockets of version 13 are spoken";
        let fault = Fault::new(StatusCode::UPGRADE_REQUIRED, IssueType::NotSupported, text);
        return Err(fault.with(header::SEC_WEBSOCKET_VERSION, "13"));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    let key = key.ok_or_else(|| {
        Fault::bad(
            IssueType::Required,
            "the header Sec-WebSocket-Key is missing",
        )
    })?;
    let tenant = slot.now();
    let hub = Arc::clone(tenant.subscriptions.hub());
    let place = Arc::clone(&hub.sockets.places).try_acquire_owned();
    let place = place.map_err(|_| {
        let text = format!("more than {SOCKETS_MAX} clients are connected");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Fault::new(status, IssueType::Throttled, text)
    })?;
    let slot = Arc::clone(slot);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(stream) => {
                let config = WebSocketConfig::default()
                    .max_message_size(Some(MESSAGE_MAX))
                    .max_frame_size(Some(MESSAGE_MAX));
                let stream = TokioIo::new(stream);
                let socket =
                    WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
                serve(socket, &slot).await;
            }
            Err(error) => tracing::debug!(%error, "a websocket was not taken up"),
        }
        drop(place);
    });
    Ok(Reply::new(StatusCode::SWITCHING_PROTOCOLS, Answer::None)
        .with(header::CONNECTION, "upgrade")
        .with(header::UPGRADE, "websocket")
        .with(header::SEC_WEBSOCKET_ACCEPT, &accepted(key.as_bytes())))
}

/// RFC 6455 §4.2.2: the key with the constant of the standard, hashed.
fn accepted(key: &[u8]) -> String {
    use base64::Engine as _;
    use sha1::Digest as _;
    let mut hash = sha1::Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64::engine::general_purpose::STANDARD.encode(hash.finalize())
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// Serves a client until it goes, does what it may not, or the server stops.
async fn serve(mut socket: Socket, slot: &Arc<Slot>) {
    let hub = Arc::clone(slot.now().subscriptions.hub());
    let (line, mut outgoing) = mpsc::channel(OUTGOING_MAX);
    let mut bound = 0_usize;
    let mut ping = tokio::time::interval(PING_EVERY);
    ping.tick().await;
    // What a client has not answered since.
    let mut silent = 0_u32;
    let mut kicks = hub.sockets.kicks.subscribe();
    loop {
        let message = tokio::select! {
            message = socket.next() => match message {
                Some(Ok(message)) => {
                    silent = 0;
                    message
                }
                Some(Err(_)) | None => return,
            },
            Some(Outgoing { text, written }) = outgoing.recv() => {
                if !write(&mut socket, Message::text(&*text)).await {
                    return;
                }
                // The destination may have given up.
                let (Ok(()) | Err(())) = written.send(());
                continue;
            }
            _ = kicks.changed() => return,
            _ = ping.tick() => {
                silent += 1;
                let alive = silent < 3 && !hub.sockets.places.is_closed();
                if !alive || !write(&mut socket, Message::Ping(bytes::Bytes::new())).await {
                    return;
                }
                continue;
            }
        };
        let text = match &message {
            Message::Text(text) => text.as_str(),
            Message::Binary(_) => "",
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            Message::Close(_) => {
                // tungstenite answers it when the stream is read to its end.
                continue;
            }
        };
        let answers = match asked(slot, text).await {
            Ok(answers) if bound + answers.len() > BOUND_MAX => Err(format!(
                "more than {BOUND_MAX} subscriptions on one connection"
            )),
            answers => answers,
        };
        match answers {
            Ok(answers) => {
                for Bound { answer, to } in answers {
                    if !write(&mut socket, Message::text(answer)).await {
                        return;
                    }
                    bound += 1;
                    hub.sockets.bind(to, line.clone());
                }
            }
            Err(why) => {
                if !write(&mut socket, Message::text(format!("error {why}"))).await {
                    return;
                }
            }
        }
    }
}

async fn write(socket: &mut Socket, message: Message) -> bool {
    let sent = tokio::time::timeout(WRITE_WITHIN, socket.send(message)).await;
    matches!(sent, Ok(Ok(())))
}

/// A destination that a client is bound to, and what it is told about that.
struct Bound {
    answer: String,
    to: String,
}

/// What comes of what a client says; the error is for the client.
async fn asked(slot: &Arc<Slot>, text: &str) -> Result<Vec<Bound>, String> {
    let tenant = slot.now();
    let subscriptions = &tenant.subscriptions;
    if !subscriptions.delivers() {
        return Err(
            "another node delivers now; connect to that one, or again in a while".to_owned(),
        );
    }
    let (word, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let rest = rest.trim();
    match word {
        "bind" => {
            let subscribed = over_sockets(&tenant, rest)?;
            if subscribed.topic.is_some() {
                return Err("a subscription to a topic is bound with a token".to_owned());
            }
            let (answer, to) = (format!("bound {rest}"), tenant.destination(rest));
            Ok(vec![Bound { answer, to }])
        }
        "bind-with-token" => {
            let sockets = &subscriptions.hub().sockets;
            let ids = sockets.opened(rest, &tenant.name, subscriptions.now_ms());
            let mut bound = Vec::new();
            for id in ids.ok_or("the token is not good")? {
                let answer = handshake(&tenant, &*over_sockets(&tenant, &id)?).await?;
                let to = tenant.destination(&id);
                bound.push(Bound { answer, to });
            }
            Ok(bound)
        }
        _ => Err("say `bind ID` or `bind-with-token TOKEN`".to_owned()),
    }
}

fn over_sockets(tenant: &Tenant, id: &str) -> Result<Arc<Subscribed>, String> {
    let active = tenant.subscriptions.active();
    let known = active.get(id);
    let known = known.filter(|one| matches!(one.way, Way::Socket) && one.status.is_live());
    let none = || "there is no active subscription with this id over websockets".to_owned();
    known.cloned().ok_or_else(none)
}

/// What a client that is bound to a topic hears first.
async fn handshake(tenant: &Tenant, subscribed: &Subscribed) -> Result<String, String> {
    let events = tenant.store.last_event(&subscribed.id).await;
    let events = events.map_err(|_| "the events cannot be counted now")?;
    let told = Told {
        status: Status::Active.code(),
        ..Told::of(tenant, subscribed, events)
    };
    let now_ms = tenant.subscriptions.now_ms();
    let bundle = told.bundle(Kind::Handshake, &[], subscribed.content, now_ms);
    let (_, bytes) = keeper::content(subscribed.payload.as_ref(), bundle)
        .map_err(|_| "the handshake cannot be written")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_standard_gives_the_answer_of_the_standard() {
        // RFC 6455 §1.3
        let answer = accepted(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
