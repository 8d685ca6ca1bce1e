//! Figures as Prometheus reads them (text exposition format 0.0.4).
//!
//! Labels are names from the configuration, never content.

use hilum_engine::{DISPOSITIONS, Engine, LATENCY_BOUNDS_US, Latency};

use crate::fhir::FhirWork;

/// A metric: name, kind, and what it says.
struct Metric(&'static str, &'static str, &'static str);

const RECEIVED: Metric = Metric(
    "hilum_messages_received_total",
    "counter",
    "Messages brought in by a channel's source",
);
const RECEIVED_BYTES: Metric = Metric(
    "hilum_received_bytes_total",
    "counter",
    "Bytes brought in by a channel's source",
);
const DISPOSED: Metric = Metric(
    "hilum_messages_total",
    "counter",
    "Messages by what was decided about them",
);
const RESENT: Metric = Metric(
    "hilum_messages_resent_total",
    "counter",
    "Messages that a peer had sent before",
);
const REPROCESSED: Metric = Metric(
    "hilum_messages_reprocessed_total",
    "counter",
    "Messages processed again because state had changed",
);
const UNMAPPED: Metric = Metric(
    "hilum_unmapped_codes_total",
    "counter",
    "Codes that no table has, each counted once a message",
);
const UNMAPPED_KNOWN: Metric = Metric(
    "hilum_unmapped_codes",
    "gauge",
    "Different codes in the register of codes that no table has",
);
const ANSWER: Metric = Metric(
    "hilum_answer_seconds",
    "histogram",
    "From the arrival of a message to its answer",
);
const WAITING: Metric = Metric(
    "hilum_deliveries_waiting",
    "gauge",
    "Deliveries that are committed and not settled",
);
const WAITING_BYTES: Metric = Metric(
    "hilum_delivery_bytes_waiting",
    "gauge",
    "Bytes of the deliveries that are committed and not settled",
);
const FULL: Metric = Metric(
    "hilum_queue_full",
    "gauge",
    "1 if the queue is at its limit and holds the channel's source",
);
const DELIVERED: Metric = Metric(
    "hilum_deliveries_total",
    "counter",
    "Deliveries that the peer has",
);
const DEAD: Metric = Metric(
    "hilum_dead_letters_total",
    "counter",
    "Deliveries that became dead letters",
);
const RETRIED: Metric = Metric(
    "hilum_delivery_retries_total",
    "counter",
    "Attempts that found the peer away",
);
const DELIVERY: Metric = Metric(
    "hilum_delivery_seconds",
    "histogram",
    "From the arrival of a message to its delivery",
);
const ATTEMPT: Metric = Metric(
    "hilum_delivery_attempt_seconds",
    "histogram",
    "One attempt to deliver",
);
const SUSPENDED: Metric = Metric(
    "hilum_destination_open",
    "gauge",
    "1 if the destination sends, 0 if it is suspended or paused",
);
const IN_FLIGHT: Metric = Metric(
    "hilum_messages_in_flight",
    "gauge",
    "Messages between arrival and answer",
);
const DISK_FULL: Metric = Metric(
    "hilum_disk_full",
    "gauge",
    "1 if nothing is accepted because the disk is full",
);

const DISK_FREE: Metric = Metric(
    "hilum_disk_free_bytes",
    "gauge",
    "Bytes that are free where the journal lies",
);

const CRITICAL_OPEN: Metric = Metric(
    "hilum_critical_results_waiting",
    "gauge",
    "Deliveries of critical results that are not acknowledged",
);
const CRITICAL_LATE: Metric = Metric(
    "hilum_critical_results_late",
    "gauge",
    "Of those, the ones that took longer than critical-within",
);
const CRITICAL_TOLD: Metric = Metric(
    "hilum_critical_results_escalated_total",
    "counter",
    "Deliveries of critical results that someone was told of",
);
const CRITICAL_TOOK: Metric = Metric(
    "hilum_critical_result_seconds",
    "histogram",
    "From the arrival of a critical result to its acknowledgement",
);

const CLOCK_SKEW: Metric = Metric(
    "hilum_system_clock_skew_seconds",
    "gauge",
    "By how much the clock of a system is ahead of this one, by its freshest message of the last half hour; negative if it is behind",
);

const FHIR_JOBS: Metric = Metric(
    "hilum_fhir_jobs",
    "gauge",
    "Exports, imports, erasures, reindexes and requests of the FHIR server that wait, run or have failed",
);

/// All figures of an engine, and those of the FHIR server beside it.
pub(crate) fn render(engine: &Engine, work: Option<&[FhirWork]>) -> String {
    let mut text = String::with_capacity(16 * 1024);
    let status = engine.status();
    head(&mut text, &IN_FLIGHT);
    sample(&mut text, IN_FLIGHT.0, "", status.in_flight as u64);
    head(&mut text, &DISK_FULL);
    sample(&mut text, DISK_FULL.0, "", u64::from(status.disk_full));
    if let Some(free) = status.disk_free {
        head(&mut text, &DISK_FREE);
        sample(&mut text, DISK_FREE.0, "", free);
    }
    critical(&mut text, engine);
    clocks(&mut text, engine);
    channels(&mut text, engine);
    queues(&mut text, engine);
    if let Some(work) = work {
        fhir(&mut text, work);
    }
    text
}

fn critical(text: &mut String, engine: &Engine) {
    let figures = engine.critical_figures();
    for (metric, value) in [
        (&CRITICAL_OPEN, figures.open()),
        (&CRITICAL_LATE, figures.late()),
        (&CRITICAL_TOLD, figures.told.get()),
    ] {
        head(text, metric);
        sample(text, metric.0, "", value);
    }
    head(text, &CRITICAL_TOOK);
    histogram(text, CRITICAL_TOOK.0, &[], &figures.took);
}

/// A system that has sent nothing for half an hour has no sample: nobody knows.
fn clocks(text: &mut String, engine: &Engine) {
    head(text, &CLOCK_SKEW);
    for clock in engine.sender_clocks() {
        let labels = label(&[("system", &clock.system)]);
        sample(text, CLOCK_SKEW.0, &labels, clock.skew_s);
    }
}

/// The states and kinds that there may be are always there, so that a rule can wait for them.
fn fhir(text: &mut String, work: &[FhirWork]) {
    head(text, &FHIR_JOBS);
    for kind in ["export", "import", "erase", "reindex", "request"] {
        for state in ["waiting", "running", "failed"] {
            let of = work
                .iter()
                .filter(|one| one.kind == kind && one.state == state);
            let labels = label(&[("kind", kind), ("state", state)]);
            sample(text, FHIR_JOBS.0, &labels, of.count());
        }
    }
}

fn channels(text: &mut String, engine: &Engine) {
    let all = engine.channel_figures();
    for (metric, value) in [
        (
            &RECEIVED,
            (|f| f.received.get()) as fn(&hilum_engine::ChannelFigures) -> u64,
        ),
        (&RECEIVED_BYTES, |f| f.received_bytes.get()),
        (&RESENT, |f| f.resent.get()),
        (&REPROCESSED, |f| f.reprocessed.get()),
        (&UNMAPPED, |f| f.unmapped.get()),
    ] {
        head(text, metric);
        for channel in &all {
            sample(
                text,
                metric.0,
                &label(&[("channel", &channel.name)]),
                value(channel.figures()),
            );
        }
    }
    head(text, &UNMAPPED_KNOWN);
    for channel in &all {
        let known = engine.unmapped_count(&channel.name);
        sample(
            text,
            UNMAPPED_KNOWN.0,
            &label(&[("channel", &channel.name)]),
            known,
        );
    }
    head(text, &DISPOSED);
    for channel in &all {
        for (disposition, counter) in DISPOSITIONS.iter().zip(&channel.figures().dispositions) {
            let labels = [
                ("channel", &*channel.name),
                ("disposition", disposition.word()),
            ];
            sample(text, DISPOSED.0, &label(&labels), counter.get());
        }
    }
    head(text, &ANSWER);
    for channel in &all {
        histogram(
            text,
            ANSWER.0,
            &[("channel", &channel.name)],
            &channel.figures().answer,
        );
    }
}

fn queues(text: &mut String, engine: &Engine) {
    let all = engine.queue_figures();
    let labels = |queue: &hilum_engine::QueueView| {
        label(&[
            ("channel", &queue.channel),
            ("destination", &queue.destination),
        ])
    };
    for (metric, value) in [
        (
            &WAITING,
            (|q| q.waiting()) as fn(&hilum_engine::QueueView) -> u64,
        ),
        (&WAITING_BYTES, |q| q.waiting_bytes()),
        (&FULL, |q| u64::from(q.is_full())),
        (&DELIVERED, |q| q.figures().delivered.get()),
        (&DEAD, |q| q.figures().dead.get()),
        (&RETRIED, |q| q.figures().retried.get()),
        (&SUSPENDED, |q| u64::from(q.is_open())),
    ] {
        head(text, metric);
        for queue in &all {
            sample(text, metric.0, &labels(queue), value(queue));
        }
    }
    for (metric, latency) in [
        (
            &DELIVERY,
            (|q| &q.figures().delivery) as fn(&hilum_engine::QueueView) -> &Latency,
        ),
        (&ATTEMPT, |q| &q.figures().attempt),
    ] {
        head(text, metric);
        for queue in &all {
            let labels = [
                ("channel", &*queue.channel),
                ("destination", &*queue.destination),
            ];
            histogram(text, metric.0, &labels, latency(queue));
        }
    }
}

fn head(text: &mut String, Metric(name, kind, about): &Metric) {
    text.push_str(&format!("# HELP {name} {about}\n# TYPE {name} {kind}\n"));
}

fn sample(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    text.push_str(&format!("{name}{labels} {value}\n"));
}

fn histogram(text: &mut String, name: &str, labels: &[(&str, &str)], latency: &Latency) {
    let mut sum = 0;
    for (bound, counter) in LATENCY_BOUNDS_US.iter().zip(&latency.buckets) {
        sum += counter.get();
        let bound = match *bound {
            u64::MAX => "+Inf".to_owned(),
            bound => (bound as f64 / 1e6).to_string(),
        };
        let labels: Vec<_> = labels
            .iter()
            .copied()
            .chain([("le", bound.as_str())])
            .collect();
        sample(text, &format!("{name}_bucket"), &label(&labels), sum);
    }
    let seconds = latency.sum_us.get() as f64 / 1e6;
    sample(text, &format!("{name}_sum"), &label(labels), seconds);
    sample(text, &format!("{name}_count"), &label(labels), sum);
}

fn label(labels: &[(&str, &str)]) -> String {
    let quoted: Vec<String> = labels
        .iter()
        .map(|(name, value)| {
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    format!("{{{}}}", quoted.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All metrics, in the order of the page of the reference.
    const ALL: [&Metric; 26] = [
        &RECEIVED,
        &RECEIVED_BYTES,
        &DISPOSED,
        &RESENT,
        &REPROCESSED,
        &UNMAPPED,
        &UNMAPPED_KNOWN,
        &ANSWER,
        &WAITING,
        &WAITING_BYTES,
        &FULL,
        &DELIVERED,
        &DEAD,
        &RETRIED,
        &DELIVERY,
        &ATTEMPT,
        &SUSPENDED,
        &IN_FLIGHT,
        &DISK_FULL,
        &DISK_FREE,
        &CRITICAL_OPEN,
        &CRITICAL_LATE,
        &CRITICAL_TOLD,
        &CRITICAL_TOOK,
        &CLOCK_SKEW,
        &FHIR_JOBS,
    ];

    fn page() -> String {
        let mut page = String::from(
            "<!-- made by `cargo xtask codegen`; edit the source that it comes from -->\n\n\
             # Metrics\n\nAt `/metrics` of the management API, as Prometheus reads them. Labels \
             are names from the configuration, never content.\n\n\
             | Metric | Kind | |\n|---|---|---|\n",
        );
        for Metric(name, kind, about) in ALL {
            page.push_str(&format!("| `{name}` | {kind} | {about} |\n"));
        }
        page
    }

    /// `cargo xtask codegen` sets `HILUM_UPDATE=1`, with which the page is written instead.
    #[test]
    fn the_reference_names_every_metric() {
        let constants = include_str!("metrics.rs").matches(": Metric = Metric(");
        // One of the matches is the line above.
        assert_eq!(constants.count() - 1, ALL.len(), "a metric is not in `ALL`");
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/reference/metrics.md"
        );
        if std::env::var_os("HILUM_UPDATE").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(found, page(), "out of date: run `cargo xtask codegen`");
    }
}
