//! Many channels over a simulated disk whose power goes: what was answered positively is there.
//!
//! The engine, the components and the folder of files are those of `hilum run`; only the disk
//! under the journal is another.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hilum_component::Registry;
use hilum_config::{Options, Secrets, Variables};
use hilum_engine::{Engine, EngineOptions};
use hilum_faultfs::Disk;
use hilum_journal::{AnyOf, Cancel, Journal, JournalOptions, Query, StoredMessage, Token};
use hilum_message::IndexToken;
use hilum_testkit::hospitals::{Accepted, Hospitals, Load, Systems};
use hilum_testkit::site::SiteFolder;
use hilum_testkit::wait::until;
use tokio::runtime::Runtime;

const CHANNELS: usize = 300;
/// How often the power goes.
const CUTS: u64 = 2;
/// Messages that are accepted before it does.
const ACCEPTED: u64 = 900;
/// Numbers of messages of one life.
const LIFE: u64 = 10_000;

/// An engine with its threads, which end as those of a machine do that loses its power.
struct Life {
    engine: Arc<Engine>,
    runtime: Runtime,
}

impl Life {
    async fn start(hospitals: &Hospitals, disk: &Disk) -> Self {
        let specs = hilum_formats::specs()
            .into_iter()
            .chain(hilum_steps::specs())
            .chain(hilum_connectors::specs());
        let options = Options {
            environment: None,
            secrets: Secrets::Required,
            variables: Variables::Process,
        };
        let loaded = hilum_config::load(&hospitals.folder, &Registry::new(specs), &options);
        let plan = loaded
            .plan
            .unwrap_or_else(|| panic!("{}", hilum_config::render(&loaded.diagnostics)));
        let options = EngineOptions {
            data: disk.folder(),
            journal: JournalOptions {
                files: Arc::new(disk.clone()),
                vfs: Some(disk.vfs()),
                ..JournalOptions::default()
            },
            threads: 2,
            kept: Arc::new(()),
        };
        let runtime = Runtime::new().unwrap();
        let engine = runtime.spawn(Engine::start(plan, options)).await.unwrap();
        let engine = Arc::new(engine.expect("the engine starts"));
        Self { engine, runtime }
    }

    /// Ends without a stop.
    async fn end(self) {
        let Self { engine, runtime } = self;
        let end = move || {
            runtime.shutdown_timeout(Duration::from_secs(20));
            drop(engine);
        };
        tokio::task::spawn_blocking(end).await.unwrap();
    }
}

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
    let ids: Vec<String> = accepted
        .iter()
        .map(|one| one.message.control_id())
        .collect();
    until("all that was accepted arrives", || {
        let seen = systems.seen();
        ids.iter().all(|id| seen.contains(id))
    })
    .await;
    let wrong = life.engine.journal().verify(&Cancel::new()).unwrap();
    assert!(wrong.is_empty(), "{wrong:?}");
    life.end().await;
}

/// Every message by its channel; of each channel one by control id and by patient.
async fn found(journal: &Journal, hospitals: &Hospitals, accepted: &[Accepted]) {
    let control_ids = |rows: Vec<StoredMessage>| -> HashSet<String> {
        let ids = rows.into_iter().filter_map(|row| row.control_id);
        ids.map(|id| id.to_string()).collect()
    };
    for (at, channel) in hospitals.channels.iter().enumerate() {
        let query = Query {
            channel: Some(channel.name.as_str().into()),
            limit: 1_000,
            ..Query::default()
        };
        let there = control_ids(journal.search(query.clone()).await.unwrap().messages);
        let own: Vec<&Accepted> = accepted.iter().filter(|one| one.channel == at).collect();
        for one in &own {
            let id = one.message.control_id();
            assert!(there.contains(&id), "{id} of {} is lost", channel.name);
        }
        if let Some(one) = own.last() {
            let (id, patient) = (one.message.control_id(), one.message.patient_id());
            for (kind, field, value) in [
                (Token::CONTROL_ID, "control-id", &id),
                (Token::PATIENT, "patient", &patient),
            ] {
                let value = IndexToken::of(&journal.index_key(), field, value);
                let any = AnyOf {
                    kind,
                    values: vec![value],
                };
                let query = Query {
                    tokens: vec![any],
                    ..query.clone()
                };
                let page = journal.search(query).await.unwrap();
                assert!(control_ids(page.messages).contains(&id), "{id} by {field}");
            }
        }
    }
}
