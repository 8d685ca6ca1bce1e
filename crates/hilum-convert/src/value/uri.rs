//! Systems of identifiers and codes as URIs.

use std::collections::BTreeMap;

use hilum_fhir::systems::url_of_oid;

use super::{encode, systems};

/// Whether a text is an OID: digits in arcs, the first 0 to 2.
fn is_oid(text: &str) -> bool {
    let mut arcs = text.split('.');
    let first = arcs
        .next()
        .is_some_and(|arc| matches!(arc, "0" | "1" | "2"));
    let mut count = 0;
    let rest = arcs.all(|arc| {
        count += 1;
        let digits = !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit());
        digits && (arc == "0" || !arc.starts_with('0'))
    });
    first && rest && count > 0
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_uri(text: &str) -> bool {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let mut bytes = scheme.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && scheme.len() > 1
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        && !text.contains(char::is_whitespace)
}

/// A universal id as the URI that its type makes it (HL7 table 0301).
pub(crate) fn universal(id: &str, ty: &str) -> Option<String> {
    let id = id.trim();
    if id.is_empty() {
        return None;
    }
    let oid = id.strip_prefix("urn:oid:").unwrap_or(id);
    let uuid = id.strip_prefix("urn:uuid:").unwrap_or(id);
    let uri = match ty.trim().to_ascii_uppercase().as_str() {
        "ISO" if is_oid(oid) => format!("urn:oid:{oid}"),
        "UUID" | "GUID" if is_uuid(uuid) => format!("urn:uuid:{}", uuid.to_ascii_lowercase()),
        _ if is_oid(oid) => format!("urn:oid:{oid}"),
        _ if is_uuid(uuid) => format!("urn:uuid:{}", uuid.to_ascii_lowercase()),
        _ if is_uri(id) => id.to_owned(),
        _ => return None,
    };
    Some(uri)
}

/// A name as a URI of its own kind, so that two names stay two.
fn named(name: &str) -> String {
    let mut uri = String::from("urn:id:");
    encode::percent(name, &mut uri);
    uri
}

/// The system of identifiers that an authority assigns: what the site declares, else the universal
/// id, else the name of the namespace.
pub(crate) fn authority(
    declared: &BTreeMap<String, String>,
    namespace: &str,
    id: &str,
    ty: &str,
) -> Option<String> {
    let (namespace, id) = (namespace.trim(), id.trim());
    for name in [id, namespace] {
        if let Some(uri) = declared.get(name).filter(|_| !name.is_empty()) {
            return Some(uri.clone());
        }
    }
    if let Some(uri) = universal(id, ty) {
        return Some(uri);
    }
    match (namespace, id) {
        ("", "") => None,
        // Senders write the OID into the first component too.
        (namespace, "") => Some(universal(namespace, "").unwrap_or_else(|| named(namespace))),
        ("", id) => Some(named(id)),
        (namespace, _) => Some(named(namespace)),
    }
}

/// The URI of a coding system by the name (HL7 table 0396) or OID that a message gives it: what the
/// `declared` names say, else what the standard knows, else a URI or OID as it is.
#[must_use]
pub fn known_system(declared: &BTreeMap<String, String>, name: &str, oid: &str) -> Option<String> {
    let (name, oid) = (name.trim(), oid.trim());
    for key in [name, oid] {
        if let Some(uri) = declared.get(key).filter(|_| !key.is_empty()) {
            return Some(uri.clone());
        }
    }
    if let Some(uri) = systems::by_name(name) {
        return Some(uri.into_owned());
    }
    if let Some(uri) = url_of_oid(oid.strip_prefix("urn:oid:").unwrap_or(oid)) {
        return Some(uri.to_owned());
    }
    universal(oid, "").or_else(|| universal(name, ""))
}

/// As [`known_system`]; a name that nobody knows is a URI of its own kind (`urn:id:NAME`).
#[must_use]
pub fn system(declared: &BTreeMap<String, String>, name: &str, oid: &str) -> Option<String> {
    let name = name.trim();
    let known = known_system(declared, name, oid);
    known.or_else(|| (!name.is_empty()).then(|| named(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_what_the_site_says_else_what_it_says_itself() {
        let mut declared = BTreeMap::new();
        declared.insert("NORTH".to_owned(), "http://north.example/mrn".to_owned());
        let check = |parts: [&str; 3], expected: Option<&str>| {
            let [namespace, id, ty] = parts;
            assert_eq!(
                authority(&declared, namespace, id, ty).as_deref(),
                expected,
                "{parts:?}"
            );
        };
        check(["NORTH", "1.2.3", "ISO"], Some("http://north.example/mrn"));
        check(["LAB", "1.2.3", "ISO"], Some("urn:oid:1.2.3"));
        check(["LAB", "", ""], Some("urn:id:LAB"));
        check(["LAB 2", "lab.example", "DNS"], Some("urn:id:LAB%202"));
        check(
            ["", "http://lab.example/x", "URI"],
            Some("http://lab.example/x"),
        );
        check(["2.16.840.1", "", ""], Some("urn:oid:2.16.840.1"));
        check(["", "", "ISO"], None);
    }

    #[test]
    fn a_system_is_known_by_name_and_oid() {
        let none = BTreeMap::new();
        let check = |name: &str, oid: &str, expected: Option<&str>| {
            assert_eq!(
                system(&none, name, oid).as_deref(),
                expected,
                "{name} {oid}"
            );
        };
        check("LN", "", Some("http://loinc.org"));
        check(
            "HL70078",
            "",
            Some("http://terminology.hl7.org/CodeSystem/v2-0078"),
        );
        check("", "2.16.840.1.113883.6.1", Some("http://loinc.org"));
        check("99LAB", "", Some("urn:id:99LAB"));
        check("99LAB", "1.2.3", Some("urn:oid:1.2.3"));
        check("", "", None);
    }
}
