//! Backup, verification, outbox, indexing again.

use hilum_db::Cancel;
use hilum_fhir_store::{
    Chain, Commit, Criterion, IndexRow, IntervalTest, Limits, OutboxEvent, ParamKind, ParamSpec,
    Prefix, Query, Stored, Test, TokenTest,
};

use crate::door::{Door, token};

#[tokio::test]
async fn outbox_rows_are_numbered_and_stay_until_they_are_trimmed() {
    let door = Door::new();
    for n in 0..3 {
        let event = OutboxEvent {
            topic: format!("t{n}"),
            change: 0,
            payload: "p".into(),
        };
        let commit = Commit {
            changes: vec![door.update("Patient/a", &[])],
            events: vec![event.clone(), event],
            ..Commit::default()
        };
        door.store.commit(commit).await.unwrap();
    }
    let nothing = Commit {
        changes: vec![door.delete("Patient/none")],
        events: vec![OutboxEvent {
            topic: "t0".to_owned(),
            change: 0,
            payload: "p".into(),
        }],
        ..Commit::default()
    };
    door.store.commit(nothing).await.unwrap();
    let rows = door.store.outbox(1, 3).await.unwrap();
    let seen: Vec<_> = rows
        .iter()
        .map(|row| (row.number, row.seq.0, &*row.topic, row.event))
        .collect();
    assert_eq!(seen, [(2, 1, "t0", 2), (3, 2, "t1", 1), (4, 2, "t1", 2)]);
    let made = door.store.change(rows[1].seq).await.unwrap().unwrap();
    assert_eq!((made.version, made.updated_ms), (2, rows[1].at_ms));
    door.store.trim_outbox(4).await.unwrap();
    assert_eq!(door.store.outbox(0, 10).await.unwrap().len(), 2);

    // Numbers go on when nothing is left, also after a restart.
    door.store.trim_outbox(6).await.unwrap();
    let door = door.reopen();
    let again = Commit {
        changes: vec![door.update("Patient/a", &[])],
        events: vec![OutboxEvent {
            topic: "t0".to_owned(),
            change: 0,
            payload: "p".into(),
        }],
        ..Commit::default()
    };
    door.store.commit(again).await.unwrap();
    let rows = door.store.events("t0", 1, 9, 10).await.unwrap();
    assert_eq!((rows[0].number, rows[0].event, rows.len()), (7, 3, 1));
    assert_eq!(door.store.last_event("t0").await.unwrap(), 3);
    assert_eq!(door.store.last_event("none").await.unwrap(), 0);
}

#[tokio::test]
async fn a_condition_says_of_a_resource_what_a_search_would() {
    let door = Door::new();
    let patient = door.store.catalog().resource_type("Patient").unwrap();
    let gender = door.param("Patient.gender");
    let query = |criterion: Criterion| Query {
        types: vec![patient],
        criteria: vec![criterion],
        ..Query::default()
    };
    let male = Criterion::Param {
        params: vec![gender],
        test: Test::Token(vec![TokenTest::Code("male".to_owned())]),
    };
    let holds = |criterion: &Criterion, id: &str, code: &str| {
        let row = IndexRow {
            param: gender,
            value: token("", code),
        };
        let of = door.store.searchable(patient, id, &[row]).unwrap();
        let condition = door.store.condition(&query(criterion.clone())).unwrap();
        condition.holds(&of)
    };
    assert!(holds(&male, "a", "male") && !holds(&male, "a", "female"));
    let other = Criterion::Not(Box::new(male.clone()));
    assert!(!holds(&other, "a", "male") && holds(&other, "a", "female"));
    let named = Criterion::Ids(vec!["a".to_owned()]);
    assert!(holds(&named, "a", "male") && !holds(&named, "b", "male"));
    let words = Test::FullText(vec!["word".to_owned()]);
    for refused in [
        Criterion::LastUpdated(vec![IntervalTest {
            prefix: Prefix::Gt,
            start_ms: 0,
            end_ms: 1,
        }]),
        Criterion::Param {
            params: vec![door.param("Patient._text")],
            test: words,
        },
        Criterion::Chain(Box::new(Chain {
            params: vec![door.param("Patient.link")],
            types: vec![patient],
            criteria: vec![male],
        })),
    ] {
        assert!(door.store.condition(&query(refused)).is_err());
    }
}

#[tokio::test]
async fn a_new_parameter_is_building_until_a_resumed_reindex_is_through() {
    let door = Door::new();
    for n in 0..25 {
        door.put(&format!("Patient/p{n}"), &[("gender", token("", "male"))])
            .await;
    }
    let spec = ParamSpec {
        resource_type: "Patient".into(),
        code: "colour".into(),
        kind: ParamKind::Token,
    };
    let keys = door
        .store
        .define(vec![spec.clone()], Vec::new())
        .await
        .unwrap();
    let building = |door: &Door| door.store.catalog().definition(keys[0]).unwrap().building;
    assert!(building(&door));
    let gender = door.param("Patient.gender");
    let rows_of = |_: &Stored| {
        let row = |param, code| IndexRow {
            param,
            value: token("", code),
        };
        vec![row(gender, "male"), row(keys[0], "blue")]
    };
    let first = door.store.reindex(10, &rows_of).await.unwrap().unwrap();
    assert_eq!((first.done, first.total, first.finished), (10, 25, false));
    // Written by its own commit while the job runs: the job leaves it alone.
    door.put("Patient/p20", &[("gender", token("", "female"))])
        .await;
    let before = door.store.reindexing().await.unwrap().unwrap();
    assert!(before.began_ms > 0 && !before.whole, "{before:?}");
    let door = door.reopen();
    assert!(building(&door));
    assert_eq!(door.store.reindexing().await.unwrap(), Some(before));
    while !door
        .store
        .reindex(10, &rows_of)
        .await
        .unwrap()
        .unwrap()
        .finished
    {}
    assert!(!building(&door));
    let blue = Test::Token(vec![TokenTest::Code("blue".into())]);
    let query = door.query(
        "Patient",
        vec![Criterion::Param {
            params: vec![keys[0]],
            test: blue,
        }],
    );
    assert_eq!(door.ids(&query).await.len(), 25);
    assert_eq!(
        door.store.verify(&Cancel::new()).unwrap(),
        Vec::<String>::new()
    );
    let again = door.store.reindex(10, &rows_of).await.unwrap().unwrap();
    assert!(again.finished, "nothing is building, nothing is done");
    assert_eq!(door.store.reindexing().await.unwrap(), Some(again));
    let counted = door.store.counted(vec![keys[0], gender]).await.unwrap();
    let numbers: Vec<_> = counted
        .iter()
        .map(|one| (one.resources, one.found))
        .collect();
    assert_eq!(numbers, [(25, 25), (25, 25)]);

    // What is not kept up any more is built once more when it is registered once more.
    door.store.define(Vec::new(), keys.clone()).await.unwrap();
    door.put("Patient/p1", &[("gender", token("", "female"))])
        .await;
    let once_more = door.store.define(vec![spec], Vec::new()).await.unwrap();
    assert_eq!(once_more, keys);
    assert!(building(&door));
    let counted = door.store.counted(keys).await.unwrap();
    assert_eq!((counted[0].resources, counted[0].found), (24, 24));
}

#[tokio::test]
async fn a_reindex_can_be_begun_though_nothing_is_building() {
    let door = Door::new();
    assert_eq!(door.store.reindexing().await.unwrap(), None);
    door.put("Patient/p1", &[]).await;
    let gender = door.param("Patient.gender");
    let rows_of = |_: &Stored| {
        vec![IndexRow {
            param: gender,
            value: token("", "male"),
        }]
    };
    let begun = door.store.begin_reindex().await.unwrap().unwrap();
    assert_eq!((begun.done, begun.total, begun.finished), (0, 1, false));
    assert!(begun.whole && begun.began_ms > 0, "{begun:?}");
    let spec = ParamSpec {
        resource_type: "Patient".into(),
        code: "colour".into(),
        kind: ParamKind::Token,
    };
    // It begins anew with the new parameter, and stays about all of them, also after a restart.
    door.store.define(vec![spec], Vec::new()).await.unwrap();
    let first = door.store.reindex(1, &rows_of).await.unwrap().unwrap();
    assert!(first.whole && !first.finished, "{first:?}");
    let door = door.reopen();
    while !door
        .store
        .reindex(10, &rows_of)
        .await
        .unwrap()
        .unwrap()
        .finished
    {}
    let counted = door.store.counted(vec![gender]).await.unwrap();
    assert_eq!((counted[0].resources, counted[0].found), (1, 1));
}

#[tokio::test]
async fn a_search_that_takes_too_long_ends_with_its_plan() {
    let limits = Limits {
        search_time: std::time::Duration::ZERO,
        frequent_at: 1,
        ..Limits::default()
    };
    let door = Door::with(limits);
    let many = (0..3000)
        .map(|n| door.update(&format!("Patient/p{n}"), &[]))
        .collect();
    door.commit(many).await.unwrap();
    let mut query = door.query(
        "Patient",
        vec![Criterion::Missing {
            params: vec![door.param("Patient.name")],
            missing: false,
        }],
    );
    query.count = 10;
    match door.store.search(query).await {
        Err(hilum_fhir_store::StoreError::TooCostly { plan }) => {
            let told = plan.contains("walks") || plan.contains("waits for the database");
            assert!(told, "{plan}");
        }
        other => panic!("{other:?}"),
    }
}
