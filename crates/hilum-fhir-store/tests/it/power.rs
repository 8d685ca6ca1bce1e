//! Power cuts and full disks: what was answered is there, and everything holds together.
//!
//! `HILUM_POWER_SEED=<n>` runs one life again, `HILUM_POWER_CUTS=<n>` another number of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use hilum_db::{Cancel, DbClass, Synchronous};
use hilum_faultfs::{Disk, Faults};
use hilum_fhir_store::{
    Change, Commit, IndexRow, IndexValue, Limits, Method, Store, StoreError, store_file,
};

use crate::door::{NOON, body, config_at, token};

const CUTS: u64 = 150;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

fn open(disk: &Disk, synchronous: Synchronous) -> Result<Store, StoreError> {
    let now = Arc::new(AtomicI64::new(NOON));
    let mut config = config_at(&disk.folder(), &now, Limits::default());
    config.checkpoint_pages = 24;
    config.readers = 1;
    let mut file = store_file(&disk.folder().join("fhir.db"), Arc::new(disk.clone()));
    file.vfs = Some(disk.vfs());
    file.synchronous = synchronous;
    Store::open_file(file, config)
}

fn change(store: &Store, random: &mut Random) -> Change {
    let catalog = store.catalog();
    let of = catalog.resource_type("Patient").unwrap();
    let id = format!("p{}", random.below(12));
    let method = if random.below(6) == 0 {
        Method::Delete
    } else {
        let row = |code: &str, value| IndexRow {
            param: catalog.param(of, code).unwrap().key,
            value,
        };
        let name = format!("name {}", random.below(40));
        let rows = vec![
            row(
                "gender",
                token(
                    "",
                    if random.below(2) == 0 {
                        "male"
                    } else {
                        "female"
                    },
                ),
            ),
            row("name", IndexValue::String(name)),
            row(
                "birthdate",
                IndexValue::Date {
                    start_ms: 0,
                    end_ms: 1 << (20 + random.below(20)),
                },
            ),
        ];
        Method::Update {
            body: body(&"x".repeat(200 + random.below(600) as usize)),
            rows,
        }
    };
    Change {
        resource_type: of,
        id,
        method,
    }
}

/// The newest version that was answered for each id, and whether it is a deletion.
type Answered = HashMap<String, (u32, bool)>;

async fn work(store: &Store, random: &mut Random, disk: &Disk) -> Answered {
    let mut answered = Answered::new();
    for _ in 0..60 {
        if disk.is_dead() {
            break;
        }
        if random.below(12) == 0 {
            let of = store.catalog().resource_type("Patient").unwrap();
            let id = format!("p{}", random.below(12));
            let erased = store.erase(vec![(of, id.clone())]).await;
            let scrubbed = store.scrub().await;
            match (erased, answered.get_mut(&id)) {
                (Ok(_), Some(known)) => known.1 = true,
                (Ok(_), None) => {}
                // Nobody knows whether it was.
                (Err(_), _) => drop(answered.remove(&id)),
            }
            drop(scrubbed);
            continue;
        }
        let changes: Vec<Change> = (0..=random.below(4))
            .map(|_| change(store, random))
            .collect();
        let names: Vec<(String, bool)> = changes
            .iter()
            .map(|change| (change.id.clone(), matches!(change.method, Method::Delete)))
            .collect();
        let commit = Commit {
            changes,
            ..Commit::default()
        };
        if let Ok(done) = store.commit(commit).await {
            for ((id, deleted), written) in names.into_iter().zip(done.written) {
                if written.version > 0 {
                    answered.insert(id, (written.version, deleted));
                }
            }
        }
    }
    answered
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

fn wrong_after(disk: &Disk, answered: &Answered, synchronous: Synchronous) -> Vec<String> {
    let store = match open(disk, synchronous) {
        Ok(store) => store,
        Err(error) => return vec![format!("it does not open: {error}")],
    };
    let mut wrong = store
        .verify(&Cancel::new())
        .unwrap_or_else(|error| vec![error.to_string()]);
    let of = store.catalog().resource_type("Patient").unwrap();
    let runtime = runtime();
    for (id, (version, deleted)) in answered {
        match runtime.block_on(store.vread(of, id, *version)) {
            Ok(Some(found)) if found.body.is_none() == *deleted => {}
            Ok(_) => wrong.push(format!("version {version} of {id} is lost")),
            Err(error) => wrong.push(format!("{id}: {error}")),
        }
    }
    wrong
}

fn life(seed: u64, synchronous: Synchronous) -> Vec<String> {
    let runtime = runtime();
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9) ^ 0x00C0_FFEE);
    let disk = Disk::new();
    let cut = |at| {
        disk.set_faults(Faults {
            cut_at: Some(at),
            ..Faults::default()
        })
    };
    if random.below(8) == 0 {
        cut(1 + random.below(40));
    }
    let mut answered = Answered::new();
    if let Ok(store) = open(&disk, synchronous) {
        cut(1 + random.below(200));
        answered = runtime.block_on(work(&store, &mut random, &disk));
        // The machine is gone before the program could close anything.
        let after = disk.power_cut(seed);
        drop(store);
        return wrong_after(&after, &answered, synchronous);
    }
    wrong_after(&disk.power_cut(seed), &answered, synchronous)
}

#[test]
fn what_was_answered_survives_a_power_cut_and_all_of_it_holds_together() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (first, count) = match number("HILUM_POWER_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("HILUM_POWER_CUTS").unwrap_or(CUTS)),
    };
    for seed in first..first + count {
        let wrong = life(seed, Synchronous::Full);
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
    }
}

#[test]
fn without_syncs_the_same_test_finds_losses() {
    let losses = (0..40).filter(|seed| !life(*seed, Synchronous::Off).is_empty());
    assert!(losses.count() > 8, "the test would not notice a loss");
}

#[test]
fn a_full_disk_refuses_cleanly_and_works_again_when_there_is_space() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let disk = Disk::new();
    let store = open(&disk, Synchronous::Full).unwrap();
    let mut random = Random(7);
    let mut write = || {
        let changes = vec![change(&store, &mut random), change(&store, &mut random)];
        runtime.block_on(store.commit(Commit {
            changes,
            ..Commit::default()
        }))
    };
    write().unwrap();
    disk.set_faults(Faults {
        capacity: Some(disk.used() + 60_000),
        ..Faults::default()
    });
    let mut refused = 0;
    for _ in 0..40 {
        match write() {
            Ok(_) => {}
            Err(StoreError::Db(error)) if error.class() == DbClass::Full => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(refused > 5, "{refused}");
    disk.set_faults(Faults::default());
    write().unwrap();
    assert_eq!(store.verify(&Cancel::new()).unwrap(), Vec::<String>::new());
}
