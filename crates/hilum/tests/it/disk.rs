//! A disk that fills up, or whose syncs fail for a while, under load: nothing is accepted that is not
//! kept, and the program goes on by itself when the disk is well again.

use hilum_faultfs::{Disk, Faults};
use hilum_journal::Cancel;
use hilum_testkit::hospitals::{Hospitals, Load, Systems};
use hilum_testkit::site::SiteFolder;
use hilum_testkit::wait::until;

use crate::life::{Life, arrived, found};

/// Channels that listen for MLLP.
const CHANNELS: usize = 7;
/// Messages that are accepted while the disk is well.
const ACCEPTED: u64 = 60;
/// Negative answers while it is not.
const REFUSED: u64 = 60;

/// What an operator is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    DiskFull,
}

/// Load, the faults, load again; then everything is compared, also after a loss of power.
async fn check(faults: impl Fn(&Disk) -> Faults, told: Told) {
    let folder = SiteFolder::new().unwrap();
    let systems = Systems::start().await.unwrap();
    let site = folder.path().join("site");
    let hospitals = Hospitals::generate(&site, CHANNELS, systems.peers()).unwrap();
    let disk = Disk::new();
    let life = Life::start(&hospitals, &disk).await;
    let load = Load::start(&hospitals, 0);
    until("messages are accepted", || load.count() >= ACCEPTED).await;

    disk.set_faults(faults(&disk));
    until("messages are refused", || load.refused() >= REFUSED).await;
    let while_ill = load.count();
    until("nothing else happens", || load.refused() >= 2 * REFUSED).await;
    // A full disk may have room for something small now and then.
    let took_none = load.count() == while_ill;
    assert!(
        took_none || told == Told::DiskFull,
        "accepted without a sync"
    );
    let full = life.engine.status().disk_full;
    assert_eq!(full, told == Told::DiskFull);

    disk.set_faults(Faults::default());
    let again = load.count() + ACCEPTED;
    until("messages are accepted again", || load.count() >= again).await;
    assert!(!life.engine.status().disk_full);
    let accepted = load.end().await.unwrap();
    found(life.engine.journal(), &hospitals, &accepted).await;
    arrived(&systems, &accepted).await;

    let kept = disk.power_cut(1);
    life.end().await;
    let life = Life::start(&hospitals, &kept).await;
    found(life.engine.journal(), &hospitals, &accepted).await;
    let wrong = life.engine.journal().verify(&Cancel::new()).unwrap();
    assert!(wrong.is_empty(), "{wrong:?}");
    life.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_all_goes_on_when_there_is_space() {
    let full = |disk: &Disk| Faults {
        capacity: Some(disk.used() + 20_000),
        ..Faults::default()
    };
    check(full, Told::DiskFull).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_syncs_refuse_and_all_goes_on_when_they_work_again() {
    let failing = |_: &Disk| Faults {
        fail_syncs_from: Some(1),
        ..Faults::default()
    };
    check(failing, Told::Nothing).await;
}
