//! Import and search of Synthea's resources, under ever new identities: the rig by which the row
//! layout and the settings were chosen.
//!
//! `HILUM_STORE_RESOURCES` says how many (2,000 without it, so that the bench cannot rot),
//! `HILUM_STORE_FOLDER` where; a store that is there already is searched without importing.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::string_slice,
    reason = "a bench reports, and a failure in it is a failure of the bench"
)]

mod data;
mod params;
mod shapes;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use data::Data;
use hilum_fhir::search::ParamSet;
use hilum_fhir_store::{Clock, Commit, Place, Store, StoreConfig};
use params::{ParamMap, param_specs};
use shapes::{Draw, SHAPES};

/// Commits under way at a time.
const CLIENTS: usize = 8;
/// Searches of each shape.
const SEARCHES: usize = 100;

fn main() {
    let resources = std::env::var("HILUM_STORE_RESOURCES")
        .ok()
        .and_then(|n| n.parse().ok());
    let resources: usize = resources.unwrap_or(2000);
    let Some(data) = Data::read() else {
        println!("not run: million (no shared material)");
        return;
    };
    let temp = tempfile::tempdir().unwrap();
    let folder =
        std::env::var_os("HILUM_STORE_FOLDER").map_or(temp.path().to_owned(), PathBuf::from);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(run(&data, &folder, resources));
}

async fn run(data: &Data, folder: &Path, resources: usize) {
    let path = folder.join("fhir.db");
    let there = path.exists();
    let params = Arc::new(ParamSet::r4());
    let opened = Instant::now();
    let store = open(&path, &params);
    println!("opened in {:?}", opened.elapsed());
    let rounds = data.rounds(resources);
    if !there {
        import(&store, data, &params, rounds).await;
    }
    size(&path);
    points(&store, data, rounds).await;
    search(&store, data, rounds).await;
    println!("resident: {} MB", resident_mb());
}

fn open(path: &Path, params: &ParamSet) -> Store {
    let clock = Clock::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        i64::try_from(since.unwrap().as_millis()).unwrap()
    });
    let mut config = StoreConfig::new(Place::Sqlite(path.to_owned()), clock);
    config.params = param_specs(params);
    let mut types: Vec<Arc<str>> = config
        .params
        .iter()
        .map(|p| p.resource_type.clone())
        .collect();
    types.sort();
    types.dedup();
    config.types = types;
    config.limits.search_time = Duration::from_secs(60);
    Store::open(config).unwrap()
}

async fn import(store: &Store, data: &Data, params: &ParamSet, rounds: usize) {
    let map = ParamMap::new(&store.catalog(), params);
    let mut waiting: std::collections::VecDeque<tokio::task::JoinHandle<()>> = Default::default();
    let local = tokio::task::LocalSet::new();
    let (mut done, mut rows, mut bytes) = (0, 0, 0);
    let (mut making, begun) = (Duration::ZERO, Instant::now());
    let (mut window, mut in_window) = (Instant::now(), 0);
    local
        .run_until(async {
            for (round, patient) in
                (0..rounds).flat_map(|r| (0..data.patients()).map(move |p| (r, p)))
            {
                let from = Instant::now();
                let changes = data.changes(store, &map, params, patient, round);
                making += from.elapsed();
                for change in &changes {
                    if let hilum_fhir_store::Method::Update { body, rows: of } = &change.method {
                        rows += of.len();
                        bytes += body.bytes.len();
                    }
                }
                done += changes.len();
                in_window += changes.len();
                let store = store.clone();
                waiting.push_back(tokio::task::spawn_local(async move {
                    store
                        .commit(Commit {
                            changes,
                            ..Commit::default()
                        })
                        .await
                        .unwrap();
                }));
                if waiting.len() >= CLIENTS {
                    waiting.pop_front().unwrap().await.unwrap();
                }
                if in_window >= 100_000 {
                    let rate = in_window as f64 / window.elapsed().as_secs_f64();
                    println!("at {done}: {rate:.0} resources/s");
                    (window, in_window) = (Instant::now(), 0);
                }
            }
            for one in waiting {
                one.await.unwrap();
            }
        })
        .await;
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "imported {done} resources in {seconds:.1} s ({:.0}/s), of it {:.1} s making them; {:.1} rows and {} bytes each",
        done as f64 / seconds,
        making.as_secs_f64(),
        rows as f64 / done as f64,
        bytes / done.max(1),
    );
}

fn size(path: &Path) {
    for of in ["fhir.db", "fhir.db-wal"] {
        if let Ok(found) = std::fs::metadata(path.with_file_name(of)) {
            println!("{of}: {} MB", found.len() >> 20);
        }
    }
}

async fn search(store: &Store, data: &Data, rounds: usize) {
    let mut good = 0;
    for (name, shape) in SHAPES {
        let (mut times, mut found) = (Vec::with_capacity(SEARCHES), 0);
        let mut plan = String::new();
        for n in 0..SEARCHES {
            let draw = Draw {
                store,
                data,
                rounds,
                n,
            };
            let (query, include) = shape(&draw);
            let from = Instant::now();
            let page = store.search(query.clone()).await.unwrap();
            let pks: Vec<_> = page.found.iter().map(|one| one.pk).collect();
            match include {
                shapes::Include::None => {}
                shapes::Include::Forward(param) => {
                    let more = store.references(pks, vec![param]).await.unwrap();
                    store.fetch(more).await.unwrap();
                }
                shapes::Include::Reverse(param) => {
                    let more = store.referencing(pks, vec![param], 1000).await.unwrap();
                    store.fetch(more).await.unwrap();
                }
            }
            times.push(from.elapsed());
            found += page.found.len();
            if n == 0 {
                plan = store.explain(query).await.unwrap();
            }
        }
        times.sort_unstable();
        let (p50, p99) = (times[SEARCHES / 2], times[SEARCHES * 99 / 100]);
        good += usize::from(p99 < Duration::from_millis(25));
        println!(
            "{:6.2} ms {:8.2} ms  {:6.1} found  {name}: {plan}",
            p50.as_secs_f64() * 1e3,
            p99.as_secs_f64() * 1e3,
            found as f64 / SEARCHES as f64,
        );
    }
    println!("{good} of {} shapes under 25 ms at p99", SHAPES.len());
}

async fn points(store: &Store, data: &Data, rounds: usize) {
    let of = store.catalog().resource_type("Patient").unwrap();
    let ids: Vec<String> = (0..1000)
        .map(|n| data.patient_id(n * 7 % data.patients(), n * 13 % rounds.max(1)))
        .collect();
    let from = Instant::now();
    for n in 0..20_000 {
        let read = store.read(of, &ids[n % ids.len()]).await.unwrap();
        assert!(read.is_some());
    }
    println!(
        "{:.1} us for a read by id",
        from.elapsed().as_secs_f64() * 1e6 / 20_000.0
    );
}

fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kb.unwrap_or(0) >> 10
}
