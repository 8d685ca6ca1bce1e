//! An import that is broken off goes on, and its outcome is the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hilum_terminology::import::{
    Imported, Keep, Kind, Progress, Request, fingerprint, progress, read, resume,
};
use hilum_terminology::installed::{Folder, LoadError};

use crate::releases::*;

/// Keeps everything that it is given, after each file.
#[derive(Default)]
struct Notes {
    kept: Option<Vec<u8>>,
    all: Vec<Vec<u8>>,
}

impl Keep for Notes {
    fn kept(&mut self) -> Option<Vec<u8>> {
        self.kept.take()
    }
    fn keep(&mut self, state: &[u8]) {
        self.all.push(state.to_vec());
    }
    fn step_bytes(&self) -> u64 {
        0
    }
}

fn request(kind: Kind, path: &Path) -> Request<'_> {
    Request {
        kind,
        path,
        version: (kind == Kind::Ndc).then_some("2026"),
        url: None,
    }
}

/// The bytes of everything that an import gives.
fn outcome(imported: &Imported) -> (Vec<Vec<u8>>, String) {
    let tables = imported.systems.iter().filter_map(|system| system.table());
    let tables = tables.map(|table| table.write()).collect();
    let told: Vec<_> = imported
        .systems
        .iter()
        .map(|one| (&one.url, &one.version))
        .collect();
    let rest = format!("{told:?} {:?} {:?}", imported.resources, imported.left_out);
    (tables, rest)
}

/// A release of each format that has several files, and how many it has.
fn releases(data: &Path) -> Vec<(Kind, PathBuf, usize)> {
    let of = |text: &str| text.to_owned();
    let owned = rf2(60, "20260101");
    let rf2: Vec<(&str, String)> = owned
        .iter()
        .map(|(name, text)| (&**name, text.clone()))
        .collect();
    let products = "PRODUCTID\tPRODUCTNDC\tPROPRIETARYNAME\tNONPROPRIETARYNAME\n\
        x\t9999-001\tFantasil\tphantasol\n";
    let packages = "PRODUCTID\tPRODUCTNDC\tNDCPACKAGECODE\tPACKAGEDESCRIPTION\n\
        x\t9999-001\t9999-001-02\t30 TABLET\n";
    let ndc = [("product.txt", of(products)), ("package.txt", of(packages))];
    let resource = |kind: &str, url: &str| {
        format!("{{\"resourceType\":\"{kind}\",\"url\":\"{url}\",\"status\":\"active\"}}\n")
    };
    let fhir = [
        (
            "ValueSet.ndjson",
            resource("ValueSet", "http://a.example/v"),
        ),
        ("Patient.ndjson", of("{\"resourceType\":\"Patient\"}\n")),
        ("more/a.json", resource("ValueSet", "http://a.example/w")),
        // What `hilum fhir export` writes beside the resources.
        ("manifest.json", of("{\"output\":[]}")),
    ];
    vec![
        (
            Kind::Loinc,
            folder(&data.join("Loinc_2.78"), &loinc()),
            loinc().len(),
        ),
        (Kind::Snomed, folder(&data.join("snomed"), &rf2), rf2.len()),
        (
            Kind::Rxnorm,
            zip(&data.join("RxNorm_full_01052026.zip"), &rxnorm()),
            rxnorm().len(),
        ),
        (Kind::Ndc, folder(&data.join("ndc"), &ndc), ndc.len()),
        (Kind::Fhir, folder(&data.join("fhir"), &fhir), fhir.len()),
    ]
}

#[test]
fn an_import_goes_on_behind_each_file_and_gives_the_same() {
    let data = tempfile::tempdir().unwrap();
    for (kind, path, files) in releases(data.path()) {
        let request = request(kind, &path);
        let whole = outcome(&read(&request, &mut |_| {}).unwrap());
        let mut notes = Notes::default();
        let noted = resume(&request, &mut |_| {}, &mut notes).unwrap();
        assert_eq!(outcome(&noted), whole, "{kind:?}");
        assert!(notes.all.len() > 1 && notes.all.len() <= files, "{kind:?}");
        let total = notes.all.len();
        for (at, state) in notes.all.iter().enumerate() {
            let progress = progress(state, &request).unwrap();
            let expected = Progress {
                files: at + 1,
                files_total: total,
            };
            assert_eq!(progress, expected, "{kind:?}");
            let mut notes = Notes {
                kept: Some(state.clone()),
                ..Notes::default()
            };
            let mut opened = BTreeSet::new();
            let mut tell = |seen: &hilum_terminology::import::Seen| {
                opened.insert(seen.file.clone());
            };
            let resumed = resume(&request, &mut tell, &mut notes).unwrap();
            assert_eq!(outcome(&resumed), whole, "{kind:?}, file {at}");
            // What had been read is not opened again.
            opened.remove("");
            assert!(
                opened.len() <= total - (at + 1),
                "{kind:?}, file {at}: {opened:?}"
            );
            assert_eq!(notes.all.len(), total - (at + 1), "{kind:?}, file {at}");
        }
    }
}

#[test]
fn what_was_kept_of_another_import_or_is_damaged_is_not_used() {
    let data = tempfile::tempdir().unwrap();
    let path = folder(&data.path().join("Loinc_2.78"), &loinc());
    let own = request(Kind::Loinc, &path);
    let mut notes = Notes::default();
    let whole = outcome(&resume(&own, &mut |_| {}, &mut notes).unwrap());
    let state = notes.all.last().unwrap().clone();
    let other = Request {
        version: Some("2.79"),
        ..own
    };
    assert_eq!(progress(&state, &other), None);
    for at in [0, 9, 20, 44, state.len() / 2, state.len() - 1] {
        let mut damaged = state.clone();
        damaged[at] ^= 1;
        assert_eq!(progress(&damaged, &own), None, "{at}");
        assert_eq!(progress(&state[..at], &own), None, "{at}");
        let mut notes = Notes {
            kept: Some(damaged),
            ..Notes::default()
        };
        let again = resume(&own, &mut |_| {}, &mut notes).unwrap();
        assert_eq!(outcome(&again), whole, "{at}");
        assert!(notes.all.len() > 1, "everything is read again");
    }
}

#[test]
fn a_staging_is_locked_found_again_listed_and_removed() {
    let data = tempfile::tempdir().unwrap();
    let path = folder(&data.path().join("Loinc_2.78"), &loinc());
    let request = request(Kind::Loinc, &path);
    let (loads, known) = (Folder::of(data.path()), fingerprint(&path).unwrap());
    let mut notes = Notes::default();
    resume(&request, &mut |_| {}, &mut notes).unwrap();
    let mut staging = loads.staging(&request, &known).unwrap();
    assert_eq!(staging.progress(), None);
    staging.keep(&notes.all[1]);
    assert!(staging.problem().is_none());
    let listed = loads.unfinished().unwrap();
    let [one] = &*listed else {
        panic!("{listed:?}")
    };
    assert!(
        one.goes_on && one.id.starts_with("reading-loinc-"),
        "{one:?}"
    );
    assert!(matches!(
        loads.staging(&request, &known),
        Err(LoadError::GoesOn(_))
    ));
    assert!(matches!(loads.discard(&one.id), Err(LoadError::GoesOn(_))));
    drop(staging);
    assert!(!loads.unfinished().unwrap()[0].goes_on);
    let mut staging = loads.staging(&request, &known).unwrap();
    assert_eq!(staging.progress().unwrap().files, 2);
    staging.restart().unwrap();
    assert_eq!((staging.progress(), staging.kept()), (None, None));
    drop(staging);
    assert!(loads.loads().unwrap().is_empty());
    assert!(loads.discard(&one.id).unwrap() && !loads.discard(&one.id).unwrap());
    assert!(loads.unfinished().unwrap().is_empty());
}
