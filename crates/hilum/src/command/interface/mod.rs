//! `hilum verify-interface`: what a laboratory sent, what each receiver got, what the store holds.
//!
//! From a node it takes what was received and what was sent, as the journal has it; of files it
//! processes the messages as they would be on arrival and sends nothing. Texts, values, ranges and
//! flags belong to a patient and are hidden without `--reveal`.

mod compare;
mod report;
mod result;

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, bail};
use bytes::Bytes;
use hilum_component::Incoming;
use hilum_config::{Form, Secrets, rendered};
use hilum_hl7v2::batch;
use hilum_message::{MessageId, Metadata, Payload};
use serde_json::json;

use self::compare::align;
use self::report::{Compared, Line, Report, Show, Test};
use self::result::{Field, TestResult, results};
use super::check::load_site;
use super::compare::Side;
use super::fhir::Server;
use super::history::{History, Span};
use super::node::Remote;
use super::node::show::text;
use crate::args::VerifyInterface;
use crate::output::{Exit, Output};

/// Results of one report.
const RESULTS_MAX: usize = 100_000;

pub(crate) fn run(arguments: &VerifyInterface, output: &Output) -> anyhow::Result<Exit> {
    let report = if arguments.sample.is_empty() {
        of_node(arguments)?
    } else {
        of_samples(arguments, output)?
    };
    let now = jiff::Timestamp::now();
    let made = now.round(jiff::Unit::Second).unwrap_or(now).to_string();
    let document = if output.json() {
        let value = json!({
            "digest": report.digest()?, "made": made, "reviewer": arguments.reviewer,
            "report": report,
        });
        value.to_string()
    } else {
        let (form, name) = match arguments.form.as_str() {
            "html" => (Form::Html, format!("Interface {}", arguments.channel)),
            _ => (Form::Markdown, String::new()),
        };
        rendered(
            &name,
            &report.blocks(&made, arguments.reviewer.as_deref())?,
            form,
        )
    };
    match &arguments.out {
        Some(file) => fs::write(file, format!("{}\n", document.trim_end()))
            .with_context(|| format!("cannot write {}", file.display()))?,
        None => output.line(document.trim_end()),
    }
    if report.tests.is_empty() {
        output.note("no results were found");
    }
    Ok(if report.is_well() {
        Exit::Done
    } else {
        Exit::Found
    })
}

/// A message whose results are compared.
struct Exchanged {
    id: String,
    arrived_ms: u64,
    sent: Vec<TestResult>,
    receivers: Vec<Receiver>,
}

/// What one side got.
struct Receiver {
    who: String,
    /// Its results, or why there are none.
    got: Result<Vec<TestResult>, String>,
}

impl Receiver {
    fn of(who: &str, bytes: &[u8]) -> Self {
        Self {
            who: who.to_owned(),
            got: results(bytes).ok_or_else(|| "not readable as HL7 v2 or FHIR".to_owned()),
        }
    }

    fn none(who: &str, why: impl Into<String>) -> Self {
        Self {
            who: who.to_owned(),
            got: Err(why.into()),
        }
    }
}

/// Which result of a receiver stands for which that was sent, and how many have no counterpart.
type Aligned = (Vec<Option<usize>>, usize);

impl Receiver {
    fn aligned(&self, sent: &[TestResult]) -> Aligned {
        let (pairs, beyond) = match &self.got {
            Ok(got) => align(sent, got),
            Err(_) => (Vec::new(), Vec::new()),
        };
        (pairs, beyond.len())
    }

    /// What it has of one result.
    fn line(&self, number: usize, sent: &TestResult, aligned: &Aligned, show: Show) -> Line {
        let got = match &self.got {
            Ok(got) => got,
            Err(why) => return Line::note(&self.who, why.clone()),
        };
        let (pairs, beyond) = aligned;
        let own = pairs.get(number).copied().flatten();
        match (own.and_then(|at| got.get(at)), beyond) {
            (Some(own), _) => Line::got(&self.who, sent, own, show),
            (None, 0) => Line::note(&self.who, "MISSING"),
            (None, beyond) => {
                let text = format!("MISSING; {beyond} results of it have no counterpart");
                Line::note(&self.who, text)
            }
        }
    }
}

/// Collects results by test code, as many of each as were asked for.
struct Gathered {
    each: usize,
    show: Show,
    by_code: BTreeMap<(String, String), Vec<Compared>>,
    count: usize,
    /// How many there may be.
    max: usize,
}

impl Gathered {
    fn new(arguments: &VerifyInterface) -> Self {
        Self {
            each: usize::from(arguments.each),
            show: if arguments.reveal {
                Show::All
            } else {
                Show::Open
            },
            by_code: BTreeMap::new(),
            count: 0,
            max: RESULTS_MAX,
        }
    }

    /// Some of these results are still wanted.
    fn wants(&self, sent: &[TestResult]) -> bool {
        sent.iter().any(|result| self.room(result))
    }

    fn room(&self, result: &TestResult) -> bool {
        let known = self.by_code.get(&self.key(result));
        known.is_none_or(|known| known.len() < self.each)
    }

    fn key(&self, result: &TestResult) -> (String, String) {
        let code = result.get(Field::Code);
        let code = match self.show {
            Show::Open if hilum_codes::shown(code).is_none() => {
                format!("({})", code.chars().count())
            }
            Show::Open | Show::All => code.to_owned(),
        };
        (code, result.get(Field::System).to_owned())
    }

    fn add(&mut self, exchanged: &Exchanged) -> anyhow::Result<()> {
        let aligned: Vec<_> = exchanged
            .receivers
            .iter()
            .map(|receiver| receiver.aligned(&exchanged.sent))
            .collect();
        for (number, sent) in exchanged.sent.iter().enumerate() {
            if !self.room(sent) {
                continue;
            }
            let mut rows = vec![Line::sent(sent, self.show)];
            for (receiver, aligned) in exchanged.receivers.iter().zip(&aligned) {
                rows.push(receiver.line(number, sent, aligned, self.show));
            }
            self.count += 1;
            if self.count > self.max {
                bail!(
                    "there are more than {} results; choose a shorter span or --each",
                    self.max
                );
            }
            let key = self.key(sent);
            self.by_code.entry(key).or_default().push(Compared {
                message: exchanged.id.clone(),
                arrived_ms: exchanged.arrived_ms,
                rows,
            });
        }
        Ok(())
    }

    fn tests(self) -> Vec<Test> {
        let all = self.by_code.into_iter();
        all.map(|((code, system), results)| Test {
            code,
            system,
            results,
        })
        .collect()
    }
}

/// The messages that a node has received, newest first, and what it sent.
fn of_node(arguments: &VerifyInterface) -> anyhow::Result<Report> {
    let at = &arguments.fhir.node.at;
    let status = Remote::new(at)?.get("/api/v1/status")?;
    let store = match status["fhir"].as_str() {
        Some(_) => Some(Server::of(&arguments.fhir)?),
        None => None,
    };
    let history = History::new(None, at)?;
    let mut found = history.list(&Span {
        channel: Some(arguments.channel.clone()),
        from_ms: arguments.when.since.unwrap_or(0),
        until_ms: arguments.when.until.unwrap_or(u64::MAX),
    })?;
    found.reverse();
    let mut gathered = Gathered::new(arguments);
    let (mut passed_over, mut plans) = (0, Vec::new());
    for stored in &found {
        let bytes = history
            .bytes(stored.id)
            .with_context(|| format!("cannot read message {}", stored.id))?;
        let sent = match results(&bytes) {
            Some(sent) if !sent.is_empty() => sent,
            Some(_) | None => {
                passed_over += 1;
                continue;
            }
        };
        if !gathered.wants(&sent) {
            continue;
        }
        let plan = text(&stored.row, "plan").to_owned();
        if !plans.contains(&plan) {
            plans.push(plan);
        }
        let mut receivers = Vec::new();
        let deliveries = history.deliveries(stored.id)?;
        if deliveries.is_empty() {
            let disposition = text(&stored.row, "disposition");
            receivers.push(Receiver::none(
                "nobody",
                format!("the message was {disposition}"),
            ));
        }
        for delivery in &deliveries {
            let who = text(delivery, "destination");
            let state = text(delivery, "state");
            if state != "delivered" {
                receivers.push(Receiver::none(who, format!("NOT DELIVERED: {state}")));
                continue;
            }
            let bytes = history.sent(text(delivery, "delivery"))?;
            let receiver = Receiver::of(who, &bytes);
            let held = store.as_ref().and_then(|store| held(store, who, &receiver));
            receivers.push(receiver);
            receivers.extend(held);
        }
        gathered.add(&Exchanged {
            id: stored.id.to_string(),
            arrived_ms: stored.arrived_ms,
            sent,
            receivers,
        })?;
    }
    Ok(Report {
        site: text(&status, "site").to_owned(),
        channel: arguments.channel.clone(),
        from: "node",
        plans,
        revealed: arguments.reveal,
        messages: found.len(),
        passed_over,
        tests: gathered.tests(),
    })
}

/// What the store holds now of what was sent to it; none where nothing of it can be looked up.
fn held(store: &Server, who: &str, receiver: &Receiver) -> Option<Receiver> {
    let got = receiver.got.as_ref().ok()?;
    let paths: Vec<&str> = got
        .iter()
        .filter_map(|result| result.look_up.as_deref())
        .collect();
    if paths.is_empty() || paths.len() != got.len() {
        return None;
    }
    let who = format!("store of {who}");
    let mut all = Vec::with_capacity(paths.len());
    for path in paths {
        let content = match store.content(&format!("/{path}")) {
            Ok(Some(content)) => content,
            // Gone or never there: the result stays empty, which shows as missing.
            Ok(None) => {
                all.push(TestResult::default());
                continue;
            }
            Err(error) => return Some(Receiver::none(&who, format!("NOT READ: {error}"))),
        };
        match results(&content).as_deref() {
            Some([one]) => all.push(one.clone()),
            Some([]) => all.push(TestResult::default()),
            Some(several) => {
                let text = format!("{} resources where one is expected", several.len());
                return Some(Receiver::none(&who, text));
            }
            None => return Some(Receiver::none(&who, "NOT READ: the answer is no FHIR")),
        }
    }
    Some(Receiver { who, got: Ok(all) })
}

/// Messages of files, processed as they would be on arrival.
fn of_samples(arguments: &VerifyInterface, output: &Output) -> anyhow::Result<Report> {
    let loaded = load_site(&arguments.site, Secrets::Unread, output)?;
    let Some(plan) = &loaded.plan else {
        bail!("the site has errors");
    };
    let channel = &arguments.channel;
    let names: Vec<&str> = plan.channels.keys().map(|name| &**name).collect();
    let plan = plan
        .channels
        .get(channel.as_str())
        .cloned()
        .with_context(|| {
            format!(
                "there is no channel {channel}; the site has {}",
                names.join(", ")
            )
        })?;
    let digest = plan.digest.to_string();
    let mut side = Side::new(plan);
    let mut gathered = Gathered::new(arguments);
    let (mut messages, mut passed_over) = (0, 0);
    let now_ms = u64::try_from(jiff::Timestamp::now().as_millisecond())?;
    for file in &arguments.sample {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let bytes = Bytes::from(bytes);
        for (range, number) in batch::split(&bytes).messages.into_iter().zip(1_u32..) {
            messages += 1;
            let message = bytes.slice(range);
            let sent = match results(&message) {
                Some(sent) if !sent.is_empty() => sent,
                Some(_) | None => {
                    passed_over += 1;
                    continue;
                }
            };
            let id = MessageId::new(now_ms, u128::from(number));
            let incoming = Incoming::new(id, now_ms, Payload::inline(message), Metadata::new());
            let processed = side.process(incoming).processed;
            let mut receivers = Vec::new();
            if let Some(reason) = &processed.reason {
                receivers.push(Receiver::none(
                    "nobody",
                    format!("{}: {}", processed.disposition.word(), reason.text),
                ));
            }
            let children = processed
                .children
                .iter()
                .flat_map(|child| &child.deliveries);
            for delivery in processed.deliveries.iter().chain(children) {
                receivers.push(match &delivery.dead_letter {
                    Some(_) => Receiver::none(&delivery.destination, "NOT DELIVERED: dead-letter"),
                    None => Receiver::of(&delivery.destination, delivery.payload.text()),
                });
            }
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            gathered.add(&Exchanged {
                id: format!("{number} of {name}"),
                // The moment of the trial says nothing about the message.
                arrived_ms: 0,
                sent,
                receivers,
            })?;
        }
    }
    Ok(Report {
        site: loaded.site.name,
        channel: channel.clone(),
        from: "samples",
        plans: vec![digest],
        revealed: arguments.reveal,
        messages,
        passed_over,
        tests: gathered.tests(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_a_limited_number_of_results_of_each_code_and_in_all() {
        let exchanged = |codes: &[&str]| {
            let lines = codes.iter().map(|code| format!("OBX|1|NM|{code}||4"));
            let text = format!(
                "MSH|^~\\&|L|H|||2026||ORU^R01|1|P|2.5.1\r{}\r",
                lines.collect::<Vec<_>>().join("\r")
            );
            Exchanged {
                id: "1".to_owned(),
                arrived_ms: 0,
                sent: results(text.as_bytes()).unwrap_or_default(),
                receivers: Vec::new(),
            }
        };
        let mut gathered = Gathered {
            each: 2,
            show: Show::Open,
            by_code: BTreeMap::new(),
            count: 0,
            max: 3,
        };
        gathered.add(&exchanged(&["A", "A", "A", "B"])).unwrap();
        assert!(
            !gathered.wants(&exchanged(&["A"]).sent) && gathered.wants(&exchanged(&["B"]).sent)
        );
        let error = gathered.add(&exchanged(&["B"])).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("there are more than 3 results"),
            "{error}"
        );
    }
}
