//! Plans that are kept beside the messages that they processed.

use std::collections::BTreeSet;

use hilum_component::Plan;
use hilum_config::{KeptError, KeptPlans, Options, Secrets, load_kept};
use hilum_message::PlanDigest;
use tempfile::TempDir;

use crate::good::{BOARD, RESULTS, TABLE};
use crate::{EHR, HILUM, LIS, fake, load_files};

/// Loads a site whose table says `row`, and keeps it.
fn kept(store: &KeptPlans, row: &str) -> Plan {
    let table = (TABLE.0, row);
    let loaded = load_files(&[HILUM, EHR, LIS, table, RESULTS, BOARD]);
    let plan = loaded.plan.unwrap();
    store.keep(&plan, None, &loaded.snapshot).unwrap();
    plan
}

fn hex(digest: PlanDigest) -> String {
    digest.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(plan: &Plan, channel: &str) -> PlanDigest {
    plan.channels[channel].digest
}

const OLD: &str = "code,loinc\nK,2823-3\n";
const NEW: &str = "code,loinc\nK,6298-4\n";

#[test]
fn a_plan_is_found_by_its_channels_digest_and_made_again_without_its_secrets() {
    let dir = TempDir::new().unwrap();
    let store = KeptPlans::open(dir.path()).unwrap();
    let (old, new) = (kept(&store, OLD), kept(&store, NEW));
    // As a later start finds it.
    let store = KeptPlans::open(dir.path()).unwrap();
    for (plan, row) in [(&old, OLD), (&new, NEW)] {
        let wanted = digest(plan, "results");
        for digits in [hex(wanted), wanted.to_string(), hex(plan.digest)] {
            let found = store.find("results", &digits).unwrap().unwrap();
            assert_eq!(&*found.files[TABLE.0], row.as_bytes());
            let options = Options {
                environment: found.environment,
                secrets: Secrets::Unread,
                ..Options::default()
            };
            let again = load_kept(dir.path(), found.files, &fake::registry(), &options);
            assert_eq!(digest(&again.plan.unwrap(), "results"), wanted);
        }
    }
    assert!(store.find("results", "00000000").unwrap().is_none());
    assert!(store.find("no-such", &hex(old.digest)).unwrap().is_none());
    assert!(matches!(
        store.find("results", ""),
        Err(KeptError::Ambiguous(_))
    ));
    assert!(
        store.find("board", "").unwrap().is_some(),
        "it is the same in both"
    );
}

#[test]
fn what_no_message_refers_to_goes_with_its_files() {
    let dir = TempDir::new().unwrap();
    let store = KeptPlans::open(dir.path()).unwrap();
    let (old, new) = (kept(&store, OLD), kept(&store, NEW));
    let files = || std::fs::read_dir(dir.path().join("files")).unwrap().count();
    assert_eq!(
        files(),
        7,
        "six files, of which one is there in two versions"
    );
    let results = |plan: &Plan| {
        store
            .find("results", &hex(digest(plan, "results")))
            .unwrap()
    };

    store
        .retain(&BTreeSet::from([digest(&old, "results")]))
        .unwrap();
    assert!(results(&old).is_some());
    assert!(results(&new).is_some(), "kept last: it is about to run");
    store.retain(&BTreeSet::new()).unwrap();
    assert!(results(&old).is_none());
    assert!(results(&new).is_some());
    assert_eq!(files(), 6);
}

#[test]
fn a_damaged_file_is_noticed() {
    let dir = TempDir::new().unwrap();
    let store = KeptPlans::open(dir.path()).unwrap();
    let plan = kept(&store, OLD);
    for entry in std::fs::read_dir(dir.path().join("files")).unwrap() {
        std::fs::write(entry.unwrap().path(), "something else").unwrap();
    }
    let found = store.find("results", &hex(digest(&plan, "results")));
    assert!(matches!(found, Err(KeptError::Damaged { .. })));
}
