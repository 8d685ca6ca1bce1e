//! Sources say when what they say was so: the same messages end in the same resource in whatever order
//! they come.

use std::collections::BTreeMap;
use std::sync::Arc;

use hilum_component::{FhirMethod, FhirPlace, FhirPort, FhirRequest, FhirWanted};
use proptest::prelude::{Just, Strategy, any};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::kit::Server;

/// What a message says, without the number of the stay or the time of the source.
#[derive(Clone, Debug)]
struct Said {
    at: i64,
    resources: Vec<(Value, String)>,
}

const MRN: &str = "http://h.example/mrn";

fn said(at: i64, resources: &[(Value, &str)]) -> Said {
    let each = resources.iter();
    Said {
        at,
        resources: each
            .map(|(resource, deletes)| (resource.clone(), (*deletes).to_owned()))
            .collect(),
    }
}

/// The Bundle of a message about a patient of this number.
fn bundle(said: &Said, number: &str) -> Value {
    let entry = |(resource, deletes): &(Value, String)| {
        let name = resource["resourceType"].as_str().unwrap();
        let mut resource = resource.clone();
        let own = json!({"system": MRN, "value": number});
        match resource["identifier"].as_array_mut() {
            Some(more) => more.insert(0, own),
            None => resource["identifier"] = json!([own]),
        }
        let url = format!("{name}?identifier={MRN}%7C{number}");
        let mut request = json!({"method": "PUT", "url": url});
        if !deletes.is_empty() {
            let extension = json!({"url": "urn:hilum:deletes", "valueString": deletes});
            request["extension"] = json!([extension]);
        }
        json!({"resource": resource, "request": request})
    };
    let time = format!("{at} {at} 0", at = said.at);
    json!({
        "resourceType": "Bundle", "type": "transaction",
        "meta": {"extension": [{"url": "urn:hilum:as-of", "valueString": time}]},
        "entry": said.resources.iter().map(entry).collect::<Vec<_>>(),
    })
}

async fn send(port: &Arc<dyn FhirPort>, bundle: &Value, delivery: &str) {
    let request = FhirRequest {
        method: FhirMethod::Post,
        body: bundle.to_string().into(),
        delivery: Some(delivery.to_owned()),
        ..FhirRequest::default()
    };
    let answer = port.request("", request).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
}

/// What is current of a number, without what the store gives it.
async fn current(server: &Server, name: &str, number: &str) -> Value {
    let found = server
        .get(&format!("/{name}?identifier={MRN}%7C{number}"))
        .await
        .json();
    assert_eq!(found["total"], 1, "{found}");
    let mut resource = found["entry"][0]["resource"].clone();
    let own = resource.as_object_mut().unwrap();
    own.remove("id");
    own.remove("meta");
    let text = resource.to_string().replace(number, "N");
    serde_json::from_str(&text).unwrap()
}

/// A stay: admission, transfer, a correction, a deletion, discharge.
fn stay() -> Vec<Said> {
    let patient = |more: Value| {
        let mut patient = json!({"resourceType": "Patient"});
        for (name, value) in more.as_object().unwrap() {
            patient[name] = value.clone();
        }
        patient
    };
    let visit = |status: &str, more: Value| {
        let mut visit =
            json!({"resourceType": "Encounter", "status": status, "class": {"code": "IMP"}});
        for (name, value) in more.as_object().unwrap() {
            visit[name] = value.clone();
        }
        visit
    };
    let name = |family: &str| json!([{"family": family, "given": ["Ann"]}]);
    let place = |of: &str| json!([{"location": {"display": of}}]);
    let address = json!([{"city": "Berne"}]);
    vec![
        said(
            10,
            &[
                (
                    patient(
                        json!({"name": name("Ames"), "address": address, "birthDate": "1950-01-01"}),
                    ),
                    "",
                ),
                (
                    visit(
                        "in-progress",
                        json!({"period": {"start": "2026-01-01T08:00:00Z"}, "location": place("W1")}),
                    ),
                    "",
                ),
            ],
        ),
        said(
            20,
            &[
                (
                    patient(json!({
                        "name": name("Ames"),
                        "telecom": [{"system": "phone", "value": "9", "use": "work"}],
                    })),
                    "",
                ),
                (visit("in-progress", json!({"location": place("W2")})), ""),
            ],
        ),
        said(
            30,
            &[(
                patient(json!({
                    "name": name("Ames-Bell"), "telecom": [{"system": "phone", "value": "1"}],
                    "identifier": [{"system": "urn:x", "value": "7"}, {"system": "urn:a", "value": "8"}],
                })),
                "",
            )],
        ),
        said(
            40,
            &[
                (
                    patient(json!({"name": name("Ames-Bell")})),
                    "address birthDate telecom[work]",
                ),
                (visit("in-progress", json!({})), "location"),
            ],
        ),
        said(
            50,
            &[
                (
                    patient(json!({
                        "name": name("Ames-Bell"), "gender": "female",
                        "telecom": [{"system": "phone", "value": "2", "use": "work"}],
                    })),
                    "",
                ),
                (
                    visit(
                        "finished",
                        json!({"period": {"end": "2026-01-05T08:00:00Z"},
                               "hospitalization": {"dischargeDisposition": {"text": "home"}}}),
                    ),
                    "",
                ),
            ],
        ),
    ]
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(count - 1);
    let each = shorter.iter().flat_map(|order| {
        (0..=order.len()).map(move |at| {
            let mut order = order.clone();
            order.insert(at, count - 1);
            order
        })
    });
    each.collect()
}

#[tokio::test]
async fn a_stay_ends_in_the_same_record_in_every_order_of_arrival() {
    let server = Server::start().await;
    let port = server.port();
    let stay = stay();
    let mut ends: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let orders = permutations(stay.len());
    assert_eq!(orders.len(), 120);
    for (at, order) in orders.into_iter().enumerate() {
        let number = format!("N{at}");
        for step in &order {
            let delivery = format!("{number}/{step}");
            send(&port, &bundle(&stay[*step], &number), &delivery).await;
        }
        let patient = current(&server, "Patient", &number).await;
        let visit = current(&server, "Encounter", &number).await;
        assert_eq!(patient["name"][0]["family"], "Ames-Bell", "{order:?}");
        let numbers: Vec<_> = patient["telecom"].as_array().unwrap().iter().collect();
        let numbers: Vec<_> = numbers.iter().map(|one| &one["value"]).collect();
        assert_eq!(numbers, ["1", "2"], "absence deletes nothing: {order:?}");
        assert!(patient.get("address").is_none() && patient.get("birthDate").is_none());
        assert_eq!(patient["identifier"].as_array().unwrap().len(), 3);
        assert_eq!(visit["status"], "finished");
        assert_eq!(visit["period"]["start"], "2026-01-01T08:00:00Z");
        assert_eq!(visit["period"]["end"], "2026-01-05T08:00:00Z");
        assert!(visit.get("location").is_none());
        ends.entry(format!("{patient} {visit}")).or_insert(order);
    }
    assert_eq!(ends.len(), 1, "{ends:#?}");
}

#[tokio::test]
async fn a_patient_is_active_as_the_newest_says_unless_another_one_replaces_it() {
    let server = Server::start().await;
    let port = server.port();
    let patient = |more: &str| -> Value {
        serde_json::from_str(&format!(r#"{{"resourceType": "Patient"{more}}}"#)).unwrap()
    };
    let registered = |at| {
        said(
            at,
            &[(patient(r#", "name": [{"family": "Ames"}]"#), "active")],
        )
    };
    let deleted = |at| said(at, &[(patient(r#", "active": false"#), "")]);
    let link = r#", "active": false,
        "link": [{"other": {"reference": "Patient/other"}, "type": "replaced-by"}]"#;
    let merged = |at| said(at, &[(patient(link), "")]);
    let linked = link
        .replace("replaced-by", "seealso")
        .replace(r#", "active": false"#, "");
    let linked = said(12, &[(patient(&linked), "")]);
    for (name, story, active) in [
        ("D", vec![registered(10), deleted(20)], Some(false)),
        // Of one time the deletion counts.
        ("S", vec![registered(20), deleted(20)], Some(false)),
        ("R", vec![registered(10), deleted(20), registered(30)], None),
        (
            "L",
            vec![registered(10), deleted(20), registered(30), linked],
            None,
        ),
        (
            "M",
            vec![registered(10), deleted(20), registered(30), merged(15)],
            Some(false),
        ),
        (
            "N",
            vec![registered(10), merged(40), registered(30), deleted(20)],
            Some(false),
        ),
    ] {
        for (at, order) in permutations(story.len()).into_iter().enumerate() {
            let number = format!("{name}{at}");
            for step in &order {
                send(
                    &port,
                    &bundle(&story[*step], &number),
                    &format!("{number}/{step}"),
                )
                .await;
            }
            let patient = current(&server, "Patient", &number).await;
            assert_eq!(
                patient["active"].as_bool(),
                active,
                "{name} {order:?} {patient}"
            );
        }
    }
}

#[tokio::test]
async fn what_an_application_says_of_active_no_registration_takes_back() {
    let server = Server::start().await;
    let port = server.port();
    let own = json!({"resourceType": "Patient", "id": "p", "active": false,
        "identifier": [{"system": MRN, "value": "P1"}]});
    assert_eq!(server.put("/Patient/p", &own).await.status, 201);
    let patient = json!({"resourceType": "Patient", "name": [{"family": "Ames"}]});
    for (at, delivery) in [(i64::MAX / 4, "1"), (i64::MAX / 2, "2")] {
        let said = said(at, &[(patient.clone(), "active")]);
        send(&port, &bundle(&said, "P1"), delivery).await;
    }
    let now = current(&server, "Patient", "P1").await;
    assert_eq!(
        (&now["active"], &now["name"][0]["family"]),
        (&json!(false), &json!("Ames"))
    );
}

/// Messages about one patient, with times that may be the same.
fn messages() -> impl Strategy<Value = (Vec<Said>, Vec<usize>)> {
    let one = (0_i64..6, any::<[u8; 6]>());
    proptest::collection::vec(one, 2..9).prop_flat_map(|all| {
        let said: Vec<Said> = all.iter().map(|(at, choice)| random(*at, choice)).collect();
        // Some come twice.
        let order: Vec<usize> = (0..said.len()).chain(0..said.len() / 2).collect();
        (Just(said), Just(order).prop_shuffle())
    })
}

/// Items that several messages of one time say have no order.
fn sorted(mut patient: Value) -> Value {
    if let Some(contacts) = patient["contact"].as_array_mut() {
        contacts.sort_by_key(Value::to_string);
    }
    patient
}

fn random(at: i64, choice: &[u8; 6]) -> Said {
    let mut patient = json!({"resourceType": "Patient"});
    let mut deletes = Vec::new();
    let values = [
        ("name", json!([{"family": format!("F{}", choice[0] % 3)}])),
        ("birthDate", json!(format!("195{}-01-01", choice[1] % 3))),
        ("address", json!([{"city": format!("C{}", choice[2] % 3)}])),
        (
            "maritalStatus",
            json!({"text": format!("M{}", choice[3] % 3)}),
        ),
        ("deceasedBoolean", json!(choice[4].is_multiple_of(2))),
        (
            "contact",
            json!([{"name": {"text": format!("K{}", choice[5] % 3)}}]),
        ),
    ];
    for ((name, value), choice) in values.into_iter().zip(choice) {
        match choice / 3 % 3 {
            0 => patient[name] = value,
            1 => deletes.push(name),
            _ => {}
        }
    }
    said(at, &[(patient, &deletes.join(" "))])
}

#[test]
fn any_messages_end_the_same_in_any_order_and_number() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start());
    let port = server.port();
    let number = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config {
        cases: 100,
        ..Config::default()
    });
    let outcome = runner.run(&messages(), |(said, order)| {
        runtime.block_on(async {
            number.set(number.get() + 1);
            let (one, other) = (format!("A{}", number.get()), format!("B{}", number.get()));
            for (step, what) in said.iter().enumerate() {
                send(&port, &bundle(what, &one), &format!("{one}/{step}")).await;
            }
            for (step, what) in order.iter().enumerate() {
                send(
                    &port,
                    &bundle(&said[*what], &other),
                    &format!("{other}/{step}"),
                )
                .await;
            }
            let first = current(&server, "Patient", &one).await;
            let second = current(&server, "Patient", &other).await;
            assert_eq!(sorted(first), sorted(second));
        });
        Ok(())
    });
    drop(port);
    runtime.block_on(async { drop(server) });
    outcome.unwrap();
}

#[tokio::test]
async fn what_came_late_is_history_with_a_tag_and_nobody_is_told() {
    let server = Server::start().await;
    let port = server.port();
    let stay = stay();
    let place = FhirPlace::End;
    let wanted = |after| FhirWanted {
        types: vec!["Patient".to_owned()],
        query: String::new(),
        after,
        max: 100,
    };
    let begin = port.changes("", wanted(place)).await.unwrap().to;
    let newest = said(90, &[(stay[0].resources[0].0.clone(), "")]);
    let older = said(
        80,
        &[(
            json!({"resourceType": "Patient", "name": [{"family": "Old"}]}),
            "",
        )],
    );
    send(&port, &bundle(&newest, "L"), "l1").await;
    send(&port, &bundle(&older, "L"), "l2").await;
    let patient = current(&server, "Patient", "L").await;
    assert_eq!(patient["name"][0]["family"], "Ames");
    let told = port
        .changes("", wanted(FhirPlace::Number(begin)))
        .await
        .unwrap();
    assert_eq!(told.changes.len(), 1, "{told:?}");

    let found = server
        .get(&format!("/Patient?identifier={MRN}%7CL"))
        .await
        .json();
    let id = found["entry"][0]["resource"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let history = server.get(&format!("/Patient/{id}/_history")).await.json();
    let versions = history["entry"].as_array().unwrap();
    let family = |at: usize| versions[at]["resource"]["name"][0]["family"].clone();
    let late = |at: usize| versions[at]["resource"]["meta"]["tag"][0]["code"].clone();
    assert_eq!(versions.len(), 3);
    assert_eq!((family(0), late(0)), (json!("Ames"), Value::Null));
    assert_eq!((family(1), late(1)), (json!("Old"), json!("late")));
    assert_eq!((family(2), late(2)), (json!("Ames"), Value::Null));
    let old = server.get("/Patient?name=Old").await.json();
    assert_eq!(old["total"], 0);
    let tagged = server
        .get("/Patient?_tag=urn:hilum:as-of%7Clate")
        .await
        .json();
    assert_eq!(tagged["total"], 0);

    // The same message again says nothing new.
    send(&port, &bundle(&newest, "L"), "l3").await;
    let history = server.get(&format!("/Patient/{id}/_history")).await.json();
    assert_eq!(history["entry"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn an_application_writes_when_it_comes() {
    let server = Server::start().await;
    let port = server.port();
    let first = said(10, &[(stay()[0].resources[0].0.clone(), "")]);
    send(&port, &bundle(&first, "P"), "p1").await;
    let found = server
        .get(&format!("/Patient?identifier={MRN}%7CP"))
        .await
        .json();
    let mut patient = found["entry"][0]["resource"].clone();
    let id = patient["id"].as_str().unwrap().to_owned();
    // The clinic's application takes the address away and changes the name.
    patient.as_object_mut().unwrap().remove("address");
    patient["name"] = json!([{"family": "Clinic"}]);
    assert_eq!(
        server.put(&format!("/Patient/{id}"), &patient).await.status,
        200
    );
    let older = said(20, &[(stay()[0].resources[0].0.clone(), "")]);
    send(&port, &bundle(&older, "P"), "p2").await;
    let now = current(&server, "Patient", "P").await;
    assert_eq!(now["name"][0]["family"], "Clinic");
    assert!(now.get("address").is_none(), "{now}");
    let newer = said(4_000_000_000_000, &[(stay()[0].resources[0].0.clone(), "")]);
    send(&port, &bundle(&newer, "P"), "p3").await;
    let now = current(&server, "Patient", "P").await;
    assert_eq!(now["name"][0]["family"], "Ames");
    assert_eq!(now["address"][0]["city"], "Berne");
}

#[tokio::test]
async fn nothing_preliminary_comes_back_over_a_final_result() {
    let server = Server::start().await;
    let port = server.port();
    let result = |at, status: &str, value: Option<u32>, more: Value| {
        let mut result =
            json!({"resourceType": "Observation", "status": status, "code": {"text": "K"}});
        if let Some(value) = value {
            result["valueQuantity"] = json!({"value": value});
        }
        for (name, value) in more.as_object().unwrap() {
            result[name] = value.clone();
        }
        said(at, &[(result, "")])
    };
    let high = json!({"interpretation": [{"text": "H"}]});
    let all = [
        result(10, "preliminary", Some(1), json!({})),
        result(20, "final", Some(2), high),
        // A clock that is ahead.
        result(90, "preliminary", Some(3), json!({})),
        result(40, "corrected", Some(4), json!({})),
        result(30, "final", Some(2), json!({})),
    ];
    for (at, order) in permutations(all.len()).into_iter().enumerate() {
        let number = format!("O{at}");
        for step in &order {
            send(
                &port,
                &bundle(&all[*step], &number),
                &format!("{number}/{step}"),
            )
            .await;
        }
        let now = current(&server, "Observation", &number).await;
        assert_eq!(now["status"], "corrected", "{order:?}");
        assert_eq!(now["valueQuantity"]["value"], 4);
        assert!(
            now.get("interpretation").is_none(),
            "a flag stays with its value"
        );
    }
    // It was another patient's: the value is withdrawn, in whatever order.
    let withdrawn = result(95, "entered-in-error", None, json!({}));
    for (at, order) in [[0, 1], [1, 0]].iter().enumerate() {
        let number = format!("W{at}");
        let pair = [&all[1], &withdrawn];
        for step in order {
            send(
                &port,
                &bundle(pair[*step], &number),
                &format!("{number}/{step}"),
            )
            .await;
        }
        let now = current(&server, "Observation", &number).await;
        assert_eq!(now["status"], "entered-in-error");
        assert!(now.get("valueQuantity").is_none());
    }
}

#[tokio::test]
async fn what_fills_a_gap_is_replaced_by_who_keeps_it() {
    let server = Server::start().await;
    let port = server.port();
    let told = json!({"resourceType": "Patient", "identifier": [{"system": MRN, "value": "G"}],
                      "name": [{"family": "Lab"}], "gender": "male"});
    let time = json!([{"url": "urn:hilum:as-of", "valueString": "99 99 0"}]);
    let gap = json!({
        "resourceType": "Bundle", "type": "transaction", "meta": {"extension": time},
        "entry": [{"resource": told, "request": {
            "method": "POST", "url": "Patient", "ifNoneExist": format!("identifier={MRN}%7CG")}}],
    });
    let own = said(
        10,
        &[(
            json!({"resourceType": "Patient", "name": [{"family": "Ames"}]}),
            "",
        )],
    );
    send(&port, &gap, "g1").await;
    send(&port, &bundle(&own, "G"), "g2").await;
    send(&port, &gap, "g3").await;
    let now = current(&server, "Patient", "G").await;
    assert_eq!(now["name"][0]["family"], "Ames");
    assert!(now.get("gender").is_none());
}

#[tokio::test]
async fn deliveries_at_once_make_one_resource_with_all_of_it() {
    let server = Server::start().await;
    let stay = stay();
    let mut under_way = Vec::new();
    for round in 0..8 {
        for (step, said) in stay.iter().enumerate() {
            let (port, body) = (server.port(), bundle(said, "R"));
            under_way.push(tokio::spawn(async move {
                send(&port, &body, &format!("r{round}/{step}")).await;
            }));
        }
    }
    for one in under_way {
        one.await.unwrap();
    }
    let patient = current(&server, "Patient", "R").await;
    let visit = current(&server, "Encounter", "R").await;
    assert_eq!(patient["name"][0]["family"], "Ames-Bell");
    assert_eq!(patient["gender"], "female");
    assert!(patient.get("address").is_none());
    assert_eq!(visit["status"], "finished");
    assert_eq!(visit["period"]["start"], "2026-01-01T08:00:00Z");
}
