//! What identifies a message of FHIR: the Bundle or resource, its patients, visits and orders.
//!
//! A local reference counts as an identifier without authority (`Patient/7`), and so do the type
//! and id of a resource, so that a Patient and what refers to it have one key. References within a
//! Bundle (`urn:uuid:`, `#`) mean nothing outside and are left out.

use hilum_component::Identity;
use hilum_fhir::{Node, Resource};

/// Elements that refer to the patient (FHIR R4 compartmentdefinition-patient.html, its usual ones).
const PATIENT: &[&str] = &["patient", "subject", "beneficiary", "individual", "for"];
/// Elements that refer to the visit.
const VISIT: &[&str] = &["encounter", "context"];
/// Elements that refer to the order.
const ORDER: &[&str] = &["basedOn"];

type Identifiers = Vec<(String, Option<String>)>;

pub(super) fn of(resource: &Resource) -> Identity {
    let root = resource.root();
    let mut identity = Identity {
        message_type: Some(resource.type_name().to_owned()),
        ..Identity::default()
    };
    if resource.type_name() != "Bundle" {
        identity.control_id = resource.id().map(str::to_owned);
        one(root, &mut identity);
        return identity;
    }
    let entries = || root.children_named("entry").filter_map(entry);
    let header = entries()
        .next()
        .filter(|first| first.type_name() == "MessageHeader");
    identity.control_id = root
        .child("identifier")
        .and_then(|identifier| identifier.child_text("value"))
        .or_else(|| header.and_then(|header| header.child_text("id")))
        .or_else(|| resource.id())
        .map(str::to_owned);
    if let Some(source) = header.and_then(|header| header.child("source")) {
        let text = |name| source.child_text(name).unwrap_or_default().to_owned();
        identity.sender = Some((text("name"), text("endpoint")));
    }
    for resource in entries() {
        one(resource, &mut identity);
    }
    identity
}

fn entry(entry: Node<'_>) -> Option<Node<'_>> {
    entry.child("resource")
}

/// Notes what one resource is and refers to.
fn one(resource: Node<'_>, identity: &mut Identity) {
    for (own, names, found) in [
        ("Patient", PATIENT, &mut identity.patients),
        ("Encounter", VISIT, &mut identity.visits),
        ("ServiceRequest", ORDER, &mut identity.orders),
    ] {
        if resource.type_name() == own {
            itself(resource, found);
        }
        for &name in names {
            for reference in resource.children_named(name) {
                referred(reference, own, found);
            }
        }
    }
}

fn itself(resource: Node<'_>, found: &mut Identifiers) {
    for identifier in resource.children_named("identifier") {
        identified(identifier, found);
    }
    if let Some(id) = resource.child_text("id") {
        note(format!("{}/{id}", resource.type_name()), None, found);
    }
}

fn referred(reference: Node<'_>, to: &str, found: &mut Identifiers) {
    let is_to = |text: &&str| {
        text.split('?').next().is_some_and(|path| {
            let mut parts = path.split("/_history/").next().unwrap_or(path).rsplit('/');
            parts
                .next()
                .is_some_and(|id| hilum_fhir::is_id(id.as_bytes()))
                && parts.next() == Some(to)
        })
    };
    if let Some(text) = reference.child_text("reference").filter(is_to) {
        let unversioned = text.split("/_history/").next().unwrap_or(text);
        note(unversioned.to_owned(), None, found);
    }
    let typed = reference.child_text("type").is_none_or(|ty| ty == to);
    if let Some(identifier) = reference.child("identifier").filter(|_| typed) {
        identified(identifier, found);
    }
}

fn identified(identifier: Node<'_>, found: &mut Identifiers) {
    if let Some(value) = identifier.child_text("value") {
        let system = identifier.child_text("system").map(str::to_owned);
        note(value.to_owned(), system, found);
    }
}

fn note(value: String, authority: Option<String>, found: &mut Identifiers) {
    let pair = (value, authority);
    if !found.contains(&pair) {
        found.push(pair);
    }
}
