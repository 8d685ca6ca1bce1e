//! Transactions in, resources a second out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::report::Row;
use super::bundles::Bundles;
use super::client::Fhir;
use super::{ADDRESS, Store};
use crate::program::Program;

/// Clients that each wait for their answer.
const CLIENTS: usize = 4;
/// Resources at the end over which the sustained rate is taken.
const LAST: u64 = 50_000;

/// Imports so many resources.
pub(super) async fn run(
    program: &Program,
    bundles: &Bundles,
    wanted: u64,
    store: &Store,
) -> Result<Vec<Row>> {
    let mut fhir = Fhir::new(ADDRESS);
    for bundle in &bundles.shared {
        fhir.expect("POST", "", bundle.as_bytes(), &[200]).await?;
    }
    let work = work(bundles, wanted);
    let (next, done) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
    let (next, work) = (Arc::new(next), Arc::new(work));
    let (begun, cpu) = (Instant::now(), program.cpu_seconds()?);
    let mut clients = JoinSet::new();
    let total: u64 = work.iter().map(|(_, _, resources)| resources).sum();
    let watch = tokio::spawn(watch(Arc::clone(&done), total, begun));
    for _ in 0..CLIENTS {
        let (next, done, work) = (Arc::clone(&next), Arc::clone(&done), Arc::clone(&work));
        let patients = Arc::clone(&bundles.patients);
        clients.spawn(async move {
            let mut fhir = Fhir::new(ADDRESS);
            loop {
                let at = usize::try_from(next.fetch_add(1, Ordering::Relaxed))?;
                let Some(&(patient, round, resources)) = work.get(at) else {
                    return anyhow::Ok(());
                };
                let patient = patients.get(patient).context("a patient of the list")?;
                let bundle = patient.in_round(round);
                fhir.expect("POST", "", &bundle, &[200]).await?;
                done.fetch_add(resources, Ordering::Relaxed);
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    let last = watch.await?;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = program.cpu_seconds()? - cpu;
    let kept = store.bytes()? as f64 / total as f64;
    Ok(vec![
        Row::new(format!("import, the last of {total} resources"), last, "/s")
            .at_least(1_500.0, 3_000.0)
            .decimals(0)
            .note(format!(
                "{:.0}/s over all, {:.3} CPU s per 1000",
                total as f64 / seconds,
                cpu * 1000.0 / total as f64
            )),
        Row::new("bytes kept per resource", kept, "").decimals(0),
    ])
}

/// Patient, round and size of each transaction.
fn work(bundles: &Bundles, wanted: u64) -> Vec<(usize, u32, u64)> {
    let (mut work, mut sum) = (Vec::new(), 0);
    for round in 0.. {
        for (at, patient) in bundles.patients.iter().enumerate() {
            if sum >= wanted {
                return work;
            }
            sum += patient.resources as u64;
            work.push((at, round, patient.resources as u64));
        }
        if bundles.patients.is_empty() {
            return work;
        }
    }
    work
}

/// Prints progress; gives the rate over the last resources.
async fn watch(done: Arc<AtomicU64>, total: u64, begun: Instant) -> f64 {
    let (mut from, mut shown) = ((0, begun), begun);
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let now = done.load(Ordering::Relaxed);
        if now < total.saturating_sub(LAST) {
            from = (now, Instant::now());
        }
        if shown.elapsed().as_secs() >= 10 {
            println!("  {now} of {total} imported");
            shown = Instant::now();
        }
        if now >= total {
            return (now - from.0) as f64 / from.1.elapsed().as_secs_f64();
        }
    }
}
