//! Content apart: large attachments that nobody holds whole.

use hilum_db::Cancel;
use hilum_fhir_store::{
    Apart, Body, Change, Commit, ContentId, HistoryPart, HistoryQuery, HistoryScope, Kept, Method,
    MomentQuery, PART_BYTES, Seq, Store, StoreError,
};

use crate::door::Door;

/// More than two parts.
const LENGTH: usize = 2 * PART_BYTES + 12_345;

fn document(seed: usize) -> Vec<u8> {
    let letter = |at: usize| b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"[(at * 7 + at / 1000 + seed) % 26];
    (0..LENGTH).map(letter).collect()
}

async fn put(store: &Store, bytes: &[u8]) -> ContentId {
    let content = ContentId::draw().unwrap();
    for (part, chunk) in bytes.chunks(PART_BYTES).enumerate() {
        let part = u32::try_from(part).unwrap();
        store.put_part(content, part, chunk).await.unwrap();
    }
    content
}

/// A body with the content between two texts.
fn change(door: &Door, id: &str, content: ContentId) -> Change {
    let body = Body {
        bytes: r#"{"a":"1","data":"token","b":2}"#.into(),
        splice: 1,
        wrap: true,
        comma: true,
        apart: vec![Apart {
            at: 17,
            span: 5,
            content,
            bytes: LENGTH as u64,
        }],
        ..Body::default()
    };
    Change {
        resource_type: door.of("Patient"),
        id: id.to_owned(),
        method: Method::Update {
            body,
            rows: Vec::new(),
        },
    }
}

fn whole(document: &[u8]) -> Vec<u8> {
    [br#"{"a":"1","data":""#, document, br#"","b":2}"#].concat()
}

fn check(found: &Body, document: &[u8]) {
    assert!(found.apart.is_empty());
    assert!(
        found.bytes == whole(document),
        "{} bytes",
        found.bytes.len()
    );
}

#[tokio::test]
async fn what_is_apart_is_read_whole_or_in_parts() {
    let door = Door::new();
    let of = door.of("Patient");
    let (first, second) = (document(0), document(3));
    let content = put(&door.store, &first).await;
    door.commit(vec![change(&door, "p", content)])
        .await
        .unwrap();
    let content = put(&door.store, &second).await;
    door.commit(vec![change(&door, "p", content)])
        .await
        .unwrap();
    let door = door.reopen();

    let body = |stored: Option<hilum_fhir_store::Stored>| stored.unwrap().body.unwrap();
    check(&body(door.store.read(of, "p").await.unwrap()), &second);
    check(&body(door.store.vread(of, "p", 1).await.unwrap()), &first);
    let query = door.query("Patient", Vec::new());
    let page = door.store.search(query).await.unwrap();
    check(page.found[0].stored.body.as_ref().unwrap(), &second);
    let query = HistoryQuery {
        scope: HistoryScope::System,
        from_ms: i64::MIN,
        to_ms: i64::MAX,
        part: HistoryPart::Newest,
        count: 10,
    };
    let page = door.store.history(query).await.unwrap();
    for (version, document) in page.versions.iter().zip([&second, &first]) {
        check(version.body.as_ref().unwrap(), document);
    }
    // A page of an export is bounded by what its resources have with all that is apart.
    let query = MomentQuery {
        resource_type: of,
        after: Seq(0),
        to: Seq(1),
        count: 10,
        kept: Kept::Present,
    };
    let page = door.store.moment(query).await.unwrap();
    check(page.versions[0].body.as_ref().unwrap(), &first);

    let apart = body(door.store.read_apart(of, "p").await.unwrap());
    assert_eq!(apart.bytes.len(), 30);
    assert_eq!(apart.len(), whole(&second).len() as u64);
    let mut read = Vec::new();
    for part in 0.. {
        let bytes = door.store.part(&apart.apart[0], part).await.unwrap();
        if bytes.is_empty() {
            break;
        }
        assert!(bytes.len() <= PART_BYTES);
        read.extend_from_slice(&bytes);
    }
    assert!(read == second);
    assert_eq!(
        door.store.verify(&Cancel::new()).unwrap(),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn content_lives_as_long_as_a_version_that_names_it() {
    let door = Door::new();
    let of = door.of("Patient");
    let document = document(1);
    let content = put(&door.store, &document).await;
    let both = vec![change(&door, "a", content), change(&door, "b", content)];
    door.commit(both).await.unwrap();
    // One in use is not dropped.
    door.store.drop_unused(vec![content]).await.unwrap();
    let erase = |id: &str| door.store.erase(vec![(of, id.to_owned())]);
    erase("a").await.unwrap();
    let left = door.store.read(of, "b").await.unwrap().unwrap();
    check(&left.body.unwrap(), &document);
    let apart = door.store.read_apart(of, "b").await.unwrap().unwrap();
    let apart = apart.body.unwrap().apart[0];
    erase("b").await.unwrap();
    let gone = door.store.part(&apart, 0).await;
    assert!(matches!(gone, Err(StoreError::Invalid(_))), "{gone:?}");
    assert_eq!(
        door.store.verify(&Cancel::new()).unwrap(),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_commit_needs_the_content_that_it_names() {
    let door = Door::new();
    let of = door.of("Patient");
    let dropped = put(&door.store, &document(2)).await;
    door.store.drop_unused(vec![dropped]).await.unwrap();
    let commit = Commit {
        changes: vec![door.update("Patient/x", &[]), change(&door, "y", dropped)],
        ..Commit::default()
    };
    let refused = door.store.commit(commit).await;
    assert!(
        matches!(refused, Err(StoreError::Invalid(_))),
        "{refused:?}"
    );
    assert!(door.store.read(of, "x").await.unwrap().is_none());
    // A refused commit uses nothing.
    let kept = put(&door.store, &document(2)).await;
    let conflict = vec![change(&door, "y", kept), door.create("Patient/y", &[])];
    door.commit(conflict).await.unwrap_err();
    door.store.drop_unused(vec![kept]).await.unwrap();
    let refused = door.commit(vec![change(&door, "y", kept)]).await;
    assert!(
        matches!(refused, Err(StoreError::Invalid(_))),
        "{refused:?}"
    );
    assert_eq!(
        door.store.verify(&Cancel::new()).unwrap(),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn what_never_came_into_use_is_gone_at_the_next_start() {
    let door = Door::new();
    let content = put(&door.store, &document(4)).await;
    let door = door.reopen();
    let found = door.commit(vec![change(&door, "p", content)]).await;
    // Of a database it is not known who else writes it.
    assert_eq!(found.is_ok(), crate::POSTGRES);
}
