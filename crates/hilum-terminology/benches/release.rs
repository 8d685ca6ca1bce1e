//! What a large release costs: an RF2 snapshot of half a million made-up concepts is imported, kept,
//! opened again and asked. Run with `cargo bench -p hilum-terminology --bench release`; as a test it
//! runs with two thousand.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement stops at the first surprise and prints what it measured"
)]

#[path = "../tests/it/releases.rs"]
#[allow(dead_code, reason = "tests need the other releases")]
mod releases;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use hilum_terminology::expand::Request as Expand;
use hilum_terminology::import::{Kind, Request, read};
use hilum_terminology::installed::Folder;
use hilum_terminology::{Engine, Options, Shipped, Source, Terminology};

const LARGE: usize = 500_000;
const SMALL: usize = 2_000;

/// Kilobytes that the process has, and that it had at most.
fn memory() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    (of("VmRSS:").unwrap_or(0), of("VmHWM:").unwrap_or(0))
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = work();
    let took = begun.elapsed().as_secs_f64() * 1_000.0;
    let (now, most) = memory();
    println!(
        "{what:<46} {took:>10.2} ms   {:>6} MB now, {:>6} MB at most",
        now / 1_000,
        most / 1_000
    );
    done
}

fn main() {
    let concepts = match std::env::args().any(|arg| arg == "--bench") {
        true => LARGE,
        false => SMALL,
    };
    let data = tempfile::tempdir().unwrap();
    let url = "http://terminology.hl7.org/CodeSystem/v2-0001";
    timed("shipped: first question", || {
        black_box(Shipped::all().systems(url)).unwrap()
    });
    timed("shipped: another system", || {
        black_box(Shipped::all().systems("http://hl7.org/fhir/administrative-gender")).unwrap()
    });
    timed("shipped: names of systems", || {
        black_box(Shipped::all().registry().is_some())
    });

    let path = {
        let files = releases::rf2(concepts, "20260101");
        let named: Vec<(&str, String)> = files
            .into_iter()
            .map(|(name, text)| (&*name.leak(), text))
            .collect();
        releases::zip(&data.path().join("SnomedCT_20260101.zip"), &named)
    };
    println!(
        "{concepts} concepts, {} MB zipped",
        std::fs::metadata(&path).unwrap().len() / 1_000_000
    );
    let request = Request {
        kind: Kind::Snomed,
        path: &path,
        version: None,
        url: None,
    };
    let imported = timed("import", || read(&request, &mut |_| {}).unwrap());
    let folder = Folder::of(data.path());
    let id = Folder::id(Kind::Snomed, "", &imported);
    let load = timed("keep", || {
        folder.keep(&id, Kind::Snomed, &imported, "", "").unwrap()
    });
    println!(
        "{} MB in files",
        load.systems.iter().map(|of| of.bytes).sum::<u64>() / 1_000_000
    );
    drop(imported);
    timed("activate", || drop(folder.activate(&id).unwrap()));
    let opened = timed("open", || folder.open().unwrap());
    println!(
        "{} MB in tables",
        opened.loads.iter().map(|load| load.bytes()).sum::<usize>() / 1_000_000
    );
    ask(&Terminology::new(opened.sources()), concepts);
}

fn ask(all: &Terminology, concepts: usize) {
    let snomed = all.system("http://snomed.info/sct", None).unwrap().unwrap();
    let codes: Vec<String> = (0..100_000)
        .map(|at| releases::sctid(at * 7 % concepts).to_string())
        .collect();
    let begun = Instant::now();
    let found = codes.iter().filter(|code| {
        black_box(snomed.find(code)).is_some_and(|concept| concept.display().is_some())
    });
    let found = found.count();
    let rate = found as f64 / begun.elapsed().as_secs_f64();
    println!("look-ups: {rate:.0} a second");
    let table = snomed.table().unwrap();
    let root = table.find(&releases::ROOT.to_string()).unwrap();
    let leaf = table
        .find(&releases::sctid(concepts - 2).to_string())
        .unwrap();
    let begun = Instant::now();
    for _ in 0..100_000 {
        assert!(black_box(table.is_above(root, leaf)));
    }
    println!(
        "subsumption: {:.0} a second",
        100_000.0 / begun.elapsed().as_secs_f64()
    );
    timed("everything below the root", || {
        black_box(table.below(root).count())
    });

    let options = Options::default();
    let engine = Engine::new(all, &options);
    let isa = |code: u64| {
        let url = format!("http://snomed.info/sct?fhir_vs=isa/{code}");
        all.value_set(&url).unwrap().unwrap()
    };
    for (what, set, filter, offset) in [
        ("expand: page of everything", isa(releases::ROOT), None, 0),
        (
            "expand: page far behind",
            isa(releases::ROOT),
            None,
            concepts / 2,
        ),
        (
            "expand: page of a branch",
            isa(releases::sctid(1_000)),
            None,
            0,
        ),
        (
            "expand: text, one hit",
            isa(releases::ROOT),
            Some("sign 1234"),
            0,
        ),
        (
            "expand: text, many hits",
            isa(releases::ROOT),
            Some("made up"),
            0,
        ),
    ] {
        let request = Expand {
            filter: filter.map(str::to_owned),
            offset: Some(offset),
            count: Some(20),
            ..Expand::default()
        };
        let set = Arc::clone(&set);
        timed(what, || match engine.expand(&set, &request) {
            Ok(found) => println!("  total {}", found.total),
            Err(failure) => println!("  refused: {failure:?}"),
        });
    }
}
