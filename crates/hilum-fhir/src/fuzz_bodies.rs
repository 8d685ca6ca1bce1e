//! The bodies of the fuzz targets, as ordinary functions, so that seeds run through them in every
//! test run.
//!
//! Each takes any bytes, and panics only where a promise of this crate is broken.

use std::sync::{Arc, OnceLock};

use hilum_fhirpath::Moment;

use crate::profile::ProfilesBuilder;
use crate::resource::Resource;
use crate::search::{ParamSet, extract};
use crate::snapshot::{Library, with_snapshot};
use crate::validate::{Request, Validator};
use crate::{Limits, Style, json, patch, xml};

static PARAMS: OnceLock<ParamSet> = OnceLock::new();
static VALIDATOR: OnceLock<Validator> = OnceLock::new();

/// What is read is written and read again unchanged, in both forms.
pub fn json(bytes: &[u8]) {
    if let Ok(resource) = json::parse(bytes, &Limits::default()) {
        survives(&resource);
    }
}

/// What is read is written and read again unchanged, in both forms.
pub fn xml(bytes: &[u8]) {
    if let Ok(resource) = xml::parse(bytes, &Limits::default()) {
        survives(&resource);
    }
}

/// A patch leaves a resource or a problem.
pub fn patch(bytes: &[u8]) {
    const PATIENT: &[u8] =
        br#"{"resourceType":"Patient","name":[{"family":"A","given":["B","C"]}]}"#;
    let limits = Limits {
        bytes_max: 100_000,
        ..Limits::default()
    };
    let Ok(patient) = json::parse(PATIENT, &limits) else {
        return;
    };
    if let Ok(patched) = patch::apply_json(&patient, bytes, &limits) {
        survives(&patched);
    }
    if let Ok(parameters) = json::parse(bytes, &limits)
        && let Ok(patched) = patch::apply_fhirpath(&patient, &parameters)
    {
        survives(&patched);
    }
}

/// A definition gives a snapshot or an error, and a profile that a resource can be held against.
pub fn definition(bytes: &[u8]) {
    const PATIENT: &[u8] = br#"{"resourceType":"Patient","identifier":[{"system":"urn:a"},
        {"use":"usual"}],"name":[{"family":"A","given":["B","C"]}],"deceasedBoolean":false}"#;
    let limits = Limits::default();
    let (Ok(definition), Ok(patient)) =
        (json::parse(bytes, &limits), json::parse(PATIENT, &limits))
    else {
        return;
    };
    let url = definition.root().child_text("url").unwrap_or_default();
    let url = url.to_owned();
    let mut library = Library::new();
    library.add(Arc::new(definition.clone()));
    if let Ok(whole) = with_snapshot(&definition, &library) {
        assert!(whole.root().child("snapshot").is_some(), "it has elements");
    }
    let mut profiles = ProfilesBuilder::new();
    profiles.add(definition);
    let profiles = profiles.build();
    let request = Request {
        profiles: &profiles,
        asked: &[&url],
        ..Request::new(Moment::from_unix_millis(0, 0))
    };
    let problems = VALIDATOR
        .get_or_init(Validator::new)
        .validate(&patient, &request);
    assert!(
        problems.len() <= request.problems_max,
        "problems are bounded"
    );
}

fn survives(resource: &Resource) {
    let mut first = Vec::new();
    json::write(resource, Style::Pretty, &mut first);
    let Ok(again) = json::parse(&first, &Limits::default()) else {
        // Indentation alone may take what is written over the limit.
        assert!(
            first.len() > Limits::default().bytes_max,
            "written, it can be read"
        );
        return;
    };
    let mut second = Vec::new();
    json::write(&again, Style::Pretty, &mut second);
    assert!(first == second, "written again, it is the same");

    let mut text = Vec::new();
    xml::write(resource, Style::Compact, &mut text);
    if let Ok(other) = xml::parse(&text, &Limits::default()) {
        let mut again = Vec::new();
        xml::write(&other, Style::Compact, &mut again);
        assert!(text == again, "written again, it is the same");
    }
    for node in resource.nodes() {
        let _read = (node.path(), resource.position(node), node.text());
    }
    let _found = extract(resource, PARAMS.get_or_init(ParamSet::r4));
}
