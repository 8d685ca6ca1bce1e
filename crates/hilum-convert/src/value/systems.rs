//! Names of coding systems (HL7 table 0396) and their URIs.

use std::borrow::Cow;

use hilum_fhir::systems::{V2_TABLE, url_of_name};

/// The URI of a system by its name; `HL70078` and `0078` are tables of HL7 v2.
pub(super) fn by_name(name: &str) -> Option<Cow<'static, str>> {
    let number = name.strip_prefix("HL7").unwrap_or(name);
    let number = number.strip_prefix('-').unwrap_or(number);
    if number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Cow::Owned(format!("{V2_TABLE}{number}")));
    }
    url_of_name(name).map(Cow::Borrowed)
}
