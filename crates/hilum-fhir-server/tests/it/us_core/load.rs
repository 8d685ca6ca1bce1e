//! The data: examples of US Core and some patients.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, ExitStatus};

use hilum_fhir_server::{Limits, Validate};
use http::StatusCode;
use serde_json::{Value, json};

use super::{Ward, id};
use crate::kit::{Server, synthea, unpacked};

/// Search parameters of US Core that are none of the standard.
const OWN: [(&str, &str, &str); 4] = [
    ("careteam-role", "CareTeam", "role"),
    ("condition-asserted-date", "Condition", "asserted-date"),
    (
        "encounter-discharge-disposition",
        "Encounter",
        "discharge-disposition",
    ),
    ("goal-description", "Goal", "description"),
];

/// A server with the examples of US Core and some patients.
pub(super) async fn load(shared: &Path) -> Option<Ward> {
    let server = Server::with(Limits::default(), Validate::Off).await;
    let folder = tempfile::tempdir().unwrap();
    own_parameters(&server, shared, folder.path()).await?;
    for path in synthea(shared, 2) {
        let answer = server.request("POST", "/", &[], unpacked(&path)?).await;
        assert!(
            answer.status.is_success(),
            "{}: {}",
            path.display(),
            answer.status
        );
    }
    let mut examples: BTreeMap<String, Value> = BTreeMap::new();
    for package in ["us_core_610", "us_core_800"] {
        let mut tar = Command::new("tar");
        tar.arg("-xzf")
            .arg(shared.join(format!("suites/profiles/{package}.tgz")));
        tar.arg("-C").arg(folder.path()).arg("package/example");
        tar.status().ok().filter(ExitStatus::success)?;
        for file in std::fs::read_dir(folder.path().join("package/example")).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            let Ok(resource) = serde_json::from_slice::<Value>(&bytes) else {
                continue;
            };
            if let (Some(ty), Some(id)) =
                (resource["resourceType"].as_str(), resource["id"].as_str())
            {
                examples.insert(format!("{ty}/{id}"), resource);
            }
        }
    }
    let entries: Vec<Value> = examples.iter()
        .map(|(name, resource)| json!({ "resource": resource, "request": { "method": "PUT", "url": name } }))
        .collect();
    let answer = server
        .post(
            "/",
            &json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries }),
        )
        .await;
    for (entry, name) in answer.json()["entry"]
        .as_array()
        .unwrap()
        .iter()
        .zip(examples.keys())
    {
        let status = entry["response"]["status"].as_str().unwrap();
        assert!(status.starts_with("201"), "{name}: {entry}");
    }
    let mut resources: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut next = Some("/_history?_count=1000".to_owned());
    while let Some(path) = next {
        let page = server.get(&path).await;
        for entry in page.json()["entry"].as_array().unwrap() {
            let resource = entry["resource"].clone();
            let name = format!(
                "{}/{}",
                resource["resourceType"].as_str().unwrap(),
                id(&resource)
            );
            if let Some(given) = examples.get(&name) {
                let differ = differences("", &without_meta(&resource), &without_meta(given));
                assert!(differ.is_empty(), "{name}: {differ:?}");
            }
            let ty = resource["resourceType"].as_str().unwrap().to_owned();
            resources.entry(ty).or_default().push(resource);
        }
        next = page.link("next");
    }
    Some(Ward { server, resources })
}

/// A resource without what the server says about it.
fn without_meta(resource: &Value) -> Value {
    let mut resource = resource.clone();
    if let Some(meta) = resource["meta"].as_object_mut() {
        meta.remove("versionId");
        meta.remove("lastUpdated");
        if meta.is_empty() {
            resource.as_object_mut().unwrap().remove("meta");
        }
    }
    resource
}

/// The paths at which two documents differ.
fn differences(path: &str, one: &Value, other: &Value) -> Vec<String> {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            let each = keys.into_iter().flat_map(|key| {
                let none = Value::Null;
                differences(
                    &format!("{path}.{key}"),
                    a.get(key).unwrap_or(&none),
                    b.get(key).unwrap_or(&none),
                )
            });
            each.collect()
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs
                .flat_map(|(at, (a, b))| differences(&format!("{path}[{at}]"), a, b))
                .collect()
        }
        (one, other) if one == other => Vec::new(),
        _ => vec![path.to_owned()],
    }
}

/// Stores the search parameters that US Core brings (that of `asserted-date` is no FHIRPath in the version
/// 6.1.0), and waits until they may be used.
async fn own_parameters(server: &Server, shared: &Path, folder: &Path) -> Option<()> {
    let mut tar = Command::new("tar");
    tar.arg("-xzf")
        .arg(shared.join("suites/profiles/us_core_800.tgz"))
        .arg("-C")
        .arg(folder);
    let files = OWN.map(|(name, _, _)| format!("package/SearchParameter-us-core-{name}.json"));
    tar.args(&files);
    tar.status().ok().filter(ExitStatus::success)?;
    for (file, (name, ty, code)) in files.iter().zip(OWN) {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let path = format!("/SearchParameter/us-core-{name}");
        let answer = server.request("PUT", &path, &[], bytes).await;
        assert!(answer.status.is_success(), "{name}: {}", answer.told());
        while server
            .get(&format!("/{ty}?{code}:missing=true"))
            .await
            .status
            == StatusCode::SERVICE_UNAVAILABLE
        {
            tokio::task::yield_now().await;
        }
    }
    Some(())
}
