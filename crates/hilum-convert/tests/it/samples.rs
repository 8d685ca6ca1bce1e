//! Messages of many senders: each converts, twice the same, and gives a valid Bundle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hilum_convert::{Arrived, FixedZone, Maps, Settings, to_fhir};
use hilum_fhir::validate::{Request, Validator};
use hilum_fhir::{Style, json};
use hilum_fhirpath::Moment;
use hilum_hl7v2::Message;
use hilum_hl7v2::batch::{ItemKind, items};

/// The shared material, if it is there.
pub(crate) fn shared(place: &str, test: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("HILUM_SHARED") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
    };
    let path = root.join(place);
    if path.exists() {
        return Some(path);
    }
    println!("not run: {test} (no shared material)");
    None
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Every message of a folder with the name of its file.
pub(crate) fn messages(folder: &Path) -> Vec<(PathBuf, Message)> {
    let mut paths = Vec::new();
    files(folder, &mut paths);
    let mut messages = Vec::new();
    for path in paths {
        let bytes = std::fs::read(&path).expect("readable");
        for item in items(&bytes) {
            if item.kind != ItemKind::Message {
                continue;
            }
            let text = bytes.get(item.range).unwrap_or_default().to_vec();
            if let Ok(message) = Message::parse(text) {
                messages.push((path.clone(), message));
            }
        }
    }
    messages
}

pub(crate) fn settings() -> Settings {
    Settings {
        zone: Some(Arc::new(FixedZone(0))),
        ..Settings::default()
    }
}

pub(crate) const ARRIVED: Arrived<'static> = Arrived {
    id: "00000000-0000-4000-8000-000000000001",
    at: "2026-01-02T03:04:05.678Z",
};

#[test]
fn every_sample_gives_the_same_valid_bundle_twice() {
    let Some(folder) = shared("samples/hl7v2", "samples") else {
        return;
    };
    let maps = Maps::shipped().expect("maps");
    let validator = Validator::new();
    let request = Request::new(Moment::from_unix_millis(1_767_323_045_678, 0));
    let settings = settings();
    let (mut count, mut valid) = (0, 0);
    let mut kinds: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for (path, message) in messages(&folder) {
        let converted = to_fhir(maps, &message, &settings, &ARRIVED);
        let again = to_fhir(maps, &message, &settings, &ARRIVED);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        json::write(&converted.bundle, Style::Compact, &mut first);
        json::write(&again.bundle, Style::Compact, &mut second);
        assert!(first == second, "{} differs", path.display());
        let read = json::parse(&first, &hilum_fhir::Limits::default());
        let read = read.unwrap_or_else(|problems| panic!("{}: {problems:?}", path.display()));
        assert_eq!(read.node_count(), converted.bundle.node_count());
        count += 1;
        let problems = validator.validate(&converted.bundle, &request);
        let errors: Vec<_> = problems
            .iter()
            .filter(|problem| problem.is_error())
            .collect();
        valid += usize::from(errors.is_empty());
        for problem in errors {
            let place = problem.expression.clone().unwrap_or_default();
            let place: String = place.chars().filter(|c| !c.is_ascii_digit()).collect();
            let kind = format!(
                "{place}: {} {}",
                problem.text,
                problem.details.as_deref().unwrap_or("")
            );
            let entry = kinds.entry(kind).or_insert((0, path.display().to_string()));
            entry.0 += 1;
        }
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    for (kind, (count, path)) in kinds.iter().take(60) {
        println!("{count:5}  {kind}  {path}");
    }
    println!("{valid} of {count} bundles are valid");
    assert_eq!(valid, count);
}
