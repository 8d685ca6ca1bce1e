//! Numbers that a patient does not have any more, and numbers that go to another one.

use serde_json::{Value, json};

use crate::kit::Server;
use crate::linked::{tell, told};

/// Every order of three messages.
const ORDERS: [[usize; 3]; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];

fn patient(numbers: &[&str]) -> Value {
    let number = |text: &&str| match text.split_once(':') {
        Some((kind, value)) => {
            json!({"type": {"coding": [{"code": kind}]}, "system": "urn:x:a", "value": value})
        }
        None => json!({"system": "urn:x:a", "value": text}),
    };
    json!({"resourceType": "Patient", "identifier": numbers.iter().map(number).collect::<Vec<_>>()})
}

fn with_id(mut patient: Value, id: &str) -> Value {
    patient["id"] = json!(id);
    patient
}

fn numbers(patient: &Value) -> Vec<String> {
    let all = patient["identifier"].as_array().unwrap().iter();
    let mut values: Vec<_> = all
        .map(|one| one["value"].as_str().unwrap().to_owned())
        .collect();
    values.sort();
    values
}

#[tokio::test]
async fn a_number_that_is_given_up_is_gone_in_every_order() {
    let gives_up: &[&str] = &["gives-up=urn%3Ax%3Aa|E%201"];
    let story: [(i64, &[&str], &[&str]); 3] = [
        (10, &["1", "E 1"], &[]),
        (20, &["1", "E2"], gives_up),
        (15, &["1", "E 1", "N3"], &[]),
    ];
    for order in ORDERS {
        let server = Server::start().await;
        for at in order {
            let (time, all, extensions) = story[at];
            let one = with_id(patient(all), "a");
            told(&server, time, &[(one, "Patient/a", extensions)]).await;
        }
        let found = server.get("/Patient/a").await.json();
        assert_eq!(numbers(&found), ["1", "E2", "N3"], "{order:?}");
        let found = server
            .get("/Patient?identifier=urn:x:a%7CE%201")
            .await
            .json();
        assert_eq!(found["total"], 0, "{order:?}");
        // Said anew later, it has it again.
        let one = with_id(patient(&["1", "E 1"]), "a");
        told(&server, 30, &[(one, "Patient/a", &[])]).await;
        let found = server.get("/Patient/a").await.json();
        assert_eq!(numbers(&found), ["1", "E 1", "E2", "N3"], "{order:?}");
    }
}

#[tokio::test]
async fn who_was_deleted_is_not_brought_back_with_a_merge_that_is_taken_back() {
    type Said<'a> = (i64, &'a [&'a str]);
    const MERGE: i64 = 20;
    let replaced = || {
        let mut former = with_id(patient(&["2"]), "b");
        former["active"] = json!(false);
        former["link"] = json!([{"type": "replaced-by", "other": {"reference": "Patient/a"}}]);
        former
    };
    let deleted: Said<'_> = (10, &[]);
    let late: Said<'_> = (30, &[]);
    let merged: Said<'_> = (MERGE, &[]);
    let before: Said<'_> = (5, &["deletes=active"]);
    let since: Said<'_> = (15, &["deletes=active"]);
    for (story, expected) in [
        ([deleted, merged, before], json!(false)),
        ([deleted, merged, since], Value::Null),
        ([late, merged, since], json!(false)),
        ([before, merged, since], Value::Null),
    ] {
        for order in ORDERS {
            let server = Server::start().await;
            let other = with_id(patient(&["1"]), "a");
            told(&server, 1, &[(other, "Patient/a", &[])]).await;
            for at in order {
                let (time, extensions) = story[at];
                let mut one = with_id(patient(&["2"]), "b");
                if time == MERGE {
                    one = replaced();
                } else if extensions.is_empty() {
                    one["active"] = json!(false);
                }
                told(&server, time, &[(one, "Patient/b", extensions)]).await;
            }
            let found = server.get("/Patient/b").await.json();
            assert_eq!(found["active"], false, "{order:?} {found}");
            // Taken back, and once more after it was made again.
            for time in [40, 42] {
                let back: &[&str] = &["takes-back=link active"];
                told(&server, time, &[(replaced(), "Patient/b", back)]).await;
                let found = server.get("/Patient/b").await.json();
                assert!(found["link"].is_null(), "{order:?} {found}");
                assert_eq!(found["active"], expected, "{order:?} {story:?} {found}");
                told(&server, time + 1, &[(replaced(), "Patient/b", &[])]).await;
            }
        }
    }
}

#[tokio::test]
async fn only_all_the_numbers_of_a_patient_are_moved_to_another_one() {
    let server = Server::start().await;
    for (id, all) in [
        ("a", &["1"][..]),
        ("b", &["2", "3", "SS:77"]),
        ("c", &["4"]),
    ] {
        let one = with_id(patient(all), id);
        told(&server, 10, &[(one, &format!("Patient/{id}"), &[])]).await;
    }
    let moving = async |all: &[&str], extensions: &[&str]| {
        let mut former = patient(all);
        former["link"] = json!([{"type": "replaced-by", "other": {"reference": "Patient/a"}}]);
        let url = format!("Patient?identifier=urn:x:a%7C{}", all[0]);
        let entries = [
            (former, &*url, extensions),
            (patient(&["1"]), "Patient?identifier=urn:x:a%7C1", &[]),
        ];
        tell(&server, 20, &entries).await
    };
    let moves: &[&str] = &["moves=identifier"];
    for (all, why) in [
        (&["2"][..], "has other numbers"),
        (&["2", "3", "4"], "of several patients"),
    ] {
        let answer = moving(all, moves).await;
        assert_eq!(answer.status, 422, "{all:?}");
        assert!(
            answer.json().to_string().contains(why),
            "{all:?} {answer:?}"
        );
        let b = server.get("/Patient/b").await.json();
        assert!(b["link"].is_null(), "{b}");
    }
    let without: &[&str] = &["moves=identifier", "gives-up=urn%3Ax%3Aa|3"];
    assert_eq!(moving(&["2"], without).await.status, 200);
    let b = server.get("/Patient/b").await.json();
    assert_eq!(b["link"][0]["other"]["reference"], "Patient/a");
    assert_eq!(numbers(&b), ["2", "77"]);
    // The same once more, and those of a patient that is not there yet.
    assert_eq!(moving(&["2"], moves).await.status, 200);
    assert_eq!(moving(&["8", "9"], moves).await.status, 200);
    assert_eq!(moving(&["4"], moves).await.status, 200);
    assert_eq!(moving(&["5"], &["gives-up=5"]).await.status, 400);
}
