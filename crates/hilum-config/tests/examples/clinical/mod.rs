//! What is written correctly and can harm a patient.

mod authorities;
mod resources;
mod searches;
mod statuses;
mod stepped;
mod topics;
mod values;

use hilum_config::Diagnostic;

use crate::kit::loaded;

const LIS: &str = "system: lis\nidentifiers: [{ authority: LAB, type: PI }]\n";
const EHR: &str = "system: ehr\naddresses: { mllp: 127.0.0.1:2576 }\nidentifiers: [{ authority: STE, type: MR }]\n";

/// What is said about a site of these files, without systems that nobody uses.
fn problems(files: &[(&str, &str)]) -> Vec<Diagnostic> {
    let site = [
        ("hilum.yaml", "site: a\nfhir: {}\n"),
        ("systems/lis.yaml", LIS),
        ("systems/ehr.yaml", EHR),
    ];
    let own = site
        .iter()
        .filter(|(path, _)| files.iter().all(|(other, _)| other != path));
    let found = loaded(
        own.chain(files)
            .map(|(path, text)| (*path, (*text).to_owned())),
    );
    let kept = |d: &Diagnostic| d.code != "W0308";
    found.diagnostics.into_iter().filter(kept).collect()
}

/// A channel of results with more keys: code and message of what is said about it.
fn said(keys: &str) -> Vec<(&'static str, String)> {
    let to = if keys.starts_with("to:") || keys.contains("\nto:") {
        ""
    } else {
        "to: { ehr: { mllp: { system: ehr } } }\n"
    };
    let channel = format!(
        "channel: a\nfrom: {{ mllp: {{ system: lis, listen: 127.0.0.1:0 }} }}\nformat: hl7v2\n{keys}{to}"
    );
    let found = problems(&[("channels/a.yaml", &channel)]);
    let clinical = found
        .into_iter()
        .filter(|d| !matches!(d.code, "W0305" | "W0306"));
    clinical.map(|d| (d.code, d.message)).collect()
}
