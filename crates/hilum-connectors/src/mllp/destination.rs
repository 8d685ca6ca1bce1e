//! Messages out: kept connections, one message under way on each, answers checked.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hilum_component::{
    AnswerTable, BoxFuture, BuildContext, Built, Class, Delivered, Delivery, DeliveryError,
    Destination, DestinationFactory, Format, Outcome, PeerAnswer, Problem, Reached,
};
use hilum_hl7v2::mllp::{Commit, Decoder, DecoderOptions, END, Event, SkipReason, StartByte};
use hilum_net::{Connector, Stream, io_code, io_reason};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep_until};

use super::answer::{control_id, verdict};
use super::config::{AnswerWanted, DestinationConfig, Release};
use super::wire::{EndByte, write_payload};
use crate::endpoint;

/// The longest answer.
const ANSWER_BYTES_MAX: u64 = 1_000_000;
/// Bytes read at once.
const READ_BYTES: usize = 4 * 1024;
/// The most connections that make sense; more is a slip of the pen.
const CONNECTIONS_MAX: u32 = 1_000;

pub(super) fn build(value: &Value, context: &BuildContext<'_>) -> Built<DestinationFactory> {
    let config: DestinationConfig = endpoint::read(value)?;
    let mut problems = Vec::new();
    let system = endpoint::noting(
        &mut problems,
        endpoint::system(context, config.system.as_ref()),
    );
    let Some(system) = system else {
        return Err(problems);
    };
    if config.connections == 0 || config.connections > CONNECTIONS_MAX {
        let text = format!("`connections` is from 1 to {CONNECTIONS_MAX}");
        problems.push(Problem::at(&["connections"], text));
    }
    let system = system.as_deref();
    let written = config.address.as_deref();
    let address = endpoint::peer_text("mllp", "address", written, system)
        .and_then(|text| endpoint::host_port("address", &text))
        .map_err(|problem| endpoint::of_peer("mllp", written, system, problem));
    let address = endpoint::noting(&mut problems, address);
    let tls = endpoint::connect_tls(context, "mllp", config.tls.as_ref(), system);
    let tls = endpoint::noting(&mut problems, tls);
    let (Some(address), Some(tls)) = (address, tls) else {
        return Err(problems);
    };
    let connector =
        endpoint::connector(address, tls, config.connect_within, Some(config.keep_alive));
    let Some(connector) = endpoint::noting(&mut problems, connector) else {
        return Err(problems);
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    let shared = Arc::new(Settings {
        connector,
        format: Arc::clone(context.format),
        answers: system
            .map(|system| system.answers.clone())
            .unwrap_or_default(),
        answer_within: config.answer_within.duration(),
        answer: config.answer,
        release: config.release,
        connections: usize::try_from(config.connections).unwrap_or(1),
    });
    Ok(Arc::new(move || {
        Arc::new(MllpDestination {
            settings: Arc::clone(&shared),
            kept: Mutex::new(Vec::new()),
        })
    }))
}

struct Settings {
    connector: Connector,
    format: Arc<dyn Format>,
    answers: AnswerTable,
    answer_within: Duration,
    answer: AnswerWanted,
    release: Release,
    connections: usize,
}

struct MllpDestination {
    settings: Arc<Settings>,
    kept: Mutex<Vec<Line>>,
}

/// A connection that is not in use; one that is dropped in use is closed, so that a late answer
/// can never be taken for that of another message.
struct Line {
    stream: Stream,
    decoder: Decoder,
    read: Box<[u8]>,
    deadline: Pin<Box<Sleep>>,
}

/// How one exchange ended.
enum Exchanged {
    /// The peer answered, and the connection can be kept.
    Answer(Bytes),
    /// There is nothing to wait for.
    Sent,
    /// The answer was for another message.
    WrongId,
    /// It failed.
    Failed(DeliveryError),
}

impl Destination for MllpDestination {
    fn send<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Outcome>> {
        Box::pin(async move {
            let mut outcomes = Vec::with_capacity(deliveries.len());
            for delivery in deliveries {
                outcomes.push(self.one(delivery).await);
            }
            outcomes
        })
    }

    fn concurrency(&self) -> usize {
        self.settings.connections
    }

    fn address(&self) -> String {
        let scheme = if self.settings.connector.uses_tls() {
            "mllps"
        } else {
            "mllp"
        };
        format!("{scheme}://{}", self.settings.connector.address())
    }

    fn reach(&self) -> BoxFuture<'_, Option<Result<Reached, DeliveryError>>> {
        Box::pin(async { Some(endpoint::reach(&self.settings.connector).await) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let lines =
                std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
            for mut line in lines {
                // The peer may have gone already.
                drop(line.stream.shutdown().await);
            }
        })
    }
}

impl MllpDestination {
    async fn one(&self, delivery: &Delivery) -> Outcome {
        if memchr::memchr(END, delivery.payload.text()).is_some() {
            return Err(end_byte());
        }
        let id = control_id(delivery.payload.text());
        let mut line = self.line().await?;
        let mut exchanged = self.exchange(&mut line, delivery, id).await;
        if matches!(exchanged, Exchanged::WrongId) {
            // The peer may be answering something older: a fresh connection has no past.
            drop(line);
            line = self.connect().await?;
            exchanged = self.exchange(&mut line, delivery, id).await;
        }
        match exchanged {
            Exchanged::Failed(error) => Err(error),
            Exchanged::WrongId => Err(DeliveryError::halt(
                "answer-id",
                format!(
                    "{} answered another message twice (MSA-2 is not the MSH-10 that was sent)",
                    self.peer()
                ),
            )
            .hint(
                "the peer mixes up its answers: have it checked before the destination is resumed",
            )),
            Exchanged::Sent => {
                self.keep(line);
                Ok(Delivered {
                    reply: None,
                    summary: "sent".to_owned(),
                })
            }
            Exchanged::Answer(answer) => {
                self.keep(line);
                self.judge(answer)
            }
        }
    }

    /// A kept connection that is still good, or a new one.
    async fn line(&self) -> Result<Line, DeliveryError> {
        loop {
            let kept = self
                .kept
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            match kept {
                Some(mut line) => {
                    if line.stream.is_quiet() {
                        return Ok(line);
                    }
                }
                None => return self.connect().await,
            }
        }
    }

    async fn connect(&self) -> Result<Line, DeliveryError> {
        let connection = self.settings.connector.connect().await;
        let connection = connection.map_err(|error| endpoint::delivery_error(&error))?;
        let options = DecoderOptions {
            frame_bytes_max: ANSWER_BYTES_MAX,
            start_byte: StartByte::Required,
        };
        Ok(Line {
            stream: connection.stream,
            decoder: Decoder::new(options),
            read: vec![0; READ_BYTES].into_boxed_slice(),
            deadline: Box::pin(sleep_until(Instant::now() + self.settings.answer_within)),
        })
    }

    fn keep(&self, line: Line) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < self.settings.connections {
            kept.push(line);
        }
    }

    fn peer(&self) -> String {
        self.settings.connector.address().to_string()
    }

    /// Sends one message and waits for its answer, within the time.
    async fn exchange(&self, line: &mut Line, delivery: &Delivery, id: Option<&[u8]>) -> Exchanged {
        let Line {
            stream,
            decoder,
            read,
            deadline,
        } = line;
        deadline
            .as_mut()
            .reset(Instant::now() + self.settings.answer_within);
        let work = async {
            if let Err(error) = write_payload(stream, &delivery.payload, &*delivery.blobs).await {
                return Exchanged::Failed(self.broken("send to", &error));
            }
            self.wait(stream, decoder, read, id).await
        };
        tokio::select! {
            biased;
            exchanged = work => exchanged,
            () = deadline => Exchanged::Failed(self.late()),
        }
    }

    async fn wait(
        &self,
        stream: &mut Stream,
        decoder: &mut Decoder,
        read: &mut [u8],
        id: Option<&[u8]>,
    ) -> Exchanged {
        let mut confirmed = self.settings.release == Release::One;
        loop {
            while let Some(event) = decoder.next_event() {
                match event {
                    Event::Frame(frame) => {
                        let other = match (id, verdict(&frame.bytes)) {
                            (Some(sent), Some((_, answered))) => sent != answered,
                            (None, _) | (Some(_), None) => false,
                        };
                        return if other {
                            Exchanged::WrongId
                        } else {
                            Exchanged::Answer(frame.bytes)
                        };
                    }
                    Event::Commit(Commit::Nak) => return Exchanged::Failed(self.not_stored()),
                    Event::Commit(Commit::Ack) => confirmed = true,
                    Event::Skipped(skipped) if skipped.reason == SkipReason::TooLarge => {
                        return Exchanged::Failed(self.unreadable("it is too long"));
                    }
                    Event::Skipped(skipped) => {
                        tracing::warn!(peer = %self.peer(), bytes = skipped.count, "skipped bytes outside of frames");
                    }
                    // Deviations of framing change nothing.
                    Event::Deviation(_) => {}
                }
            }
            if confirmed && self.settings.answer == AnswerWanted::None {
                return Exchanged::Sent;
            }
            match stream.read(read).await {
                Ok(0) => return Exchanged::Failed(self.closed()),
                Ok(count) => decoder.push(read.get(..count).unwrap_or_default()),
                Err(error) => {
                    return Exchanged::Failed(self.broken("wait for the answer of", &error));
                }
            }
        }
    }

    /// What an answer means.
    fn judge(&self, answer: Bytes) -> Outcome {
        let Some((code, id)) = verdict(&answer) else {
            return Err(self.unreadable("it has no MSA segment").reply(answer));
        };
        if matches!(code, b"AA" | b"CA") {
            let summary = if code == b"AA" { "AA" } else { "CA" };
            return Ok(Delivered {
                summary: summary.to_owned(),
                reply: Some(answer),
            });
        }
        let said = self
            .settings
            .format
            .read_answer(&answer)
            .unwrap_or_else(|_| PeerAnswer {
                code: String::from_utf8_lossy(code).into_owned(),
                control_id: Some(String::from_utf8_lossy(id).into_owned()),
                ..PeerAnswer::default()
            });
        let (code, word) = known(&said.code);
        match self.settings.answers.class(&said) {
            None => Ok(Delivered {
                summary: word.to_owned(),
                reply: Some(answer),
            }),
            Some(class) => {
                let detail = said.error_code.filter(|code| is_plain(code));
                let detail = detail
                    .map(|code| format!(" (error {code})"))
                    .unwrap_or_default();
                let text = format!("{} answered {word}{detail}", self.peer());
                let error = DeliveryError::new(class, code, text).reply(answer);
                Err(match class {
                    Class::Halt => {
                        error.hint("`answers` in the system's file says what an answer means")
                    }
                    Class::Retry | Class::Reject => error,
                })
            }
        }
    }

    fn broken(&self, what: &str, error: &io::Error) -> DeliveryError {
        if error.get_ref().is_some_and(|inner| inner.is::<EndByte>()) {
            return end_byte();
        }
        DeliveryError::retry(
            io_code(error),
            format!("{what} {}: {}", self.peer(), io_reason(error)),
        )
    }

    fn closed(&self) -> DeliveryError {
        let text = format!("{} closed the connection before it answered", self.peer());
        DeliveryError::retry("connection-closed", text)
            .hint("the peer may not know the message: see its log for the time of the attempt")
    }

    fn late(&self) -> DeliveryError {
        let within = self.settings.answer_within.as_secs_f64();
        let text = format!("{} did not answer within {within} s", self.peer());
        DeliveryError::retry("answer-timeout", text).hint("`answer-within` sets the time")
    }

    fn not_stored(&self) -> DeliveryError {
        let text = format!(
            "{} could not store the message (MLLP release 2)",
            self.peer()
        );
        DeliveryError::retry("commit-nak", text)
    }

    fn unreadable(&self, reason: &str) -> DeliveryError {
        let text = format!(
            "{} sent an answer that cannot be read: {reason}",
            self.peer()
        );
        DeliveryError::halt("answer-unreadable", text)
            .hint("the peer may not speak HL7 v2; `answer: none` is for peers that do not answer")
    }
}

fn end_byte() -> DeliveryError {
    DeliveryError::reject(
        "frame-end-byte",
        "the message holds the byte 1C, which would end its frame early",
    )
    .hint("remove the byte with a step, or send in another way")
}

/// The stable code and the word for an MSA-1; other content of the field is not repeated.
fn known(code: &str) -> (&'static str, &'static str) {
    match code {
        "AA" => ("answer-aa", "AA"),
        "CA" => ("answer-ca", "CA"),
        "AE" => ("answer-ae", "AE"),
        "AR" => ("answer-ar", "AR"),
        "CE" => ("answer-ce", "CE"),
        "CR" => ("answer-cr", "CR"),
        _ => ("answer-unknown", "an unknown code"),
    }
}

/// Short codes may be repeated; text may hold content.
fn is_plain(code: &str) -> bool {
    code.len() <= 8 && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
