//! What was there at a moment.

use hilum_fhir_store::{Criterion, Kept, MomentQuery, Pk, Query, Seq};

use crate::door::{Door, NOON};

async fn at(door: &Door, of: &str, kept: Kept, after: i64, to: i64, count: u32) -> Vec<String> {
    let mut query = MomentQuery {
        resource_type: door.of(of),
        kept,
        after: Seq(after),
        to: Seq(to),
        count,
    };
    let mut found = Vec::new();
    loop {
        let page = door.store.moment(query).await.unwrap();
        found.extend(page.versions.iter().map(|stored| {
            assert_eq!(stored.body.is_some(), kept == Kept::Present);
            format!("{}/{}", stored.id, stored.version)
        }));
        match page.next {
            Some(next) => query.after = next,
            None => return found,
        }
    }
}

#[tokio::test]
async fn a_moment_stays_what_it_was_however_much_is_changed_later() {
    let door = Door::new();
    for name in [
        "Patient/a",
        "Patient/b",
        "Observation/o",
        "Patient/c",
        "Patient/b",
    ] {
        door.put(name, &[]).await;
        door.tick(1_000);
    }
    door.commit(vec![door.delete("Patient/c")]).await.unwrap();
    let check = async || {
        for count in [1, 2, 100] {
            let seen = at(&door, "Patient", Kept::Present, 0, 6, count).await;
            assert_eq!(seen, ["a/1", "b/2"]);
            let seen = at(&door, "Patient", Kept::Present, 0, 4, count).await;
            assert_eq!(seen, ["a/1", "b/1", "c/1"]);
            let seen = at(&door, "Patient", Kept::Deleted, 0, 6, count).await;
            assert_eq!(seen, ["c/2"]);
            let seen = at(&door, "Patient", Kept::Present, 1, 6, count).await;
            assert_eq!(seen, ["b/2"]);
        }
        let pks = vec![Pk(4), Pk(2), Pk(1), Pk(7)];
        let ids = async |to| {
            let found = door.store.versions_at(pks.clone(), Seq(to)).await.unwrap();
            let name =
                |stored: &hilum_fhir_store::Stored| format!("{}/{}", stored.id, stored.version);
            found.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(ids(6).await, ["b/2", "a/1"]);
        assert_eq!(ids(4).await, ["c/1", "b/1", "a/1"]);
        assert_eq!(ids(1).await, ["a/1"]);
    };
    check().await;
    // Everything changes, comes back or goes.
    for name in ["Patient/d", "Patient/a", "Patient/a", "Patient/c"] {
        door.put(name, &[]).await;
    }
    door.commit(vec![door.delete("Patient/b")]).await.unwrap();
    check().await;
    assert_eq!(door.store.seq_at(NOON).await.unwrap(), Seq(1));
    assert_eq!(door.store.seq_at(NOON + 1_500).await.unwrap(), Seq(3));
    let listing = door.query("Patient", Vec::new());
    let listing = door
        .store
        .list(vec![listing.clone(), listing])
        .await
        .unwrap();
    assert_eq!(listing.seq, Seq(11));
    assert_eq!(listing.matches[0], [Pk(1), Pk(4), Pk(7)]);
    assert_eq!(listing.matches[1].len(), 3);
    let two = |name: &str, criteria| Query {
        count: 2,
        ..door.query(name, criteria)
    };
    let nobody = Criterion::Ids(vec!["nobody".to_owned()]);
    let queries = vec![
        two("Patient", Vec::new()),
        two("Patient", vec![nobody]),
        two("Observation", Vec::new()),
    ];
    let named = door.store.named(queries).await.unwrap();
    let id = |pk, id: &str| (Pk(pk), id.to_owned());
    let expected = [vec![id(1, "a"), id(4, "c")], Vec::new(), vec![id(3, "o")]];
    assert_eq!(named, expected);
}
