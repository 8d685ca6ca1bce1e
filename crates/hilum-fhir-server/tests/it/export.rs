//! `$export` (Bulk Data Access IG 2.0.0).

use hilum_fhir_server::{Limits, Validate};
use serde_json::{Value, json};

use crate::kit::Server;

const ASYNC: [(&str, &str); 1] = [("prefer", "respond-async")];

fn patient(id: &str, family: &str) -> Value {
    json!({ "resourceType": "Patient", "id": id, "name": [{ "family": family }], "active": true })
}

fn observation(id: &str, subject: &str, code: &str) -> Value {
    json!({ "resourceType": "Observation", "id": id, "status": "final",
        "code": { "coding": [{ "system": "urn:c", "code": code }] },
        "subject": { "reference": subject } })
}

/// Two patients with observations, a group of the first, a device without a patient.
async fn filled() -> Server {
    fill(Server::start().await).await
}

async fn fill(server: Server) -> Server {
    for resource in [
        patient("p1", "Ames"),
        patient("p2", "Berg"),
        patient("p3", "Cole"),
        observation("o1", "Patient/p1", "a"),
        observation("o2", "Patient/p2", "a"),
        observation("o3", "Patient/p2", "b"),
        observation("o4", "Device/d1", "b"),
        json!({ "resourceType": "Device", "id": "d1" }),
        json!({ "resourceType": "Group", "id": "g1", "type": "person", "actual": true, "member": [
            { "entity": { "reference": "Patient/p1" } },
            { "entity": { "reference": "Patient/p3" } },
            { "entity": { "reference": "Patient/p2" }, "inactive": true } ] }),
    ] {
        server.store(resource).await;
    }
    server
}

fn names(lines: &[Value]) -> Vec<String> {
    let name = |line: &Value| {
        format!(
            "{}/{}",
            line["resourceType"].as_str().unwrap(),
            line["id"].as_str().unwrap()
        )
    };
    lines.iter().map(name).collect()
}

async fn exported(server: &Server, path: &str) -> Vec<String> {
    let status = server.begin("GET", path, "").await;
    let manifest = server.ended(&status).await.json();
    names(&server.lines(&manifest, "output").await)
}

#[tokio::test]
async fn the_system_is_exported_as_it_was_when_it_was_asked_for() {
    let server = filled().await;
    let status = server.begin("GET", "/$export", "").await;
    // Whatever comes later is not in it, although the work may not have begun.
    server.store(patient("p1", "Later")).await;
    server.store(patient("p9", "Later")).await;
    server.request("DELETE", "/Patient/p2", &[], "").await;
    let done = server.ended(&status).await;
    assert_eq!(done.status, 200, "{}", done.told());
    assert_eq!(
        done.header("content-type"),
        "application/json; charset=utf-8"
    );
    assert!(done.header("expires").ends_with("GMT"));
    let manifest = done.json();
    assert_eq!(manifest["requiresAccessToken"], false);
    assert_eq!(manifest["request"], format!("{}/$export", server.base()));
    assert_eq!(
        (&manifest["deleted"], &manifest["error"]),
        (&json!([]), &json!([]))
    );
    let lines = server.lines(&manifest, "output").await;
    assert_eq!(
        names(&lines),
        [
            "Device/d1",
            "Group/g1",
            "Observation/o1",
            "Observation/o2",
            "Observation/o3",
            "Observation/o4",
            "Patient/p1",
            "Patient/p2",
            "Patient/p3",
        ]
    );
    assert_eq!(lines[6]["name"][0]["family"], "Ames");
    assert_eq!(lines[6]["meta"]["versionId"], "1");

    // What changed since then comes next time, with what is gone.
    let since = manifest["transactionTime"].as_str().unwrap();
    let status = server
        .begin("GET", &format!("/$export?_since={since}"), "")
        .await;
    let manifest = server.ended(&status).await.json();
    let lines = server.lines(&manifest, "output").await;
    assert_eq!(names(&lines), ["Patient/p1", "Patient/p9"]);
    let deleted = server.lines(&manifest, "deleted").await;
    assert_eq!(manifest["deleted"][0]["type"], "Bundle");
    assert_eq!(deleted[0]["type"], "transaction");
    assert_eq!(
        deleted[0]["entry"][0]["request"],
        json!({ "method": "DELETE", "url": "Patient/p2" })
    );
    let earlier = format!("/$export?_type=Patient&_until={since}");
    assert_eq!(
        exported(&server, &earlier).await,
        ["Patient/p1", "Patient/p2", "Patient/p3"]
    );
}

#[tokio::test]
async fn types_filters_and_elements_limit_it() {
    let server = filled().await;
    let some = "/$export?_type=Device,Patient&_outputFormat=ndjson";
    let some = exported(&server, some).await;
    assert_eq!(
        some,
        ["Device/d1", "Patient/p1", "Patient/p2", "Patient/p3"]
    );
    // A value with a comma, two filters of one type, a type without a filter.
    let some = "/$export?_type=Patient,Observation,Device&_typeFilter=Patient%3Fname%3DAmes%2CBerg,\
                Observation%3Fcode%3Da&_typeFilter=Observation%3Fsubject%3DDevice%2Fd1";
    let some = exported(&server, some).await;
    assert_eq!(
        some,
        [
            "Device/d1",
            "Observation/o1",
            "Observation/o2",
            "Observation/o4",
            "Patient/p1",
            "Patient/p2"
        ]
    );
    let elements = "/$export?_type=Patient,Device&_elements=Patient.name";
    let status = server.begin("GET", elements, "").await;
    let manifest = server.ended(&status).await.json();
    let lines = server.lines(&manifest, "output").await;
    assert!(lines[0]["meta"].get("tag").is_none(), "{}", lines[0]);
    assert_eq!(lines[1]["name"][0]["family"], "Ames");
    assert_eq!(lines[1]["active"], Value::Null);
    assert_eq!(lines[1]["meta"]["tag"][0]["code"], "SUBSETTED");
}

#[tokio::test]
async fn patients_and_groups_are_exported_with_what_belongs_to_them() {
    let server = filled().await;
    let all = [
        "Observation/o1",
        "Observation/o2",
        "Observation/o3",
        "Patient/p1",
        "Patient/p2",
        "Patient/p3",
    ];
    // Group is in the compartment as well, by its members.
    let patients = exported(&server, "/Patient/$export?_type=Patient,Observation").await;
    assert_eq!(patients, all);
    let everything = exported(&server, "/Patient/$export").await;
    assert_eq!(everything.len(), all.len() + 1, "{everything:?}");
    let filtered = "/Patient/$export?_type=Observation&_typeFilter=Observation%3Fcode%3Db";
    assert_eq!(exported(&server, filtered).await, ["Observation/o3"]);
    let group = exported(&server, "/Group/g1/$export?_type=Patient,Observation").await;
    assert_eq!(group, ["Observation/o1", "Patient/p1", "Patient/p3"]);

    let parameters = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "_type", "valueString": "Patient,Observation" },
        { "name": "patient", "valueReference": { "reference": "Patient/p2" } },
        { "name": "patient", "valueReference": { "reference": "Patient/p3" } } ] });
    let status = server
        .begin("POST", "/Patient/$export", parameters.to_string())
        .await;
    let manifest = server.ended(&status).await.json();
    let lines = server.lines(&manifest, "output").await;
    assert_eq!(
        names(&lines),
        [
            "Observation/o2",
            "Observation/o3",
            "Patient/p2",
            "Patient/p3"
        ]
    );

    // A deletion belongs to whom the resource belonged.
    let since = manifest["transactionTime"].as_str().unwrap().to_owned();
    for id in ["o1", "o3", "o4"] {
        server
            .request("DELETE", &format!("/Observation/{id}"), &[], "")
            .await;
    }
    for (path, expected) in [
        (
            "/Patient/$export",
            &["Observation/o1", "Observation/o3"][..],
        ),
        ("/Group/g1/$export", &["Observation/o1"]),
        (
            "/$export",
            &["Observation/o1", "Observation/o3", "Observation/o4"],
        ),
    ] {
        let status = server
            .begin("GET", &format!("{path}?_since={since}"), "")
            .await;
        let manifest = server.ended(&status).await.json();
        let deleted = server.lines(&manifest, "deleted").await;
        let urls = deleted
            .iter()
            .map(|line| line["entry"][0]["request"]["url"].as_str().unwrap());
        assert_eq!(urls.collect::<Vec<_>>(), expected, "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_exported_so_is_refused_by_name() {
    let server = filled().await;
    for (path, named) in [
        ("/$export?_type=Patiant", "Patient"),
        ("/$export?_typ=Patient", "_type"),
        ("/$export?_since=yesterday", "_since"),
        ("/$export?_outputFormat=csv", "_outputFormat"),
        ("/$export?_typeFilter=Patient%3Fcolour%3Dred", "colour"),
        (
            "/$export?_type=Device&_typeFilter=Patient%3Fname%3Dx",
            "_typeFilter",
        ),
        ("/$export?_typeFilter=Patient%3F_count%3D1", "_count"),
        ("/$export?_elements=Patient.colour", "colour"),
        (
            "/$export?includeAssociatedData=LatestProvenanceResources",
            "includeAssociatedData",
        ),
        ("/$export?patient=Patient/p1", "patient"),
        ("/Patient/$export?patient=Patient/p1", "POST"),
        ("/Patient/$export?_type=Device", "Device"),
    ] {
        let refused = server.request("GET", path, &ASYNC, "").await;
        assert_eq!(refused.status, 400, "{path}: {}", refused.told());
        let text = refused.json()["issue"][0]["diagnostics"].to_string();
        assert!(text.contains(named), "{path}: {text}");
    }
    let unready = server.get("/$export").await;
    assert_eq!(unready.status, 400);
    assert!(unready.text().contains("respond-async"));
    let none = server
        .request("GET", "/Group/none/$export", &ASYNC, "")
        .await;
    assert_eq!(none.status, 404);
    let lenient = [("prefer", "respond-async, handling=lenient")];
    let path = "/$export?includeAssociatedData=x&_type=Patient,Patiant";
    let begun = server.request("GET", path, &lenient, "").await;
    assert_eq!(begun.status, 202, "{}", begun.told());
}

#[tokio::test]
async fn files_are_packed_ended_and_forgotten() {
    let limits = Limits {
        export_file_resources_max: 500,
        jobs_max: 2,
        ..Limits::default()
    };
    let server = fill(Server::with(limits, Validate::Off).await).await;
    let entry = |at: usize| {
        let mut patient = patient(&format!("n{at}"), "Many");
        patient["address"] = json!([{ "text": "x".repeat(100) }]);
        json!({ "resource": patient, "request": { "method": "PUT", "url": format!("Patient/n{at}") } })
    };
    let entries: Vec<Value> = (0..1_200).map(entry).collect();
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
    assert_eq!(server.post("/", &bundle).await.status, 200);
    let status = server.begin("GET", "/$export?_type=Patient", "").await;
    let manifest = server.ended(&status).await.json();
    let counts: Vec<_> = manifest["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["count"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [500, 500, 203]);
    assert_eq!(server.lines(&manifest, "output").await.len(), 1_203);
    let path = manifest["output"][0]["url"]
        .as_str()
        .unwrap()
        .split_once("/fhir")
        .unwrap()
        .1;
    let plain = server.get(path).await;
    assert_eq!(plain.header("content-length"), plain.body.len().to_string());
    for coding in ["gzip", "zstd"] {
        let packed = server
            .request("GET", path, &[("accept-encoding", coding)], "")
            .await;
        assert_eq!(packed.header("content-encoding"), coding);
        assert!(packed.body.len() * 3 < plain.body.len());
        let unpacked = match coding {
            "gzip" => {
                let mut out = Vec::new();
                std::io::Read::read_to_end(
                    &mut flate2::read::GzDecoder::new(&packed.body[..]),
                    &mut out,
                )
                .unwrap();
                out
            }
            _ => zstd::decode_all(&packed.body[..]).unwrap(),
        };
        assert_eq!(unpacked, plain.body);
    }
    let head = server.request("HEAD", path, &[], "").await;
    assert_eq!(
        (head.header("content-length"), head.body.len()),
        (plain.header("content-length"), 0)
    );
    for other in ["/x.ndjson", "/..%2F..%2Ffhir.db", "/Patient.list"] {
        let none = server.get(&format!("{status}{other}")).await;
        assert!(
            none.status == 404 || none.status == 400,
            "{other}: {}",
            none.told()
        );
    }
    let bundled = json!({ "resourceType": "Bundle", "type": "batch", "entry": [
        { "request": { "method": "GET", "url": path.trim_start_matches('/') } }] });
    let bundled = server.post("/", &bundled).await.json();
    assert_eq!(bundled["entry"][0]["response"]["status"], "400 Bad Request");

    let second = server.begin("GET", "/$export?_type=Device", "").await;
    let third = server.request("GET", "/$export", &ASYNC, "").await;
    assert_eq!(third.status, 429, "{}", third.told());
    assert_ne!(third.header("retry-after"), "");
    for status in [&status, &second] {
        let ended = server.request("DELETE", status, &[], "").await;
        assert_eq!(ended.status, 202, "{}", ended.told());
        assert_eq!(server.get(status).await.status, 404);
        assert_eq!(server.request("DELETE", status, &[], "").await.status, 404);
    }
    assert_eq!(server.get(path).await.status, 404);
    assert_eq!(server.job_folders(), 0);
}

#[tokio::test]
async fn a_job_that_was_cut_off_goes_on_and_an_old_one_is_forgotten() {
    let limits = Limits {
        export_file_resources_max: 1,
        job_rest_percent: 1_000_000,
        ..Limits::default()
    };
    let server = fill(Server::with(limits, Validate::Off).await).await;
    // It rests so long that it is surely not done.
    let status = server.begin("GET", "/$export", "").await;
    server.store(patient("p9", "Later")).await;
    let server = server.again().await;
    let manifest = server.ended(&status).await.json();
    assert_eq!(server.lines(&manifest, "output").await.len(), 9);
    let limits = Limits {
        job_kept: std::time::Duration::from_secs(1),
        ..Limits::default()
    };
    let server = server.again_with(limits).await;
    // The clock of the tests goes on when it is looked at.
    for _ in 0..100 {
        server.store(patient("p9", "Later")).await;
    }
    // Any other job makes the runner look.
    server.begin("GET", "/$export?_type=Device", "").await;
    for _ in 0..6_000 {
        if server.get(&status).await.status == 404 && server.job_folders() <= 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the job is not forgotten");
}

/// What an export tells of itself until it is done.
async fn told(server: &Server, path: &str) -> Vec<String> {
    let status = server.begin("GET", path, "").await;
    let deadline = tokio::time::Instant::now() + 2 * hilum_testkit::wait::PATIENCE;
    let mut told: Vec<String> = Vec::new();
    while tokio::time::Instant::now() < deadline {
        let answer = server.get(&status).await;
        if answer.status != 202 {
            assert_eq!(answer.status, 200, "{path}: {}", answer.told());
            return told;
        }
        let progress = answer.header("x-progress");
        if told.last().is_none_or(|last| last != progress) {
            told.push(progress.to_owned());
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{path} does not end: {told:?}");
}

#[tokio::test]
async fn an_export_tells_how_much_of_how_much_is_done() {
    let limits = Limits {
        export_file_resources_max: 1,
        // Between two files it rests for long enough to be asked.
        job_rest_percent: 1_500,
        ..Limits::default()
    };
    let server = fill(Server::with(limits, Validate::Off).await).await;
    let entry = |at: usize| {
        json!({ "resource": patient(&format!("n{at}"), "Many"),
        "request": { "method": "PUT", "url": format!("Patient/n{at}") } })
    };
    let entries: Vec<Value> = (0..600).map(entry).collect();
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
    assert_eq!(server.post("/", &bundle).await.status, 200);
    for (path, expected) in [
        (
            "/$export?_type=Device,Patient",
            "501 of 604 resources exported, 1 of 2 types done",
        ),
        (
            "/$export?_type=Device,Patient&_typeFilter=Patient%3Fname%3DMany",
            "501 of 601 resources exported, 1 of 2 types done",
        ),
        (
            "/Group/g1/$export?_type=Observation,Patient",
            "1 of 3 resources exported, 0 of 2 types done",
        ),
        (
            "/$export?_type=Device,Patient&_since=2020-01-01T00:00:00Z",
            "501 resources exported, 1 of 2 types done",
        ),
        (
            "/Patient/$export?_type=Observation,Patient",
            "503 resources exported, 1 of 2 types done",
        ),
    ] {
        let told = told(&server, path).await;
        assert!(
            told.iter().any(|text| text == expected),
            "{path}: {told:#?}"
        );
    }
}
