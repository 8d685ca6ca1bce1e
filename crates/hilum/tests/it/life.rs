//! The program over a simulated disk: engine, components, sockets and the folder of files are those
//! of `hilum run`; only the disk under the journal is another.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hilum_component::Registry;
use hilum_config::{Options, Secrets, Variables};
use hilum_engine::{Engine, EngineOptions};
use hilum_faultfs::Disk;
use hilum_journal::{AnyOf, Journal, JournalOptions, Query, StoredMessage, Token};
use hilum_message::IndexToken;
use hilum_testkit::hospitals::{Accepted, Hospitals, Systems};
use hilum_testkit::wait::until;
use tokio::runtime::Runtime;

/// An engine with its threads, which end as those of a machine do that loses its power.
pub(crate) struct Life {
    pub(crate) engine: Arc<Engine>,
    runtime: Runtime,
}

impl Life {
    pub(crate) async fn start(hospitals: &Hospitals, disk: &Disk) -> Self {
        let specs = hilum_formats::specs()
            .into_iter()
            .chain(hilum_steps::specs())
            .chain(hilum_connectors::specs());
        let options = Options {
            environment: None,
            secrets: Secrets::Required,
            variables: Variables::Process,
            ..Options::default()
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
            links: Arc::new(hilum_identity::Lanes),
        };
        let runtime = Runtime::new().unwrap();
        let engine = runtime.spawn(Engine::start(plan, options)).await.unwrap();
        let engine = Arc::new(engine.expect("the engine starts"));
        Self { engine, runtime }
    }

    /// Ends without a stop.
    pub(crate) async fn end(self) {
        let Self { engine, runtime } = self;
        let end = move || {
            runtime.shutdown_timeout(Duration::from_secs(20));
            drop(engine);
        };
        tokio::task::spawn_blocking(end).await.unwrap();
    }
}

/// Every message by its channel, with its bytes; of each channel one by control id and by patient.
pub(crate) async fn found(journal: &Journal, hospitals: &Hospitals, accepted: &[Accepted]) {
    let by_id = |rows: Vec<StoredMessage>| -> HashMap<String, u64> {
        let id = |row: StoredMessage| Some((row.control_id?.to_string(), row.sequence));
        rows.into_iter().filter_map(id).collect()
    };
    for (at, channel) in hospitals.channels.iter().enumerate() {
        let query = Query {
            channel: Some(channel.name.as_str().into()),
            limit: 1_000,
            ..Query::default()
        };
        let there = by_id(journal.search(query.clone()).await.unwrap().messages);
        let own: Vec<&Accepted> = accepted.iter().filter(|one| one.channel == at).collect();
        for one in &own {
            let id = one.message.control_id();
            let sequence = there.get(&id);
            let sequence = sequence.unwrap_or_else(|| panic!("{id} of {} is lost", channel.name));
            let (_, body) = journal.received_at(*sequence).await.unwrap();
            let bytes = body.as_inline().expect("a small message");
            assert!(*bytes == one.message.build(), "{id} has other bytes");
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
                assert!(by_id(page.messages).contains_key(&id), "{id} by {field}");
            }
        }
    }
}

/// What was accepted reaches its receiver.
pub(crate) async fn arrived(systems: &Systems, accepted: &[Accepted]) {
    let control_id = |one: &Accepted| one.message.control_id();
    let ids: Vec<String> = accepted.iter().map(control_id).collect();
    until("all that was accepted arrives", || {
        let seen = systems.seen();
        ids.iter().all(|id| seen.contains(id))
    })
    .await;
}
