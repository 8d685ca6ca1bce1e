//! Erasing for good.

use hilum_db::Cancel;
use hilum_fhir_store::{
    Commit, Criterion, Delivery, DeliveryId, HistoryPart, HistoryQuery, HistoryScope, IndexValue,
    JobState, JobStep, Limits, NewJob, OutboxEvent, Seq, StoreError, StringMode, Test,
};

use crate::door::Door;

/// A word that nothing else holds, in whole or as a beginning.
const CANARY: &str = "zqxjkvwb";

fn holds(folder: &std::path::Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
        {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found
}

fn text(text: &str) -> IndexValue {
    IndexValue::FullText(format!("{CANARY}text {text}"))
}

fn name(text: &str) -> IndexValue {
    IndexValue::String(format!("{CANARY}name {text}"))
}

#[expect(
    clippy::too_many_lines,
    reason = "one story from the first word to the last"
)]
#[tokio::test]
async fn nothing_of_what_was_erased_is_left_in_the_files() {
    let door = Door::new();
    let in_files = !crate::POSTGRES;
    // Enough neighbours that pages are full, split and merged.
    let id = format!("{CANARY}id");
    let mine = format!("Patient/{id}");
    for at in 0..300 {
        let other = format!("Patient/o{at}");
        let words = IndexValue::FullText(format!("other words of {at}"));
        let own = IndexValue::String(format!("other {at}"));
        door.put(&other, &[("name", own), ("_content", words)])
            .await;
        if at % 50 == 0 {
            let rows = [
                ("name", name(&at.to_string())),
                ("_content", text(&at.to_string())),
            ];
            let commit = Commit {
                changes: vec![door.update(&mine, &rows)],
                events: vec![OutboxEvent {
                    topic: "t".into(),
                    change: 0,
                    payload: format!("{CANARY}payload").into(),
                }],
                delivery: Some(Delivery {
                    id: DeliveryId(format!("d{at}")),
                    reply: format!("{CANARY}reply").into(),
                }),
                ..Commit::default()
            };
            door.store.commit(commit).await.unwrap();
        }
    }
    let of = door.of("Patient");
    let before = door.store.read(of, &id).await.unwrap().unwrap();
    assert_eq!(before.version, 6);
    assert_eq!(holds(door.path(), CANARY).is_empty(), !in_files);
    let erased = door
        .store
        .erase(vec![(of, id.clone()), (of, "none".into())])
        .await
        .unwrap();
    assert_eq!((erased.resources, erased.versions), (1, 6));
    assert_eq!(door.store.scrub().await.unwrap(), in_files);
    assert_eq!(holds(door.path(), CANARY), Vec::<String>::new());
    assert_eq!(
        door.store.verify(&Cancel::new()).unwrap(),
        Vec::<String>::new()
    );

    // Its id is known as erased, its number stays, nothing finds it.
    let after = door.store.read(of, &id).await.unwrap().unwrap();
    assert!(after.is_erased() && after.body.is_none());
    assert_eq!((after.pk, after.version), (before.pk, 6));
    let third = door.store.vread(of, &id, 3).await.unwrap().unwrap();
    assert!(third.is_erased() && third.body.is_none());
    for scope in [
        HistoryScope::System,
        HistoryScope::Type(of),
        HistoryScope::Instance(of, id.clone()),
    ] {
        let query = HistoryQuery {
            scope: scope.clone(),
            from_ms: i64::MIN,
            to_ms: i64::MAX,
            part: HistoryPart::Newest,
            count: 1_000,
        };
        let page = door.store.history(query).await.unwrap();
        assert!(
            page.versions.iter().all(|one| !one.is_erased()),
            "{scope:?}"
        );
        assert_eq!(
            page.versions.len(),
            if matches!(scope, HistoryScope::Instance(..)) {
                0
            } else {
                300
            }
        );
    }
    let test = Test::String(StringMode::Prefix, vec![CANARY.into()]);
    let params = vec![door.param("Patient.name")];
    let query = door.query("Patient", vec![Criterion::Param { params, test }]);
    assert_eq!(door.ids(&query).await, Vec::<String>::new());
    // Once more is harmless, and a new resource may have the id.
    let erased = door.store.erase(vec![(of, id.clone())]).await.unwrap();
    assert_eq!((erased.resources, erased.versions), (0, 0));
    let again = door.put(&mine, &[]).await;
    assert_eq!(
        (again.written[0].version, again.written[0].created),
        (7, true)
    );
    let read = door.store.read(of, &id).await.unwrap().unwrap();
    assert_eq!(&*read.id, id);
    assert!(
        door.store
            .vread(of, &id, 6)
            .await
            .unwrap()
            .unwrap()
            .body
            .is_none()
    );
    assert_eq!(
        door.store.verify(&Cancel::new()).unwrap(),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_step_of_a_job_is_saved_with_its_changes_or_not_done() {
    let door = Door::new();
    let new = NewJob {
        id: "j1".into(),
        kind: "import".into(),
        request: "".into(),
        progress: "0".into(),
    };
    door.store.add_job(new).await.unwrap();
    let step = |progress: &'static str, changes| Commit {
        changes,
        job: Some(JobStep {
            id: "j1".into(),
            progress: progress.into(),
        }),
        ..Commit::default()
    };
    let commit = step("1", vec![door.update("Patient/a", &[])]);
    door.store.commit(commit).await.unwrap();
    let progress = async || door.store.job("j1").await.unwrap().unwrap().progress;
    assert_eq!(progress().await, "1");
    let commit = step("2", vec![door.create("Patient/a", &[])]);
    let conflict = door.store.commit(commit).await;
    assert!(
        matches!(conflict, Err(StoreError::Conflict { .. })),
        "{conflict:?}"
    );
    assert_eq!(progress().await, "1");
    door.store
        .save_job("j1", JobState::Open, "3".into())
        .await
        .unwrap();
    door.store.remove_job("j1").await.unwrap();
    let commit = step("4", vec![door.update("Patient/b", &[])]);
    let gone = door.store.commit(commit).await;
    assert!(matches!(gone, Err(StoreError::NoJob)), "{gone:?}");
    assert_eq!(
        door.store.read(door.of("Patient"), "b").await.unwrap(),
        None
    );
}

#[tokio::test]
async fn deliveries_are_forgotten_when_they_are_old() {
    let limits = Limits {
        delivery_kept: std::time::Duration::from_secs(3_600),
        ..Limits::default()
    };
    let door = Door::with(limits);
    let deliver = async |id: &str| {
        let commit = Commit {
            changes: vec![door.update("Patient/p", &[])],
            delivery: Some(Delivery {
                id: DeliveryId(id.into()),
                reply: "done".into(),
            }),
            ..Commit::default()
        };
        door.store.commit(commit).await.unwrap()
    };
    for at in 0..10 {
        deliver(&format!("old{at}")).await;
    }
    door.tick(3_000_000);
    deliver("young").await;
    door.tick(1_800_000);
    // What comes makes room, a few at a time.
    for at in 0..3 {
        deliver(&format!("new{at}")).await;
    }
    assert!(deliver("young").await.repeated.is_some());
    assert!(deliver("new0").await.repeated.is_some());
    let again = deliver("old0").await;
    assert_eq!(again.repeated, None);
    assert_eq!(again.seq, Seq(15));
}
