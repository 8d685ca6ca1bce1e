//! The example sites that turn HL7 v2 into FHIR, over sockets.

mod documents;
mod late;
mod stay;

use std::collections::{BTreeMap, BTreeSet};

use hilum_testkit::http::HttpClient;
use hilum_testkit::mllp::{Client, Receiver};
use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;
use hilum_testkit::wait::until;
use serde_json::Value;

use crate::kit::{Running, copy, json};
use crate::{ends, examples, text};

/// The ports of the examples' channels.
const RESULTS: &str = "26730";
const ADMISSIONS: &str = "26740";
const ORDERS: &str = "26741";
const DOCUMENTS: &str = "26742";
const VACCINATIONS: &str = "26743";

/// The types that conversions make.
const TYPES: &[&str] = &[
    "AllergyIntolerance",
    "Binary",
    "Condition",
    "Device",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Immunization",
    "Location",
    "MessageHeader",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Provenance",
    "RelatedPerson",
    "ServiceRequest",
    "Specimen",
];

/// A node with the channels of some examples, and the systems around it.
struct Hospital {
    folder: SiteFolder,
    at: String,
    fhir: u16,
    ports: BTreeMap<&'static str, u16>,
    ehr: Receiver,
    lis: Receiver,
    node: Running,
}

impl Hospital {
    /// The examples laid over each other: channels, systems and tables in one folder.
    async fn of(names: &[&str]) -> Self {
        let (ehr, lis) = (
            Receiver::start().await.unwrap(),
            Receiver::start().await.unwrap(),
        );
        let channels = [RESULTS, ADMISSIONS, ORDERS, DOCUMENTS, VACCINATIONS];
        let ports: BTreeMap<_, _> = channels.map(|known| (known, free_port().unwrap())).into();
        let mut moved: Vec<(&str, u16)> =
            ports.iter().map(|(known, port)| (*known, *port)).collect();
        moved.extend([
            ("26731", ehr.address().port()),
            ("26732", lis.address().port()),
        ]);
        let folder = SiteFolder::new().unwrap();
        for name in names {
            for below in ["channels", "systems", "tables"] {
                let from = examples().join(name).join(below);
                if from.is_dir() {
                    copy(&from, &folder, &format!("site/{below}"), &moved);
                }
            }
        }
        let [admin, fhir] = [(); 2].map(|()| free_port().unwrap());
        let at = format!("127.0.0.1:{admin}");
        let file = format!(
            "site: hospital\nabout: the examples together\nowner: it@st-elsewhere.example\n\
             zone: Europe/Berlin\nadmin: {at}\nfhir: {{ listen: \"127.0.0.1:{fhir}\" }}\n"
        );
        folder.file("site/hilum.yaml", file).unwrap();
        let (site, data) = (folder.path().join("site"), folder.path().join("data"));
        ends(&["check", text(&site)], 0);
        let mut node = Running::start(&["run", text(&site), "--data", text(&data)]);
        let line = node.line();
        assert!(line.contains("ready"), "{line}");
        Self {
            folder,
            at,
            fhir,
            ports,
            ehr,
            lis,
            node,
        }
    }

    /// Sends a message to the channel of a port; it is taken.
    async fn send(&self, channel: &str, message: &[u8]) {
        let port = self.ports[channel];
        let mut client = Client::connect(("127.0.0.1", port)).await.unwrap();
        let answer = client.exchange(message).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        // In enhanced mode (MSH-15) what is safe is said as CA.
        let taken = ["MSA|AA|", "MSA|CA|"]
            .iter()
            .any(|word| answer.contains(word));
        assert!(taken, "{answer}");
    }

    /// Waits until each destination has delivered that many, and none has a dead letter.
    async fn delivered(&self, expected: &[(&str, u64)]) {
        let mut counts = BTreeMap::new();
        until(&format!("{expected:?} are delivered"), || {
            let status = json(&["status", "--at", &self.at, "--json"]);
            for channel in status["channels"].as_array().unwrap() {
                for to in channel["destinations"].as_array().unwrap() {
                    assert_eq!(to["dead"], 0, "{channel}");
                    let place = format!("{} {}", channel["name"], to["name"]).replace('"', "");
                    counts.insert(place, to["delivered"].as_u64().unwrap());
                }
            }
            let arrived = |(place, count): &(&str, u64)| counts.get(*place) >= Some(count);
            expected.iter().all(arrived)
        })
        .await;
        for (place, count) in expected {
            assert_eq!(counts.get(*place), Some(count), "{place}: {counts:?}");
        }
    }

    async fn read(&self, path: &str) -> String {
        let mut client = HttpClient::connect(([127, 0, 0, 1], self.fhir).into())
            .await
            .unwrap();
        let asked = format!("GET /fhir/{path}");
        let answer = client.exchange(&asked, &[], b"").await.unwrap();
        assert_eq!(answer.status(), Some(200), "{path}: {}", answer.line);
        String::from_utf8(answer.body.to_vec()).unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.read(path).await).unwrap()
    }

    /// What a search finds.
    async fn find(&self, search: &str) -> Vec<Value> {
        let bundle = self.get(search).await;
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        entries
            .into_iter()
            .map(|entry| entry["resource"].clone())
            .collect()
    }

    /// The one resource that a search finds.
    async fn only(&self, search: &str) -> Value {
        let found = self.find(search).await;
        assert_eq!(found.len(), 1, "{search}: {found:?}");
        found.into_iter().next().unwrap()
    }

    /// Everything that the store holds, by type.
    async fn all(&self) -> BTreeMap<&'static str, Vec<Value>> {
        let mut all = BTreeMap::new();
        for ty in TYPES {
            let found = self.find(&format!("{ty}?_count=500")).await;
            if !found.is_empty() {
                all.insert(*ty, found);
            }
        }
        all
    }

    /// All that is stored is valid, and what it refers to is there.
    fn whole(&self, all: &BTreeMap<&str, Vec<Value>>) {
        let resources = || all.values().flatten();
        let named = |resource: &Value| {
            format!("{}/{}", resource["resourceType"], resource["id"]).replace('"', "")
        };
        let known: BTreeSet<String> = resources().map(named).collect();
        for resource in resources() {
            for reference in references(resource) {
                assert!(
                    known.contains(&reference),
                    "{reference} is not there: {resource}"
                );
            }
        }
        let lines: Vec<String> = resources().map(ToString::to_string).collect();
        let file = self.folder.file("all.ndjson", lines.join("\n")).unwrap();
        ends(&["fhir", "validate", text(&file)], 0);
    }
}

/// What a resource refers to.
fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let own = members.get("reference").and_then(Value::as_str);
            let below = members.values().flat_map(references);
            own.map(str::to_owned).into_iter().chain(below).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// The values of a field, one for each of its segments.
fn field(message: &[u8], path: &str) -> Vec<String> {
    let message = String::from_utf8_lossy(message).into_owned();
    let (segment, number) = path.split_once('-').unwrap();
    let (number, component) = number.split_once('.').unwrap_or((number, "1"));
    let [number, component]: [usize; 2] = [number, component].map(|part| part.parse().unwrap());
    let lines = message.split('\r').filter(|line| line.starts_with(segment));
    lines
        .map(|line| {
            let at = number - usize::from(segment == "MSH");
            let field = line.split('|').nth(at).unwrap_or_default();
            field
                .split('^')
                .nth(component - 1)
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
}

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(examples().join(name)).unwrap()
}

/// A text at a JSON pointer.
fn at<'v>(value: &'v Value, pointer: &str) -> &'v str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

/// The code in LOINC, the value and the unit in UCUM of a result.
fn result(observation: &Value) -> (String, String, String) {
    let codings = observation["code"]["coding"].as_array().unwrap();
    let loinc = codings
        .iter()
        .find(|coding| coding["system"] == "http://loinc.org");
    let code = loinc.map_or("-", |coding| at(coding, "/code"));
    let quantity = &observation["valueQuantity"];
    let unit = quantity["code"].as_str().unwrap_or("-");
    if unit != "-" {
        assert_eq!(
            quantity["system"], "http://unitsofmeasure.org",
            "{observation}"
        );
    }
    let value = match &quantity["value"] {
        Value::Null => observation["valueString"]
            .as_str()
            .unwrap_or("-")
            .to_owned(),
        value => format!(
            "{}{value}",
            quantity["comparator"].as_str().unwrap_or_default()
        ),
    };
    (code.to_owned(), value, unit.to_owned())
}

#[tokio::test]
async fn three_laboratories_speak_one_language_in_the_store_and_to_the_record() {
    let hospital = Hospital::of(&["lab-to-fhir"]).await;
    for name in ["north", "south", "poct"] {
        let message = sample(&format!("lab-to-fhir/samples/{name}.hl7"));
        hospital.send(RESULTS, &message).await;
    }
    hospital
        .delivered(&[("results store", 3), ("results ehr", 3)])
        .await;

    let mut found: Vec<_> = hospital
        .find("Observation?_count=100")
        .await
        .iter()
        .map(result)
        .collect();
    found.sort();
    let expected = [
        ("-", "see comment", "-"),
        ("14682-9", "182", "umol/L"),
        ("2160-0", "2.06", "mg/dL"),
        ("2339-0", "96", "mg/dL"),
        ("2823-3", "4.1", "mmol/L"),
        ("2823-3", "<2.0", "mmol/L"),
        ("2951-2", "139", "mmol/L"),
        ("5196-1", "-", "-"),
        // No number is guessed from a comma: the text stays, and the message has a finding.
        ("6298-4", "4,4 mmol/L", "-"),
    ];
    let found: Vec<_> = found
        .iter()
        .map(|(c, v, u)| (c.as_str(), v.as_str(), u.as_str()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(
        hospital
            .find("Observation?code=http://loinc.org|2823-3")
            .await
            .len(),
        2
    );
    assert_eq!(hospital.find("DiagnosticReport").await.len(), 3);
    // The hospital's own number is one patient, whichever laboratory says it.
    assert_eq!(hospital.find("Patient").await.len(), 2);
    hospital.whole(&hospital.all().await);

    let received = hospital.ehr.received();
    let codes: Vec<Vec<String>> = received
        .iter()
        .map(|message| field(message.bytes.as_ref().unwrap(), "OBX-3"))
        .collect();
    assert_eq!(
        codes,
        [
            vec!["2823-3", "2951-2", "14682-9"],
            vec!["2823-3", "2160-0", "5196-1", "1999"],
            vec!["2339-0", "6298-4"],
        ]
    );
    for message in &received {
        let bytes = message.bytes.as_ref().unwrap();
        assert_eq!(field(bytes, "MSH-5"), ["EHR"]);
        assert_eq!(field(bytes, "OBR-4.3")[0], "LN");
    }
}
