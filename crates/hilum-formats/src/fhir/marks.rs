//! What resources say of confidentiality and of test data: `meta.security` (FHIR R4
//! security-labels.html).

use hilum_component::{Labelled, Marks};
use hilum_fhir::{Node, Resource};

/// Test data (HL7 v3 ActReason).
const TEST_DATA: &str = "HTEST";

/// The labels of HL7 v3 Confidentiality, and of ActCode those of sensitive information.
const LABELS: [&str; 32] = [
    "U", "L", "M", "N", "R", "V", "BH", "CEL", "COGN", "DEMO", "DIA", "DOB", "DRGIS", "DVD", "EMP",
    "ETHUD", "GDIS", "HIV", "LOCIS", "MH", "MST", "OPIOIDUD", "PHY", "PRS", "PSY", "PSYTHPN",
    "SDV", "SEX", "SPI", "STD", "SUD", "VIO",
];

pub(super) fn of(resource: &Resource) -> Marks {
    let root = resource.root();
    let mut marks = Marks::default();
    one(root, &mut marks);
    for entry in root.children_named("entry") {
        if let Some(resource) = entry.child("resource") {
            one(resource, &mut marks);
        }
    }
    marks
}

fn one(resource: Node<'_>, marks: &mut Marks) {
    let meta = resource.child("meta").into_iter();
    for security in meta.flat_map(|meta| meta.children_named("security")) {
        let code = security.child_text("code").unwrap_or_default();
        if code == TEST_DATA {
            marks.test = Some("meta.security");
        }
        if let Some(&label) = LABELS.iter().find(|known| **known == code) {
            let field = "meta.security";
            let known = marks.labels.iter().any(|found| found.code == code);
            if !known {
                marks.labels.push(Labelled {
                    field,
                    code: code.to_owned(),
                    labels: vec![label],
                });
            }
        }
    }
}
