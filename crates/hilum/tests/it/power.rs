//! Many channels over a simulated disk whose power goes: what was answered positively is there.

use hilum_faultfs::Disk;
use hilum_journal::Cancel;
use hilum_testkit::hospitals::{Hospitals, Load, Systems};
use hilum_testkit::site::SiteFolder;
use hilum_testkit::wait::until;

use crate::life::{Life, arrived, found};

const CHANNELS: usize = 300;
/// How often the power goes.
const CUTS: u64 = 2;
/// Messages that are accepted before it does.
const ACCEPTED: u64 = 900;
/// Numbers of messages of one life.
const LIFE: u64 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hospitals_lose_power_and_nothing_that_they_acknowledged() {
    let folder = SiteFolder::new().unwrap();
    let systems = Systems::start().await.unwrap();
    let site = folder.path().join("site");
    let hospitals = Hospitals::generate(&site, CHANNELS, systems.peers()).unwrap();
    let mut disk = Disk::new();
    let mut accepted = Vec::new();
    for cut in 0..CUTS {
        let life = Life::start(&hospitals, &disk).await;
        let load = Load::start(&hospitals, cut * LIFE);
        until("messages are accepted", || load.count() >= ACCEPTED).await;
        disk = disk.power_cut(cut);
        let of_this_life = load.end().await.unwrap();
        life.end().await;
        accepted.extend(of_this_life);
    }
    let life = Life::start(&hospitals, &disk).await;
    found(life.engine.journal(), &hospitals, &accepted).await;
    arrived(&systems, &accepted).await;
    let wrong = life.engine.journal().verify(&Cancel::new()).unwrap();
    assert!(wrong.is_empty(), "{wrong:?}");
    life.end().await;
}
