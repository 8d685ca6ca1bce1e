//! URIs of authorities and coding systems as v2 names them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hilum_fhir::systems::{V2_TABLE, names_of_url};

/// A text with its `%20` read.
fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let digits = (byte == b'%').then(|| Some((digit(ahead.next()?)?, digit(ahead.next()?)?)));
        match digits.flatten() {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = ahead;
            }
            None => bytes.push(byte),
        }
    }
    match String::from_utf8(bytes) {
        Ok(decoded) => Cow::Owned(decoded),
        Err(_) => Cow::Borrowed(text),
    }
}

fn digit(byte: u8) -> Option<u8> {
    u8::try_from(char::from(byte).to_digit(16)?).ok()
}

/// What a site calls a URI.
fn declared<'a>(names: &'a BTreeMap<String, String>, uri: &str) -> Option<&'a str> {
    let found = names.iter().find(|(_, known)| *known == uri);
    found.map(|(name, _)| name.as_str())
}

fn is_oid(text: &str) -> bool {
    text.contains('.') && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// Namespace, universal id and its type (HL7 table 0301) of the URI of an authority.
pub(super) fn authority<'a>(
    names: &'a BTreeMap<String, String>,
    uri: &'a str,
) -> (Cow<'a, str>, Cow<'a, str>, &'static str) {
    let none = Cow::Borrowed("");
    if let Some(name) = declared(names, uri) {
        return if is_oid(name) {
            (none, Cow::Borrowed(name), "ISO")
        } else {
            (Cow::Borrowed(name), none, "")
        };
    }
    if let Some((_, name, oid)) = AUTHORITIES.iter().find(|(known, ..)| *known == uri) {
        return (Cow::Borrowed(name), Cow::Borrowed(oid), "ISO");
    }
    if let Some(oid) = uri.strip_prefix("urn:oid:") {
        return (none, Cow::Borrowed(oid), "ISO");
    }
    if let Some(uuid) = uri.strip_prefix("urn:uuid:") {
        return (none, Cow::Borrowed(uuid), "UUID");
    }
    if let Some(name) = uri.strip_prefix("urn:id:") {
        return (percent_decoded(name), none, "");
    }
    (none, Cow::Borrowed(uri), "URI")
}

/// The name of a coding system (HL7 table 0396) by its URI: what the `names` declare, else what the
/// standard has.
#[must_use]
pub fn system<'a>(names: &'a BTreeMap<String, String>, uri: &'a str) -> Cow<'a, str> {
    if let Some(name) = declared(names, uri) {
        return Cow::Borrowed(name);
    }
    if let Some(number) = uri.strip_prefix(V2_TABLE) {
        return Cow::Owned(format!("HL7{number}"));
    }
    // HL7 Terminology has the makers of vaccines under a URL of its own, FHIR R4 under this.
    let known = if uri == "http://hl7.org/fhir/sid/mvx" {
        "http://terminology.hl7.org/CodeSystem/MVX"
    } else {
        uri
    };
    if let Some(name) = names_of_url(known).first() {
        return Cow::Borrowed(name);
    }
    if let Some(name) = uri.strip_prefix("urn:id:") {
        return percent_decoded(name);
    }
    Cow::Borrowed(uri.strip_prefix("urn:oid:").unwrap_or(uri))
}

/// Identifiers with a URI of FHIR (FHIR R4 identifier-registry.html): URI, namespace and OID.
const AUTHORITIES: &[(&str, &str, &str)] = &[
    (
        "http://hl7.org/fhir/sid/us-npi",
        "NPI",
        "2.16.840.1.113883.4.6",
    ),
    (
        "http://hl7.org/fhir/sid/us-ssn",
        "SSN",
        "2.16.840.1.113883.4.1",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_become_what_v2_calls_them() {
        let mut names = BTreeMap::new();
        names.insert("NORTH".to_owned(), "http://north.example/mrn".to_owned());
        let check = |uri: &str, expected: [&str; 3]| {
            let (namespace, id, ty) = authority(&names, uri);
            assert_eq!([&*namespace, &*id, ty], expected);
        };
        check("http://north.example/mrn", ["NORTH", "", ""]);
        check("urn:oid:1.2.3", ["", "1.2.3", "ISO"]);
        check("urn:id:LAB%202", ["LAB 2", "", ""]);
        check("http://x.example/y", ["", "http://x.example/y", "URI"]);
        assert_eq!(system(&names, "http://loinc.org"), "LN");
        let table = "http://terminology.hl7.org/CodeSystem/v2-0203";
        assert_eq!(system(&names, table), "HL70203");
        assert_eq!(system(&names, "urn:id:99LAB"), "99LAB");
    }
}
