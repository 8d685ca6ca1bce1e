//! Which code system the name of a coding system in HL7 v2 means (CWE.3; HL7 table 0396).

use hilum_fhir::systems::{V2_TABLE, V2_TABLE_OID, url_of_name};

use super::index::index;

/// The canonical URL of the code system that a v2 message calls by this name: a name of table 0396
/// (`LN`, `SCT`), or a table of HL7 (`HL70001`) that is a code system of its own. `None` for a local
/// name (`L`, `99LAB`) and for one that means no system by itself.
///
/// Case does not matter: senders write `Ln` and `loinc`.
#[must_use]
pub fn v2_system(name: &str) -> Option<String> {
    let name = name.trim();
    if let Some(url) = url_of_name(name) {
        return Some(url.to_owned());
    }
    let number = name
        .get(..3)
        .filter(|head| head.eq_ignore_ascii_case("HL7"));
    let number = number.and_then(|_| name.get(3..))?;
    if number.len() != 4 {
        return None;
    }
    let url = format!("{V2_TABLE}{:04}", number.parse::<u16>().ok()?);
    (!index().find("CodeSystem", &url).is_empty()).then_some(url)
}

/// The number of the table that a code system is.
pub(super) fn table_of(url: &str) -> Option<u16> {
    let number = url.strip_prefix(V2_TABLE)?;
    number.parse().ok().filter(|_| number.len() == 4)
}

/// The OID of a table.
pub(super) fn table_oid(table: u16) -> String {
    format!("{V2_TABLE_OID}{table}")
}
