//! Patients of Synthea, loaded as transactions and counted.

use std::collections::BTreeMap;

use hilum_fhir_server::{Limits, Validate};
use serde_json::Value;

use crate::kit::{Server, encoded, shared, synthea, unpacked};

/// Patients that every run loads; all of them with `HILUM_SYNTHEA=all`.
const PATIENTS: usize = 12;

/// Counts by a value of a resource: what a search must find.
struct Count {
    ty: &'static str,
    param: &'static str,
    /// The values of the parameter that a resource has.
    values: fn(&Value) -> Vec<String>,
}

fn codings(concept: &Value) -> Vec<String> {
    let codings = concept["coding"].as_array().into_iter().flatten();
    codings
        .filter_map(|coding| {
            Some(format!(
                "{}|{}",
                coding["system"].as_str()?,
                coding["code"].as_str()?
            ))
        })
        .collect()
}

fn text(value: &Value) -> Vec<String> {
    value.as_str().map(str::to_owned).into_iter().collect()
}

const COUNTS: [Count; 7] = [
    Count {
        ty: "Observation",
        param: "code",
        values: |r| codings(&r["code"]),
    },
    Count {
        ty: "Observation",
        param: "status",
        values: |r| text(&r["status"]),
    },
    Count {
        ty: "Condition",
        param: "code",
        values: |r| codings(&r["code"]),
    },
    Count {
        ty: "Encounter",
        param: "class",
        values: |r| text(&r["class"]["code"]),
    },
    Count {
        ty: "MedicationRequest",
        param: "status",
        values: |r| text(&r["status"]),
    },
    Count {
        ty: "Patient",
        param: "gender",
        values: |r| text(&r["gender"]),
    },
    Count {
        ty: "Immunization",
        param: "vaccine-code",
        values: |r| codings(&r["vaccineCode"]),
    },
];

#[tokio::test]
async fn bundles_load_as_transactions_and_searches_count_what_the_files_hold() {
    let Some(shared) = shared() else {
        println!("not run: bundles_load_as_transactions (no shared material)");
        return;
    };
    let all = std::env::var("HILUM_SYNTHEA").is_ok_and(|value| value == "all");
    let server = Server::with(Limits::default(), Validate::Off).await;
    let mut types: BTreeMap<String, usize> = BTreeMap::new();
    let mut expected: BTreeMap<(&str, &str, String), usize> = BTreeMap::new();
    for path in synthea(&shared, if all { usize::MAX } else { PATIENTS }) {
        let Some(bytes) = unpacked(&path) else {
            println!("not run: bundles_load_as_transactions (no bzip2)");
            return;
        };
        let bundle: Value = serde_json::from_slice(&bytes).unwrap();
        let answer = server.request("POST", "/", &[], bytes).await;
        let told: String = answer.text().chars().take(2_000).collect();
        assert_eq!(answer.status.as_u16(), 200, "{}: {told}", path.display());
        let answers = answer.json();
        let entries = bundle["entry"].as_array().unwrap();
        let replies = answers["entry"].as_array().unwrap();
        assert_eq!(entries.len(), replies.len());
        for (entry, reply) in entries.iter().zip(replies) {
            let status = reply["response"]["status"].as_str().unwrap();
            assert!(status.starts_with("20"), "{}: {reply}", path.display());
            // What a conditional create found is not there twice.
            if !status.starts_with("201") {
                continue;
            }
            let resource = &entry["resource"];
            let ty = resource["resourceType"].as_str().unwrap();
            *types.entry(ty.to_owned()).or_default() += 1;
            for count in COUNTS.iter().filter(|count| count.ty == ty) {
                let mut values = (count.values)(resource);
                values.sort();
                values.dedup();
                for value in values {
                    *expected.entry((count.ty, count.param, value)).or_default() += 1;
                }
            }
        }
    }
    for (ty, count) in &types {
        let found = server.get(&format!("/{ty}?_summary=count")).await.json();
        assert_eq!(found["total"], *count, "{ty}");
    }
    assert!(expected.len() > 100, "{}", expected.len());
    for ((ty, param, value), count) in &expected {
        let path = format!("/{ty}?{param}={}&_summary=count", encoded(value));
        let found = server.get(&path).await.json();
        assert_eq!(found["total"], *count, "{path}");
    }
    resolved(&server, &types).await;
}

/// No reference is left that names an entry of a bundle or a search, and those to patients and
/// encounters lead to a resource.
async fn resolved(server: &Server, types: &BTreeMap<String, usize>) {
    let mut next = Some("/_history?_count=1000".to_owned());
    while let Some(path) = next {
        let page = server.get(&path).await;
        let text = page.text();
        for sign in [
            "\"reference\":\"urn:uuid:",
            "\"reference\":\"Practitioner?",
            "\"reference\":\"Organization?",
            "\"reference\":\"Location?",
        ] {
            assert!(!text.contains(sign), "{path}: {sign}");
        }
        next = page.link("next");
    }
    for (query, ty) in [
        ("subject:Patient._lastUpdated=gt2000", "Observation"),
        ("subject:Patient.gender=male,female", "Encounter"),
        (
            "encounter:Encounter.status=finished,in-progress",
            "Condition",
        ),
        (
            "service-provider:Organization.name:missing=false",
            "Encounter",
        ),
    ] {
        let found = server
            .get(&format!("/{ty}?{query}&_summary=count"))
            .await
            .json();
        assert_eq!(found["total"], types[ty], "{ty}?{query}");
    }
}
