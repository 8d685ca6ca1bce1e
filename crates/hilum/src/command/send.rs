//! `hilum send`
//!
//! Samples go one after the other over one connection, each with a line about its answer; load
//! goes over several and ends with a report. What a message or an answer says is not shown unless
//! asked for: control ids, codes and sizes are.

use std::io::{IsTerminal, stderr};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use hilum_hl7v2::batch;
use hilum_net::HostPort;
use hilum_testkit::messages::{Event, Synthetic, field};
use hilum_testkit::mllp::{Client, Load, LoadReport, MessageOf};
use serde_json::json;
use tokio::time::Instant;

use super::tls::Bridge;
use crate::args::Send;
use crate::output::{Exit, Output};

/// How often progress is shown.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

pub(crate) fn run(arguments: &Send, output: &Output) -> anyhow::Result<Exit> {
    let mut messages = Vec::new();
    for file in &arguments.files {
        read(file, arguments.as_is, &mut messages)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the I/O threads")?;
    runtime.block_on(async {
        let to = &arguments.to;
        let (bridge, address) = if to.tls || arguments.tls.tls {
            let (bridge, address) = Bridge::outward(&to.address, &arguments.tls).await?;
            (Some(bridge), address)
        } else {
            (None, resolve(&to.address).await?)
        };
        let sent = match arguments.count {
            Some(count) => load(arguments, address, count, messages, output).await,
            None => samples(arguments, address, &messages, output).await,
        };
        if let Some(failure) = bridge.and_then(|bridge| bridge.failure()) {
            output.note(failure);
        }
        sent
    })
}

/// A message to be sent, and where it is from.
struct Sample {
    name: String,
    bytes: Bytes,
}

/// The messages of a file; what is no HL7 v2 goes as it is, so that a peer's refusal can be seen.
fn read(file: &Path, as_is: bool, into: &mut Vec<Sample>) -> anyhow::Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.display().to_string();
    let found = batch::split(&bytes).messages;
    if as_is || found.is_empty() {
        into.push(Sample {
            name,
            bytes: bytes.into(),
        });
        return Ok(());
    }
    let many = found.len() > 1;
    for (range, number) in found.into_iter().zip(1..) {
        into.push(Sample {
            name: if many {
                format!("{name} ({number})")
            } else {
                name.clone()
            },
            bytes: line_ends(bytes.get(range).unwrap_or_default()).into(),
        });
    }
    Ok(())
}

/// Segments ended by CR, as on the wire; editors write LF.
fn line_ends(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 1);
    for &byte in message {
        match byte {
            b'\n' if out.last() == Some(&b'\r') => {}
            b'\n' => out.push(b'\r'),
            other => out.push(other),
        }
    }
    while out.ends_with(b"\r\r") {
        out.pop();
    }
    out
}

async fn resolve(to: &HostPort) -> anyhow::Result<SocketAddr> {
    let found = tokio::net::lookup_host((to.host.as_str(), to.port)).await;
    let mut found = found.with_context(|| format!("cannot resolve {to}"))?;
    found
        .next()
        .with_context(|| format!("the name {} has no address", to.host))
}

/// What an answer says, without its texts.
struct Verdict {
    code: String,
    errors: Vec<String>,
    right: bool,
}

impl Verdict {
    fn of(answer: &[u8], message: &[u8]) -> Self {
        let lines = || answer.split(|&byte| byte == b'\r');
        let part = |line: &[u8], n: usize| {
            let found = line.split(|&byte| byte == b'|').nth(n).unwrap_or_default();
            String::from_utf8_lossy(found).into_owned()
        };
        let msa = lines()
            .find(|line| line.starts_with(b"MSA"))
            .unwrap_or_default();
        let errors = lines()
            .filter(|line| line.starts_with(b"ERR"))
            .map(|line| {
                let code = part(line, 3);
                let code = code.split('^').next().unwrap_or_default().to_owned();
                match part(line, 2) {
                    place if place.is_empty() => code,
                    place => format!("{code} at {place}"),
                }
            })
            .collect();
        Self {
            code: part(msa, 1),
            errors,
            right: part(msa, 2).as_bytes() == field(message, 10),
        }
    }

    fn positive(&self) -> bool {
        self.right && matches!(self.code.as_str(), "AA" | "CA")
    }

    fn text(&self) -> String {
        if self.code.is_empty() {
            return "an answer without MSA".to_owned();
        }
        let mut text = self.code.clone();
        if !self.right {
            text.push_str(" for another control id");
        }
        if !self.errors.is_empty() {
            text.push_str(&format!(" ({})", self.errors.join(", ")));
        }
        text
    }
}

fn unreached(arguments: &Send) -> String {
    let to = &arguments.to;
    format!("cannot connect to {to}; does anything listen there? (`hilum receive {to}` would)")
}

async fn samples(
    arguments: &Send,
    address: SocketAddr,
    messages: &[Sample],
    output: &Output,
) -> anyhow::Result<Exit> {
    let connected = Client::connect(address).await;
    let mut client = connected.with_context(|| unreached(arguments))?;
    let mut exit = Exit::Done;
    for Sample { name, bytes } in messages {
        let id = String::from_utf8_lossy(field(bytes, 10)).into_owned();
        let start = Instant::now();
        let answer = tokio::time::timeout(arguments.answer_within, client.exchange(bytes)).await;
        let took = start.elapsed().as_secs_f64() * 1000.0;
        let (text, positive, answer) = match answer {
            Ok(Ok(answer)) => {
                let verdict = Verdict::of(&answer, bytes);
                (verdict.text(), verdict.positive(), Some(answer))
            }
            Ok(Err(error)) => (format!("no answer: {error}"), false, None),
            Err(_) => ("no answer in time".to_owned(), false, None),
        };
        if !positive {
            exit = Exit::Found;
        }
        let shown = answer.as_deref().filter(|_| arguments.reveal);
        let shown = shown.map(|answer| String::from_utf8_lossy(answer).into_owned());
        if output.json() {
            output.value(&json!({
                "file": name, "control-id": id, "answer": text, "positive": positive,
                "ms": took, "content": shown,
            }))?;
        } else {
            let color = if positive { "32" } else { "31" };
            let text = output.colored(color, &text);
            output.line(format_args!("{name}  {id}  {text}  {took:.1} ms"));
            let lines = shown.iter().flat_map(|shown| shown.split('\r'));
            lines
                .filter(|line| !line.is_empty())
                .for_each(|line| output.line(format_args!("    {line}")));
        }
        if answer.is_none() {
            client = Client::connect(address)
                .await
                .with_context(|| format!("cannot connect to {} again", arguments.to))?;
        }
    }
    Ok(exit)
}

async fn load(
    arguments: &Send,
    address: SocketAddr,
    count: u64,
    messages: Vec<Sample>,
    output: &Output,
) -> anyhow::Result<Exit> {
    let made = Arc::new(AtomicU64::new(0));
    let message = numbered(messages, Arc::clone(&made))?;
    let mut load = Load::new(address, usize::from(arguments.connections), count, message);
    load.rate = arguments.rate;
    load.answer_within = arguments.answer_within;
    let mut sending = tokio::spawn(async move { load.run().await });
    let show = stderr().is_terminal() && !output.json();
    let mut tick = tokio::time::interval(PROGRESS_EVERY);
    let start = Instant::now();
    let report = loop {
        tokio::select! {
            report = &mut sending => break report,
            _ = tick.tick() => if show {
                let sent = made.load(Ordering::Relaxed);
                let rate = sent as f64 / start.elapsed().as_secs_f64().max(0.001);
                output.progress(format_args!("{sent} of {count} sent, {rate:.0} a second"));
            },
        }
    };
    if show {
        output.progress("");
    }
    let report = report?.with_context(|| unreached(arguments))?;
    shown(&report, count, output)?;
    Ok(if report.failed.is_empty() {
        Exit::Done
    } else {
        Exit::Found
    })
}

/// The messages in turn, each with a control id that no earlier run used, because a receiver takes
/// the same id for a repetition.
fn numbered(samples: Vec<Sample>, made: Arc<AtomicU64>) -> anyhow::Result<MessageOf> {
    if samples
        .iter()
        .any(|sample| !sample.bytes.starts_with(b"MSH"))
    {
        bail!("with --count every file must hold HL7 v2 messages, each with its MSH");
    }
    let run = jiff::Timestamp::now().as_millisecond() & 0xff_ffff_ffff;
    Ok(Arc::new(move |number| {
        made.fetch_add(1, Ordering::Relaxed);
        let id = format!("{run:010X}{number:010}");
        let at = usize::try_from(number).unwrap_or_default();
        let sample = at.checked_rem(samples.len()).and_then(|at| samples.get(at));
        match sample {
            Some(sample) => with_control_id(&sample.bytes, &id),
            None => {
                let event = [Event::Admit, Event::Update, Event::Result];
                let event = event.get(at % event.len()).copied().unwrap_or(Event::Admit);
                with_control_id(&Synthetic::new(event, number, number).build(), &id)
            }
        }
    }))
}

/// The message with another MSH-10.
fn with_control_id(message: &[u8], id: &str) -> Vec<u8> {
    let Some(&separator) = message.get(3) else {
        return message.to_vec();
    };
    let end = message
        .iter()
        .position(|byte| matches!(byte, b'\r' | b'\n'));
    let (header, rest) = message.split_at(end.unwrap_or(message.len()));
    let mut fields: Vec<&[u8]> = header.split(|&byte| byte == separator).collect();
    // MSH-1 is the separator itself.
    while fields.len() < 10 {
        fields.push(b"");
    }
    if let Some(field) = fields.get_mut(9) {
        *field = id.as_bytes();
    }
    [fields.join(&separator).as_slice(), rest].concat()
}

fn shown(report: &LoadReport, count: u64, output: &Output) -> anyhow::Result<()> {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let answered: u64 = report.answers.values().sum();
    if output.json() {
        let latency = &report.latency;
        return output.value(&json!({
            "count": count,
            "answers": report.answers,
            "unanswered": count - answered.min(count),
            "acknowledged": report.acknowledged.len(),
            "failed": report.failed.len(),
            "seconds": report.elapsed.as_secs_f64(),
            "per-second": report.rate(),
            "ms": {
                "p50": ms(latency.p50), "p90": ms(latency.p90), "p99": ms(latency.p99),
                "p99.9": ms(latency.p999), "max": ms(latency.max),
            },
        }));
    }
    let answers = report.answers.iter();
    let answers: Vec<String> = answers.map(|(code, n)| format!("{n} {code}")).collect();
    output.line(format_args!(
        "{count} sent in {:.2} s: {}, {} without an answer",
        report.elapsed.as_secs_f64(),
        if answers.is_empty() {
            "none answered".to_owned()
        } else {
            answers.join(", ")
        },
        count - answered.min(count)
    ));
    output.line(format_args!("{:.0} acknowledged a second", report.rate()));
    output.line(format_args!("time to the answer: {}", report.latency));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_gets_another_control_id_and_is_otherwise_the_same() {
        let check = |message: &str, expected: &str| {
            let found = with_control_id(message.as_bytes(), "NEW");
            assert_eq!(String::from_utf8_lossy(&found), expected);
        };
        check(
            "MSH|^~\\&|A|B|C|D|1||ADT^A01|OLD|P|2.5\rPID|1",
            "MSH|^~\\&|A|B|C|D|1||ADT^A01|NEW|P|2.5\rPID|1",
        );
        check("MSH|^~\\&|A\r", "MSH|^~\\&|A|||||||NEW\r");
        check("MSH", "MSH");
    }

    #[test]
    fn line_ends_of_editors_become_those_of_the_wire() {
        let check = |text: &str, expected: &str| {
            assert_eq!(
                String::from_utf8(line_ends(text.as_bytes())),
                Ok(expected.to_owned())
            );
        };
        check("a\nb\n", "a\rb\r");
        check("a\r\nb\r\n\r\n", "a\rb\r");
        check("a\rb", "a\rb");
    }
}
