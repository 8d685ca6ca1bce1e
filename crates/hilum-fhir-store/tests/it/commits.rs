//! Commits: versions, conflicts, history, deliveries.

use hilum_fhir_store::{
    Change, Commit, Criterion, Delivery, DeliveryId, Expect, Expected, HistoryPart, HistoryQuery,
    HistoryScope, Limits, OutboxEvent, Seq, StoreError, Test, TokenTest,
};

use crate::door::{Door, body, token};

/// The versions, page by page; on the way back they are the same.
async fn history(door: &Door, scope: HistoryScope, count: u32) -> Vec<(String, u32, bool)> {
    let page = async |part| {
        let query = HistoryQuery {
            scope: scope.clone(),
            from_ms: i64::MIN,
            to_ms: i64::MAX,
            part,
            count,
        };
        door.store.history(query).await.unwrap()
    };
    let mut last = page(HistoryPart::Newest).await;
    assert_eq!(last.prev, None);
    let mut forth = last.versions.clone();
    while let Some(next) = last.next {
        last = page(HistoryPart::Before(next)).await;
        forth.extend(last.versions.iter().cloned());
    }
    let mut back = last.versions.clone();
    while let Some(prev) = last.prev {
        last = page(HistoryPart::Behind(prev)).await;
        assert!(last.next.is_some());
        back.splice(0..0, last.versions.iter().cloned());
    }
    assert_eq!(back, forth);
    let one = |v: &hilum_fhir_store::Stored| (v.id.to_string(), v.version, v.body.is_some());
    forth.iter().map(one).collect()
}

#[tokio::test]
async fn versions_are_kept_and_numbered_without_gaps() {
    let door = Door::new();
    let patient = door.of("Patient");
    for n in 1..=3 {
        door.tick(10);
        let done = door.put("Patient/a", &[]).await;
        assert_eq!(
            (done.seq, done.written[0].version),
            (Seq(n), u32::try_from(n).unwrap())
        );
        assert_eq!(done.written[0].created, n == 1);
    }
    door.put("Patient/b", &[]).await;
    let done = door
        .commit(vec![door.delete("Patient/a"), door.delete("Patient/zz")])
        .await
        .unwrap();
    assert_eq!(done.seq, Seq(5));
    let again = door.put("Patient/a", &[]).await;
    assert_eq!(
        (again.written[0].version, again.written[0].created),
        (5, true)
    );

    let door = door.reopen();
    let current = door.store.read(patient, "a").await.unwrap().unwrap();
    assert_eq!((current.version, current.seq), (5, Seq(6)));
    assert_eq!(current.body, Some(body("Patient/a")));
    assert!(
        door.store
            .vread(patient, "a", 4)
            .await
            .unwrap()
            .unwrap()
            .body
            .is_none()
    );
    assert_eq!(
        door.store
            .vread(patient, "a", 1)
            .await
            .unwrap()
            .unwrap()
            .seq,
        Seq(1)
    );
    assert!(door.store.vread(patient, "a", 6).await.unwrap().is_none());
    assert!(door.store.read(patient, "zz").await.unwrap().is_none());
    let a = |version, body| ("a".to_owned(), version, body);
    let of_a = vec![a(5, true), a(4, false), a(3, true), a(2, true), a(1, true)];
    for count in [1, 2, 5, 100] {
        let scope = HistoryScope::Instance(patient, "a".to_owned());
        assert_eq!(history(&door, scope, count).await, of_a);
        let system = history(&door, HistoryScope::System, count).await;
        assert_eq!(system.len(), 6);
        assert_eq!(
            history(&door, HistoryScope::Type(patient), count).await,
            system
        );
    }
    assert!(
        history(&door, HistoryScope::Type(door.of("Observation")), 10)
            .await
            .is_empty()
    );
    assert_eq!(door.put("Patient/c", &[]).await.seq, Seq(7));
}

#[tokio::test]
async fn a_commit_is_all_or_nothing_and_leaves_its_neighbours_alone() {
    let door = Door::new();
    door.put("Patient/taken", &[]).await;
    let bad = vec![
        door.create("Patient/new", &[]),
        door.create("Patient/taken", &[]),
    ];
    let (bad, good, other) = tokio::join!(
        door.commit(bad),
        door.commit(vec![door.create("Patient/x", &[])]),
        door.commit(vec![door.create("Patient/y", &[])]),
    );
    assert!(matches!(
        bad,
        Err(StoreError::Conflict {
            at: 1,
            version: Some(1),
            ..
        })
    ));
    good.unwrap();
    other.unwrap();
    assert!(
        door.store
            .read(door.of("Patient"), "new")
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(door.put("Patient/z", &[]).await.seq, Seq(4));
}

#[tokio::test]
async fn expectations_are_checked_inside_the_transaction() {
    let door = Door::new();
    let patient = door.of("Patient");
    let mrn = token("urn:mrn", "1");
    door.put("Patient/a", &[("identifier", mrn.clone())]).await;
    let expect = |id: &str, expected| Expect::Version {
        resource_type: patient,
        id: id.to_owned(),
        expected,
    };
    let try_with = |expectation: Expect, change: Change| {
        let commit = Commit {
            expectations: vec![expectation],
            changes: vec![change],
            ..Commit::default()
        };
        door.store.commit(commit)
    };
    for (expectation, holds) in [
        (expect("a", Expected::Exactly(1)), true),
        (expect("a", Expected::Exactly(1)), false),
        (expect("a", Expected::Absent), false),
        (expect("a", Expected::Present), true),
        (expect("b", Expected::Present), false),
        (expect("b", Expected::Absent), true),
    ] {
        let change = door.update("Patient/a", &[("identifier", mrn.clone())]);
        assert_eq!(try_with(expectation, change).await.is_ok(), holds);
    }
    let criterion = Criterion::Param {
        params: vec![door.param("Patient.identifier")],
        test: Test::Token(vec![TokenTest::SystemCode("urn:mrn".into(), "1".into())]),
    };
    let mut query = door.query("Patient", vec![criterion]);
    query.count = 2;
    let found: Vec<_> = door
        .store
        .search(query.clone())
        .await
        .unwrap()
        .found
        .iter()
        .map(|f| f.pk)
        .collect();
    assert_eq!(found.len(), 1);
    let search = |found: &[_]| Expect::Search {
        query: Box::new(query.clone()),
        found: found.to_vec(),
    };
    let change = || door.update("Patient/c", &[("identifier", mrn.clone())]);
    let stale = try_with(search(&[]), change()).await;
    assert!(matches!(stale, Err(StoreError::Stale { at: 0 })));
    try_with(search(&found), change()).await.unwrap();
    let stale = try_with(search(&found), change()).await;
    assert!(
        matches!(stale, Err(StoreError::Stale { at: 0 })),
        "there are two now"
    );
}

#[tokio::test]
async fn a_repeated_delivery_returns_what_was_recorded() {
    let door = Door::new();
    let commit = |door: &Door| Commit {
        changes: vec![door.create("Patient/a", &[])],
        events: vec![OutboxEvent {
            topic: "t".into(),
            change: 0,
            payload: "p".into(),
        }],
        delivery: Some(Delivery {
            id: DeliveryId("d-1".into()),
            reply: "done".into(),
        }),
        ..Commit::default()
    };
    let first = door.store.commit(commit(&door)).await.unwrap();
    assert!(first.repeated.is_none());
    let door = door.reopen();
    let again = door.store.commit(commit(&door)).await.unwrap();
    assert_eq!(again.repeated.as_deref(), Some(&b"done"[..]));
    assert_eq!(again.written, first.written);
    assert_eq!(door.put("Patient/b", &[]).await.seq, Seq(2));
}

#[tokio::test]
async fn what_goes_beyond_a_limit_is_refused_by_its_name() {
    let limits = Limits {
        changes_max: 2,
        rows_max: 3,
        body_bytes_max: 40,
        page_max: 5,
        ..Limits::default()
    };
    let door = Door::with(limits);
    let limit_of = |result: Result<_, StoreError>| match result {
        Err(StoreError::Limit { limit, .. }) => limit,
        Err(_) | Ok(()) => "none",
    };
    let change = |n: usize| door.update("Patient/a", &vec![("gender", token("", "male")); n]);
    let commit = async |changes| door.commit(changes).await.map(drop);
    assert_eq!(limit_of(commit(vec![change(0), change(0)]).await), "none");
    assert_eq!(
        limit_of(commit(vec![change(0), change(0), change(0)]).await),
        "changes_max"
    );
    assert_eq!(limit_of(commit(vec![change(3)]).await), "none");
    assert_eq!(limit_of(commit(vec![change(4)]).await), "rows_max");
    let long = "Patient/0123456789012345678901234567890123456789";
    assert_eq!(
        limit_of(commit(vec![door.update(long, &[])]).await),
        "body_bytes_max"
    );
    let mut query = door.query("Patient", vec![]);
    query.count = 7;
    assert_eq!(
        limit_of(door.store.search(query).await.map(drop)),
        "page_max"
    );
}
