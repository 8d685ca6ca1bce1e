//! Reads by id, and a mix of changes as applications make them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hilum_testkit::mllp::Percentiles;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::ms;
use super::super::report::Row;
use super::ADDRESS;
use super::client::Fhir;
use super::draw::Drawn;
use crate::machine;
use crate::program::Program;

const CLIENTS: u64 = 16;
/// The types of the mix.
const TYPES: [&str; 9] = [
    "Patient",
    "Encounter",
    "Observation",
    "Condition",
    "Procedure",
    "MedicationRequest",
    "DiagnosticReport",
    "Immunization",
    "Organization",
];

/// Requests a second, and what each took of the server and of time.
pub(in crate::bench) struct Measured {
    pub(in crate::bench) rate: f64,
    cpu_ms: f64,
    times: Percentiles,
}

impl Measured {
    pub(in crate::bench) fn note(&self, withheld: f64) -> String {
        let told = machine::told(withheld);
        format!("{:.2} ms CPU each; {}{told}", self.cpu_ms, self.times)
    }
}

/// Requests until the time is up, by clients that each wait for their answer.
pub(in crate::bench) async fn many<F>(
    program: &Program,
    seconds: f64,
    request: impl Fn(u64) -> F,
) -> Result<Measured>
where
    F: Future<Output = Result<Vec<Duration>>> + Send + 'static,
{
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(request(client));
    }
    let (begun, cpu) = (Instant::now(), program.cpu_seconds()?);
    let mut times = Vec::new();
    while let Some(ended) = clients.join_next().await {
        times.extend(ended??);
    }
    let times = Percentiles::of(times);
    let count = times.count as f64;
    Ok(Measured {
        rate: count / begun.elapsed().as_secs_f64().max(seconds.min(0.1)),
        cpu_ms: (program.cpu_seconds()? - cpu) * 1000.0 / count,
        times,
    })
}

/// Reads by id.
pub(super) async fn reads(program: &Program, drawn: &Drawn, seconds: f64) -> Result<Vec<Row>> {
    let paths: Arc<[String]> = (0..4_000).map(|at| drawn.read(at)).collect();
    let request = |client: u64| {
        let paths = Arc::clone(&paths);
        async move {
            let (mut fhir, mut times) = (Fhir::new(ADDRESS), Vec::new());
            let begun = Instant::now();
            for path in paths.iter().cycle().skip(client as usize * 97) {
                if begun.elapsed().as_secs_f64() > seconds {
                    break;
                }
                let sent = Instant::now();
                fhir.get(path).await?;
                times.push(sent.elapsed());
            }
            Ok(times)
        }
    };
    let (measured, withheld) =
        machine::calmest(async || many(program, seconds, request).await).await?;
    let row = Row::new("read by id, 16 clients", measured.rate, "/s").at_least(15_000.0, 30_000.0);
    Ok(vec![row.decimals(0).note(measured.note(withheld))])
}

/// Create, read, update, read, delete.
pub(super) async fn changes(program: &Program, sample: &[Value], seconds: f64) -> Result<Vec<Row>> {
    let bodies: Arc<[Value]> = TYPES
        .iter()
        .filter_map(|kind| sample.iter().find(|one| one["resourceType"] == **kind))
        .map(plain)
        .collect();
    let request = |client: u64| {
        let bodies = Arc::clone(&bodies);
        async move {
            let (mut fhir, mut times) = (Fhir::new(ADDRESS), Vec::new());
            let begun = Instant::now();
            for body in bodies.iter().cycle().skip(client as usize) {
                if begun.elapsed().as_secs_f64() > seconds {
                    break;
                }
                life(&mut fhir, body, &mut times).await?;
            }
            Ok(times)
        }
    };
    let (measured, withheld) =
        machine::calmest(async || many(program, seconds, request).await).await?;
    Ok(vec![
        Row::new(
            "create, read, update, read, delete of nine types, 16 clients",
            measured.rate,
            "/s",
        )
        .at_least(2_000.0, 4_000.0)
        .decimals(0),
        Row::new("their p99", ms(measured.times.p99), "ms")
            .at_most(50.0, 50.0)
            .note(measured.note(withheld)),
    ])
}

/// One resource from its creation to its end.
async fn life(fhir: &mut Fhir, body: &Value, times: &mut Vec<Duration>) -> Result<()> {
    let kind = body["resourceType"].as_str().unwrap_or_default();
    let mut timed = async |method: &str, path: &str, body: &[u8], status: &[u16]| {
        let sent = Instant::now();
        let response = fhir.expect(method, path, body, status).await;
        times.push(sent.elapsed());
        response
    };
    let created = timed("POST", kind, body.to_string().as_bytes(), &[201]).await?;
    let id = created
        .header("location")
        .and_then(|location| location.split('/').rev().nth(2))
        .context("the id of what was created")?;
    let path = format!("{kind}/{id}");
    timed("GET", &path, b"", &[200]).await?;
    let mut changed = body.clone();
    changed["id"] = json!(id);
    changed["language"] = json!("en");
    timed("PUT", &path, changed.to_string().as_bytes(), &[200]).await?;
    timed("GET", &path, b"", &[200]).await?;
    timed("DELETE", &path, b"", &[200, 204]).await?;
    Ok(())
}

/// A resource without its id and its references, which a server may want to find.
fn plain(resource: &Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.remove("reference") {
                    fields.insert("display".to_owned(), reference);
                }
                fields.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut copy = resource.clone();
    if let Some(fields) = copy.as_object_mut() {
        fields.remove("id");
    }
    strip(&mut copy);
    copy
}
