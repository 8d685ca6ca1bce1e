//! Synthea's bundles as resources, again and again under new identities.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use hilum_fhir::search::{ParamSet, extract};
use hilum_fhir_store::{Body, Change, Method, Store};

use crate::params::ParamMap;
use serde_json::Value;

/// Unpacks every bundle of a folder into another.
const UNPACK: &str = "import bz2, pathlib, sys
for packed in pathlib.Path(sys.argv[1]).glob('*.json.bz2'):
    pathlib.Path(sys.argv[2], packed.stem).write_bytes(bz2.decompress(packed.read_bytes()))";

/// A resource with its identities as they stand in the file.
pub(crate) struct Template {
    pub(crate) resource_type: String,
    id: String,
    text: String,
    /// Where identities begin in the text.
    places: Vec<usize>,
}

/// What is imported and drawn from.
pub(crate) struct Data {
    patients: Vec<Vec<Template>>,
    pub(crate) values: Vec<Value>,
}

impl Data {
    pub(crate) fn read() -> Option<Self> {
        let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
        let shared = std::env::var_os("HILUM_SHARED").map_or(PathBuf::from(default), PathBuf::from);
        let from = shared.join("suites/synthea-r4");
        if !from.is_dir() {
            return None;
        }
        let unpacked = tempfile::tempdir().unwrap();
        let args = [&from, unpacked.path()];
        let status = Command::new("python3")
            .args(["-c", UNPACK])
            .args(args)
            .status();
        assert!(status.unwrap().success());
        let mut files: Vec<_> = std::fs::read_dir(unpacked.path())
            .unwrap()
            .map(|f| f.unwrap().path())
            .collect();
        files.sort();
        let (mut patients, mut values) = (Vec::new(), Vec::new());
        for file in files {
            let (templates, found) = bundle(&file);
            if templates.iter().any(|one| one.resource_type == "Patient") {
                patients.push(templates);
                values.extend(found);
            }
        }
        Some(Self { patients, values })
    }

    pub(crate) fn patients(&self) -> usize {
        self.patients.len()
    }

    /// Rounds that make about as many resources.
    pub(crate) fn rounds(&self, resources: usize) -> usize {
        let of_round: usize = self.patients.iter().map(Vec::len).sum();
        resources.div_ceil(of_round)
    }

    /// The id of a patient's resource of a round.
    pub(crate) fn id(&self, patient: usize, at: usize, round: usize) -> String {
        renamed(&self.patients[patient][at].id, round)
    }

    pub(crate) fn patient_id(&self, patient: usize, round: usize) -> String {
        let at = self.first(patient, "Patient").unwrap();
        self.id(patient, at, round)
    }

    pub(crate) fn first(&self, patient: usize, of: &str) -> Option<usize> {
        self.patients[patient]
            .iter()
            .position(|one| one.resource_type == of)
    }

    pub(crate) fn changes(
        &self,
        store: &Store,
        map: &ParamMap,
        params: &ParamSet,
        patient: usize,
        round: usize,
    ) -> Vec<Change> {
        let catalog = store.catalog();
        let change = |one: &Template| {
            let mut text = one.text.clone().into_bytes();
            for place in &one.places {
                let head = renamed(&one.text[*place..*place + 8], round);
                text[*place..*place + 8].copy_from_slice(head.as_bytes());
            }
            let resource = hilum_fhir::json::parse(&text, &hilum_fhir::Limits::default()).unwrap();
            let rows = map.rows(extract(&resource, params).values);
            let body = Body {
                bytes: text.into(),
                splice: 1,
                wrap: true,
                comma: true,
                ..Body::default()
            };
            Change {
                resource_type: catalog.resource_type(&one.resource_type).unwrap(),
                id: renamed(&one.id, round),
                method: Method::Update { body, rows },
            }
        };
        self.patients[patient].iter().map(change).collect()
    }
}

/// Eight hexadecimal digits become others in each round.
fn renamed(id: &str, round: usize) -> String {
    let head = u32::from_str_radix(&id[..8], 16).unwrap();
    let turn = u32::try_from(round).unwrap().wrapping_mul(0x9E37_79B1);
    format!("{:08x}{}", head ^ turn, &id[8..])
}

fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

fn bundle(file: &Path) -> (Vec<Template>, Vec<Value>) {
    let bundle: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let entries = bundle["entry"].as_array().unwrap();
    let mut names: HashMap<String, String> = HashMap::new();
    for entry in entries {
        let resource = &entry["resource"];
        let (of, id) = (
            resource["resourceType"].as_str().unwrap(),
            resource["id"].as_str().unwrap(),
        );
        names.insert(
            entry["fullUrl"].as_str().unwrap().to_owned(),
            format!("{of}/{id}"),
        );
    }
    let mut templates = Vec::new();
    let mut values = Vec::new();
    for entry in entries {
        let mut resource = entry["resource"].clone();
        relink(&mut resource, &names);
        let text = resource.to_string();
        let windows = text.as_bytes().windows(36).enumerate();
        let places = windows
            .filter(|(_, window)| is_uuid(window))
            .map(|(at, _)| at)
            .collect();
        templates.push(Template {
            resource_type: resource["resourceType"].as_str().unwrap().to_owned(),
            id: resource["id"].as_str().unwrap().to_owned(),
            text,
            places,
        });
        values.push(resource);
    }
    (templates, values)
}

/// References inside the bundle become local ones, conditional ones too (by their identifier).
fn relink(value: &mut Value, names: &HashMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "reference" => {
                        if let Some(local) = names.get(text) {
                            text.clone_from(local);
                        } else if let Some((of, condition)) = text.clone().split_once('?') {
                            let id = condition.rsplit('|').next().unwrap();
                            *text = format!("{of}/{id}");
                        }
                    }
                    other => relink(other, names),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| relink(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
