//! Servers that stop and come back, and stores that several processes write.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use hilum_db::Cancel;
use hilum_fhir_store::{
    Change, Commit, Limits, Method, OutboxEvent, Place, Store, StoreConfig, StoreError, Watched,
    Written,
};
use hilum_testkit::cluster::shared_postgres;
use hilum_testkit::database::{Database, PASSWORD, postgres};

use crate::door::{NOON, body, config_at, server_at};

/// A server of the test's own, which may be killed.
fn server() -> Option<Database> {
    let server = postgres(None).unwrap();
    if server.is_none() {
        println!("not run: on PostgreSQL (no servers)");
    }
    server
}

fn config(port: u16, schema: &str) -> StoreConfig {
    let now = Arc::new(AtomicI64::new(NOON));
    let mut config = config_at("".as_ref(), &now, Limits::default());
    config.place = Place::Postgres(Box::new(server_at(port, schema)));
    config
}

async fn put(store: &Store, id: &str) -> Result<Written, StoreError> {
    let change = Change {
        resource_type: store.catalog().resource_type("Patient").unwrap(),
        id: id.to_owned(),
        method: Method::Create {
            body: body(&format!("Patient/{id}")),
            rows: Vec::new(),
        },
    };
    let commit = Commit {
        changes: vec![change],
        ..Commit::default()
    };
    Ok(store.commit(commit).await?.written[0])
}

/// Whether all of these were written once, and nothing else.
fn check(store: &Store, written: &[Written]) {
    let mut seqs: Vec<i64> = written.iter().map(|one| one.seq.0).collect();
    seqs.sort_unstable();
    let last = i64::try_from(written.len()).unwrap();
    assert_eq!(seqs, (1..=last).collect::<Vec<i64>>());
    let found = store.verify(&Cancel::new()).unwrap();
    assert_eq!(found, Vec::<String>::new());
}

#[tokio::test]
async fn nobody_learns_of_a_server_that_comes_back_soon() {
    let Some(mut server) = server() else { return };
    let store = Store::open(config(server.port, "own")).unwrap();
    let patient = store.catalog().resource_type("Patient").unwrap();
    let mut written = vec![put(&store, "before").await.unwrap()];
    assert!(store.read(patient, "before").await.unwrap().is_some());

    // Its sessions end while commits are under way.
    let commits = (0..200).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { put(&store, &format!("p{n}")).await })
    });
    let commits: Vec<_> = commits.collect();
    tokio::task::yield_now().await;
    let ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                 where application_name = 'hilum'";
    for _ in 0..3 {
        server.sql(ended).unwrap();
        tokio::task::yield_now().await;
    }
    for commit in commits {
        written.push(commit.await.unwrap().unwrap());
    }
    check(&store, &written);

    // It is killed and started again.
    server.kill().unwrap();
    server.start_again().unwrap();
    assert!(store.read(patient, "p7").await.unwrap().is_some());
    written.push(put(&store, "after").await.unwrap());
    check(&store, &written);

    // It stays away: that is told, without the password, until it is there again.
    server.kill().unwrap();
    let away = put(&store, "lost").await.unwrap_err();
    assert!(matches!(away, StoreError::Away { .. }), "{away:?}");
    let unread = store.read(patient, "p7").await.unwrap_err();
    for error in [away, unread] {
        let told = format!("{error} {error:?}");
        assert!(
            told.contains("refused") && !told.contains(PASSWORD),
            "{told}"
        );
    }
    server.start_again().unwrap();
    written.push(put(&store, "lost").await.unwrap());
    check(&store, &written);
    store.close();

    let mut wrong = server_at(server.port, "own");
    wrong.password = Some("another".to_owned());
    let mut config = config(server.port, "own");
    config.place = Place::Postgres(Box::new(wrong));
    let refused = Store::open(config).unwrap_err().to_string();
    assert!(
        refused.contains("28P01") && !refused.contains("another"),
        "{refused}"
    );
}

#[tokio::test]
async fn two_programs_may_write_one_schema() {
    let Some(port) = shared_postgres().unwrap() else {
        println!("not run: on PostgreSQL (no servers)");
        return;
    };
    let schema = format!("two_{}", std::process::id());
    let stores = [(); 2].map(|()| Store::open(config(port, &schema)).unwrap());
    let commits: Vec<_> = (0..300)
        .map(|n| {
            let store = stores[n % 2].clone();
            tokio::spawn(async move { put(&store, &format!("p{n}")).await })
        })
        .collect();
    let mut written = Vec::new();
    for commit in commits {
        written.push(commit.await.unwrap().unwrap());
    }
    check(&stores[0], &written);
    let again = put(&stores[0], "p1").await.unwrap_err();
    assert!(matches!(
        again,
        StoreError::Conflict {
            version: Some(1),
            ..
        }
    ));
}

#[tokio::test]
async fn of_two_programs_one_has_a_lease_and_both_know_what_makes_events() {
    let Some(port) = shared_postgres().unwrap() else {
        println!("not run: on PostgreSQL (no servers)");
        return;
    };
    let schema = format!("lease_{}", std::process::id());
    let [a, b] = [(); 2].map(|()| Store::open(config(port, &schema)).unwrap());
    assert!(a.is_shared());
    let (long, short) = (Duration::from_secs(600), Duration::from_millis(1));
    // The node 1 has it until it gives it back; the node 2 begins another tenure.
    assert_eq!(a.lease("work", 1, long).await.unwrap(), Some(1));
    assert_eq!(b.lease("work", 2, long).await.unwrap(), None);
    b.release("work").await.unwrap();
    assert_eq!(b.lease("work", 2, long).await.unwrap(), None, "not theirs");
    a.release("work").await.unwrap();
    assert_eq!(a.lease("work", 1, long).await.unwrap(), Some(1));
    assert_eq!(b.lease("other", 2, long).await.unwrap(), Some(1));
    a.release("work").await.unwrap();
    assert_eq!(b.lease("work", 2, short).await.unwrap(), Some(2));
    // It runs out by itself.
    let mut tenure = None;
    while tenure.is_none() {
        tenure = a.lease("work", 1, long).await.unwrap();
    }
    assert_eq!(tenure, Some(3));

    // A commit whose events were worked out with another state writes nothing.
    let watched = |known, changes| Some(Watched { known, changes });
    let put = async |store: &Store, id: &str, watched| {
        let change = Change {
            resource_type: store.catalog().resource_type("Patient").unwrap(),
            id: id.to_owned(),
            method: Method::Create {
                body: body(&format!("Patient/{id}")),
                rows: Vec::new(),
            },
        };
        let event = OutboxEvent {
            topic: "s1".to_owned(),
            change: 0,
            payload: bytes::Bytes::new(),
        };
        let commit = Commit {
            changes: vec![change],
            events: vec![event],
            watched,
            ..Commit::default()
        };
        store.commit(commit).await
    };
    assert_eq!(a.watched().await.unwrap(), 0);
    put(&a, "p1", watched(0, true)).await.unwrap();
    assert_eq!(b.watched().await.unwrap(), 1);
    let late = put(&b, "p2", watched(0, false)).await.unwrap_err();
    assert!(matches!(late, StoreError::Outdated), "{late}");
    put(&b, "p2", watched(1, false)).await.unwrap();
    let taken = put(&b, "p2", watched(1, true)).await.unwrap_err();
    assert!(matches!(taken, StoreError::Conflict { .. }), "{taken}");
    assert_eq!(a.watched().await.unwrap(), 1, "what failed changed nothing");

    // What one has told the other knows; it never goes back.
    assert_eq!(b.untold().await.unwrap(), 0);
    a.set_told(vec![("s1".to_owned(), 1)]).await.unwrap();
    assert_eq!(
        (b.told("s1").await.unwrap(), b.told("s2").await.unwrap()),
        (1, 0)
    );
    assert_eq!(b.untold().await.unwrap(), 1);
    a.set_told(vec![("s1".to_owned(), 2), ("s2".to_owned(), 7)])
        .await
        .unwrap();
    b.set_told(vec![("s1".to_owned(), 1)]).await.unwrap();
    assert_eq!(a.told("s1").await.unwrap(), 2);
    assert_eq!(a.untold().await.unwrap(), 2, "there is nothing more");
}

#[tokio::test]
async fn a_schema_with_an_odd_name_is_refused() {
    for schema in ["", "Fhir", "a\"b", "1a", &"a".repeat(64)] {
        let refused = Store::open(config(1, schema)).unwrap_err();
        assert!(matches!(refused, StoreError::Invalid(_)), "{refused:?}");
    }
}
