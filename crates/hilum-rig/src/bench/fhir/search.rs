//! Every shape of search at a steady rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use hilum_testkit::mllp::Percentiles;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::super::ms;
use super::super::report::Row;
use super::ADDRESS;
use super::client::Fhir;
use super::draw::Drawn;
use super::shapes::SHAPES;
use crate::machine;
use crate::program::Program;

const PER_SECOND: f64 = 500.0;
const CLIENTS: usize = 16;
const P99_MS: f64 = 25.0;
/// Requests before the clock counts.
const WARM_UP: u64 = 20;
/// A shape is given up when it is this far behind.
const BEHIND_MAX: Duration = Duration::from_secs(10);

/// One row for the share of shapes, one for each shape.
pub(super) async fn shapes(program: &Program, drawn: &Drawn, seconds: f64) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut fast = 0;
    for (name, shape) in SHAPES {
        let count = (PER_SECOND * seconds) as u64;
        let paths: Arc<[String]> = (0..count).map(|at| drawn.fill(shape, at)).collect();
        let measured = machine::calmest(async || {
            let cpu = program.cpu_seconds()?;
            let times = steady(&paths).await?;
            let cpu_ms = (program.cpu_seconds()? - cpu) * 1000.0 / times.count as f64;
            Ok((times, cpu_ms))
        });
        let row = match measured.await {
            Ok(((times, cpu_ms), withheld)) => {
                fast += usize::from(ms(times.p99) < P99_MS);
                let told = machine::told(withheld);
                Row::new(format!("p99: {name}"), ms(times.p99), "ms")
                    .note(format!("{cpu_ms:.2} ms CPU each; {times}{told}"))
            }
            Err(error) => Row::failed(name, &error),
        };
        println!("    {row}");
        rows.push(row);
    }
    let share = fast as f64 * 100.0 / SHAPES.len() as f64;
    let what = "search shapes with p99 under 25 ms at 500/s";
    rows.insert(
        0,
        Row::new(what, share, "%").at_least(90.0, 100.0).decimals(0),
    );
    Ok(rows)
}

/// Sends each path when its time has come; latencies count from then.
async fn steady(paths: &Arc<[String]>) -> Result<Percentiles> {
    let mut fhir = Fhir::new(ADDRESS);
    for path in paths.iter().take(WARM_UP as usize) {
        fhir.get(path).await?;
    }
    let (next, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (next, paths) = (Arc::clone(&next), Arc::clone(paths));
        clients.spawn(async move {
            let (mut fhir, mut times) = (Fhir::new(ADDRESS), Vec::new());
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(path) = paths.get(usize::try_from(at)?) else {
                    return anyhow::Ok(times);
                };
                let due = begun + Duration::from_secs_f64(at as f64 / PER_SECOND);
                sleep_until(due).await;
                if due.elapsed() > BEHIND_MAX {
                    times.push(due.elapsed());
                    return Ok(times);
                }
                fhir.get(path).await?;
                times.push(due.elapsed());
            }
        });
    }
    let mut times = Vec::new();
    while let Some(ended) = clients.join_next().await {
        times.extend(ended??);
    }
    Ok(Percentiles::of(times))
}
