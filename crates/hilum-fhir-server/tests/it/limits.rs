//! Limits that no other test is just over: what fits is done, one more is refused by name.

use hilum_fhir_server::{Limits, Validate};
use hilum_testkit::wait::PATIENCE;
use serde_json::{Value, json};

use crate::kit::Server;

#[tokio::test]
async fn searches_keep_the_limits_of_lists_keys_links_and_bytes() {
    let limits = Limits {
        search_lists_max: 1,
        sort_keys_max: 2,
        chain_max: 2,
        url_bytes_max: 200,
        ..Limits::default()
    };
    let server = Server::with(limits, Validate::Off).await;
    for id in ["l1", "l2"] {
        server
            .store(
                json!({ "resourceType": "List", "id": id, "status": "current", "mode": "working" }),
            )
            .await;
    }
    // What counts are the bytes of the path and of the query, without the mark between them.
    let url = |bytes: usize| {
        let begin = "/Patient?name=";
        let own = "/fhir".len() + begin.len() - 1;
        format!("{begin}{}", "x".repeat(bytes - own))
    };
    for (path, status, named) in [
        ("/Patient?_list=l1".to_owned(), 200, ""),
        (
            "/Patient?_list=l1,l2".to_owned(),
            400,
            "`_list` has more than 1",
        ),
        ("/Patient?_sort=name,birthdate".to_owned(), 200, ""),
        (
            "/Patient?_sort=name,birthdate,gender".to_owned(),
            400,
            "_sort",
        ),
        (
            "/Observation?subject:Patient.organization.name=x".to_owned(),
            200,
            "",
        ),
        (
            "/Observation?subject:Patient.organization.partof.name=x".to_owned(),
            400,
            "links",
        ),
        (
            "/Patient?_has:Observation:patient:encounter.identifier=x".to_owned(),
            200,
            "",
        ),
        (
            "/Patient?_has:Observation:patient:encounter.service-provider.name=x".to_owned(),
            400,
            "links",
        ),
        (url(200), 200, ""),
        (url(201), 414, "200 bytes"),
    ] {
        let answer = server.get(&path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.told());
        assert!(answer.text().contains(named), "{path}: {}", answer.told());
    }
}

#[tokio::test]
async fn a_head_above_the_limit_is_refused() {
    let limits = Limits {
        head_bytes_max: 4_000,
        ..Limits::default()
    };
    let server = Server::with(limits, Validate::Off).await;
    // What counts is the URL, and of each header its name, its value and four more.
    let (path, host) = ("/fhir/metadata", &server.address);
    let own = path.len() + "host".len() + host.len() + 4 + "connection".len() + "close".len() + 4;
    for (bytes, status) in [(4_000, "200"), (4_001, "431")] {
        let pad = "x".repeat(bytes - own - "pad".len() - 4);
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\npad: {pad}\r\n\r\n"
        );
        let answer = server.raw(&head).await;
        let first = answer.lines().next().unwrap_or_default();
        assert!(
            first.starts_with(&format!("HTTP/1.1 {status}")),
            "{bytes}: {first}"
        );
    }
}

fn many(count: usize) -> Value {
    let entry = |at: usize| {
        json!({
        "resource": { "resourceType": "Patient", "id": format!("n{at}"), "active": true },
        "request": { "method": "PUT", "url": format!("Patient/n{at}") } })
    };
    let entries: Vec<Value> = (0..count).map(entry).collect();
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries })
}

#[tokio::test]
async fn one_job_of_a_kind_more_waits_and_a_file_ends_at_its_bytes() {
    let limits = Limits {
        jobs_running_max: 1,
        job_rest_percent: 1_500,
        export_file_bytes_max: 1,
        ..Limits::default()
    };
    let server = Server::with(limits, Validate::Off).await;
    assert_eq!(server.post("/", &many(600)).await.status, 200);
    let first = server.begin("GET", "/$export?_type=Patient", "").await;
    let second = server.begin("GET", "/$export?_type=Patient", "").await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut waited = false;
    while tokio::time::Instant::now() < deadline {
        let later = server.get(&second).await;
        let earlier = server.get(&first).await;
        if earlier.status != 202 {
            break;
        }
        // The first one goes on after the second was looked at.
        assert_eq!(later.header("x-progress"), "waiting");
        waited = true;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(waited, "the first one was done at once");
    for status in [first, second] {
        let manifest = server.ended(&status).await.json();
        let files = manifest["output"].as_array().unwrap();
        let counts: Vec<_> = files.iter().map(|file| file["count"].as_u64()).collect();
        assert_eq!(counts, [Some(500), Some(100)], "{manifest}");
    }
}

#[tokio::test]
async fn an_export_and_an_erasure_are_about_so_many_and_no_more() {
    let limits = Limits {
        export_patients_max: 2,
        erase_resources_max: 2,
        ..Limits::default()
    };
    let server = Server::with(limits, Validate::Off).await;
    for id in ["p1", "p2", "p3"] {
        server
            .store(json!({ "resourceType": "Patient", "id": id }))
            .await;
    }
    let group = |members: &[&str]| {
        let member = |id: &&str| json!({ "entity": { "reference": format!("Patient/{id}") } });
        json!({ "resourceType": "Group", "id": format!("g{}", members.len()), "type": "person",
            "actual": true, "member": members.iter().map(member).collect::<Vec<_>>() })
    };
    server.store(group(&["p1", "p2"])).await;
    server.store(group(&["p1", "p2", "p3"])).await;
    for (group, status, named) in [("g2", 200, "Patient"), ("g3", 400, "more than 2 patients")] {
        let path = format!("/Group/{group}/$export?_type=Patient");
        let begun = server.begin("GET", &path, "").await;
        let ended = server.ended(&begun).await;
        assert_eq!(ended.status.as_u16(), status, "{}", ended.told());
        assert!(ended.text().contains(named), "{}", ended.text());
    }
    let about = |id: &str, patient: &str| {
        json!({ "resourceType": "Basic", "id": id, "code": { "text": "x" },
            "subject": { "reference": format!("Patient/{patient}") } })
    };
    for (id, patient) in [
        ("b1", "p1"),
        ("b2", "p2"),
        ("b3", "p1"),
        ("b4", "p2"),
        ("b5", "p2"),
    ] {
        server.store(about(id, patient)).await;
    }
    for (patient, status) in [("p1", 200), ("p2", 400)] {
        let path = format!("/Patient/{patient}/$erase?mode=erase");
        let answer = server.request("POST", &path, &[], "").await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.told());
    }
    let kept = server.get("/Basic/b2").await;
    assert_eq!(kept.status, 200, "nothing of it was erased");
}

#[tokio::test]
async fn subscriptions_are_so_many_with_so_many_headers_and_no_more() {
    let server = Server::with(Limits::default(), Validate::Off).await;
    let subscription = |id: &str, status: &str, headers: usize| {
        let mut channel = json!({ "type": "rest-hook", "endpoint": "http://127.0.0.1:9/in" });
        if headers > 0 {
            let headers: Vec<String> = (0..headers).map(|n| format!("X-{n}: a")).collect();
            channel["header"] = headers.into();
        }
        json!({ "resourceType": "Subscription", "id": id, "status": status, "reason": "test",
            "criteria": "Observation?code=a", "channel": channel })
    };
    let most = server
        .put("/Subscription/s", &subscription("s", "requested", 20))
        .await;
    assert_eq!(most.status, 201, "{}", most.told());
    let over = server
        .put("/Subscription/s", &subscription("s", "requested", 21))
        .await;
    assert_eq!(over.status, 422, "{}", over.told());
    assert!(
        over.text().contains("more than 20 headers"),
        "{}",
        over.told()
    );

    let entry = |at: usize| {
        let id = format!("s{at}");
        json!({ "resource": subscription(&id, "requested", 0),
            "request": { "method": "PUT", "url": format!("Subscription/{id}") } })
    };
    let entries: Vec<Value> = (1..1_000).map(entry).collect();
    let all = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
    let stored = server.post("/", &all).await;
    assert_eq!(stored.status, 200, "{}", stored.told());
    let told = server.get("/Subscription/$status").await;
    assert_eq!(told.status, 200, "{}", told.told());
    let over = server
        .put("/Subscription/over", &subscription("over", "requested", 0))
        .await;
    assert_eq!(over.status, 422, "{}", over.told());
    assert!(over.text().contains("active_max"), "{}", over.told());
    // One that is off is only kept, and one that is there may change.
    let off = server
        .put("/Subscription/over", &subscription("over", "off", 0))
        .await;
    assert_eq!(off.status, 201, "{}", off.told());
    let again = server
        .put("/Subscription/s1", &subscription("s1", "requested", 1))
        .await;
    assert_eq!(again.status, 200, "{}", again.told());
    let told = server.get("/Subscription/$status").await;
    assert_eq!(told.status, 400, "{}", told.told());
    assert!(
        told.text().contains("more than 1000 subscriptions"),
        "{}",
        told.told()
    );

    let token = |count: usize| {
        let id = |n: usize| json!({ "name": "id", "valueId": format!("s{}", n + 1) });
        let ids: Vec<Value> = (0..count).map(id).collect();
        json!({ "resourceType": "Parameters", "parameter": ids })
    };
    let over = server
        .post("/Subscription/$get-ws-binding-token", &token(101))
        .await;
    assert_eq!(over.status, 400, "{}", over.told());
    assert!(
        over.text().contains("more than 100 subscriptions"),
        "{}",
        over.told()
    );
}
