//! Limits of searches: what fits is done, one more is refused by name.

use hilum_fhir_store::{
    BESIDE_BYTES_MAX, Body, Change, Commit, Criterion, IndexValue, Limits, Method, StoreError,
    StringMode, Test, TokenTest,
};

use crate::door::{Door, body, token};

fn small() -> Door {
    Door::with(Limits {
        criteria_max: 4,
        values_max: 3,
        depth_max: 2,
        page_max: 5,
        text_chars_max: 8,
        ..Limits::default()
    })
}

fn any(door: &Door, values: usize) -> Criterion {
    let code = |n| TokenTest::Code(format!("c{n}"));
    Criterion::Param {
        params: vec![door.param("Patient.gender")],
        test: Test::Token((0..values).map(code).collect()),
    }
}

/// A criterion below so many groups.
fn deep(door: &Door, groups: usize) -> Criterion {
    let inner = any(door, 1);
    (0..groups).fold(inner, |inner, _| Criterion::Not(Box::new(inner)))
}

#[tokio::test]
async fn a_search_has_so_many_criteria_values_and_levels_and_no_more() {
    let door = small();
    door.put("Patient/p", &[("gender", token("", "c0"))]).await;
    let ids = |count: usize| Criterion::Ids((0..count).map(|n| format!("p{n}")).collect());
    for (criteria, limit) in [
        (vec![any(&door, 1); 4], None),
        (vec![any(&door, 1); 5], Some("criteria_max")),
        // Those of all levels count together.
        (vec![deep(&door, 1), deep(&door, 1)], None),
        (
            vec![deep(&door, 1), deep(&door, 1), any(&door, 1)],
            Some("criteria_max"),
        ),
        (vec![any(&door, 3)], None),
        (vec![any(&door, 4)], Some("values_max")),
        (vec![ids(3)], None),
        (vec![ids(4)], Some("values_max")),
        (vec![deep(&door, 2)], None),
        (vec![deep(&door, 3)], Some("depth_max")),
    ] {
        let mut query = door.query("Patient", criteria.clone());
        query.count = 5;
        match (door.store.search(query).await, limit) {
            (Ok(_), None) => {}
            (Err(StoreError::Limit { limit: told, .. }), Some(limit)) => assert_eq!(told, limit),
            (other, _) => panic!("{criteria:?}: {other:?} instead of {limit:?}"),
        }
    }
}

#[tokio::test]
async fn text_is_indexed_and_compared_up_to_its_limit() {
    let door = small();
    let name = |text: &str| IndexValue::String(text.into());
    door.put("Patient/fits", &[("name", name("abcdefgh"))])
        .await;
    door.put("Patient/over", &[("name", name("abcdefghi"))])
        .await;
    let found = async |text: &str| {
        let criterion = Criterion::Param {
            params: vec![door.param("Patient.name")],
            test: Test::String(StringMode::Prefix, vec![text.to_owned()]),
        };
        let mut query = door.query("Patient", vec![criterion]);
        query.count = 5;
        door.ids(&query).await
    };
    assert_eq!(found("abcdefgh").await, ["fits", "over"]);
    // What is cut off of both is not compared.
    assert_eq!(found("abcdefghx").await, ["fits", "over"]);
    assert_eq!(found("abcdefgx").await, Vec::<String>::new());
}

#[tokio::test]
async fn what_lies_beside_a_version_comes_back_with_it_up_to_its_limit() {
    let door = small();
    for (bytes, fits) in [(BESIDE_BYTES_MAX, true), (BESIDE_BYTES_MAX + 1, false)] {
        let id = format!("p{bytes}");
        let beside = Body {
            beside: vec![7; bytes].into(),
            ..body(&id)
        };
        let commit = Commit {
            changes: vec![Change {
                resource_type: door.of("Patient"),
                id: id.clone(),
                method: Method::Update {
                    body: beside.clone(),
                    rows: Vec::new(),
                },
            }],
            ..Commit::default()
        };
        match door.store.commit(commit).await {
            Ok(_) => assert!(fits),
            Err(StoreError::Limit { limit, .. }) => {
                assert_eq!((limit, fits), ("beside_bytes_max", false));
                continue;
            }
            Err(other) => panic!("{other:?}"),
        }
        let stored = door.store.read(door.of("Patient"), &id).await;
        assert_eq!(stored.unwrap().unwrap().body, Some(beside));
    }
}
