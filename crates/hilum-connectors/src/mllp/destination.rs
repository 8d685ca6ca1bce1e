//! Messages out: one under way on each connection, answers checked.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hilum_component::{
    AnswerTable, BoxFuture, BuildContext, Built, Class, Delivered, Delivery, DeliveryError,
    Destination, DestinationFactory, Format, Outcome, PeerAnswer, Problem, Reached, SystemInfo,
};
use hilum_hl7v2::mllp::{Commit, Decoder, END, Event, SkipReason};
use hilum_net::{CONNECT_WITHIN, Stream, io_code, io_reason};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::answer::{control_id, verdict};
use super::config::{AnswerWanted, DestinationConfig, Release};
use super::line::{Line, Lines, Place};
use super::wire::{EndByte, write_payload};
use crate::endpoint;

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
    let place = match &config.listen {
        Some(listen) => called(context, &mut problems, &config, listen),
        None => call(context, &mut problems, &config, system),
    };
    let Some(place) = place else {
        return Err(problems);
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    let shared = Arc::new(Settings {
        place,
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
            lines: Lines::new(shared.place.clone(), shared.connections),
            settings: Arc::clone(&shared),
        })
    }))
}

/// The peer is called at its address.
fn call(
    context: &BuildContext<'_>,
    problems: &mut Vec<Problem>,
    config: &DestinationConfig,
    system: Option<&SystemInfo>,
) -> Option<Place> {
    if !config.allow.is_empty() {
        let problem = Problem::at(&["allow"], "`allow` says who may call, and nobody does");
        problems.push(problem.hint("write `listen: HOST:PORT` for a peer that calls"));
    }
    let written = config.address.as_deref();
    let address = endpoint::peer_text("mllp", "address", written, system)
        .and_then(|text| endpoint::host_port("address", &text))
        .map_err(|problem| endpoint::of_peer("mllp", written, system, problem));
    let address = endpoint::noting(problems, address);
    let tls = endpoint::connect_tls(context, "mllp", config.tls.as_ref(), system);
    let tls = endpoint::noting(problems, tls);
    let (within, keep_alive) = (config.connect_within, config.keep_alive);
    let connector = endpoint::connector(address?, tls?, within, Some(keep_alive));
    endpoint::noting(problems, connector).map(Place::Call)
}

/// The peer calls.
fn called(
    context: &BuildContext<'_>,
    problems: &mut Vec<Problem>,
    config: &DestinationConfig,
    listen: &str,
) -> Option<Place> {
    if config.address.is_some() {
        let text = "either the peer is called at `address`, or it calls at `listen`";
        problems.push(Problem::at(&["address"], text));
    }
    let (tls, allow) = (config.tls.as_ref(), config.allow.as_slice());
    let mut options = endpoint::listen_options(context, problems, listen, tls, allow, &[])?;
    options.keep_alive = endpoint::quiet(config.keep_alive);
    let within = config
        .connect_within
        .map_or(CONNECT_WITHIN, |within| within.duration());
    Some(Place::Called(options, within))
}

struct Settings {
    place: Place,
    format: Arc<dyn Format>,
    answers: AnswerTable,
    answer_within: Duration,
    answer: AnswerWanted,
    release: Release,
    connections: usize,
}

struct MllpDestination {
    settings: Arc<Settings>,
    lines: Lines,
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
        endpoint::one_by_one(deliveries, |delivery| self.one(delivery))
    }

    fn concurrency(&self) -> usize {
        self.settings.connections
    }

    fn address(&self) -> String {
        let place = self.lines.place();
        let scheme = if place.uses_tls() { "mllps" } else { "mllp" };
        format!("{scheme}://{}", place.address())
    }

    fn open(&self) {
        self.lines.open();
    }

    fn reach(&self) -> BoxFuture<'_, Option<Result<Reached, DeliveryError>>> {
        Box::pin(self.lines.reach())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.lines.close())
    }
}

impl MllpDestination {
    async fn one(&self, delivery: &Delivery) -> Outcome {
        if memchr::memchr(END, delivery.payload.text()).is_some() {
            return Err(end_byte());
        }
        let id = control_id(delivery.payload.text());
        let mut line = self.lines.take().await?;
        let mut exchanged = self.exchange(&mut line, delivery, id).await;
        if matches!(exchanged, Exchanged::WrongId) {
            // The peer may be answering something older: a fresh connection has no past.
            drop(line);
            line = self.lines.fresh().await?;
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
                self.lines.keep(line);
                Ok(Delivered {
                    reply: None,
                    summary: "sent".to_owned(),
                })
            }
            Exchanged::Answer(answer) => {
                self.lines.keep(line);
                self.judge(answer)
            }
        }
    }

    fn peer(&self) -> String {
        self.lines.place().address()
    }

    /// Sends one message and waits for its answer, within the time.
    async fn exchange(&self, line: &mut Line, delivery: &Delivery, id: Option<&[u8]>) -> Exchanged {
        let Line {
            connection,
            decoder,
            read,
            deadline,
        } = line;
        deadline
            .as_mut()
            .reset(Instant::now() + self.settings.answer_within);
        let stream = &mut connection.stream;
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
