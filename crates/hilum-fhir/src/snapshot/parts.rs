//! Compact JSON taken apart where it stands: what is not looked into stays the text it was, so that
//! every digit and every character is kept.

use super::parts_scan::{string_end, value_end};

/// The members of an object, names without their quotes.
pub(super) fn members(object: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut at = 1;
    while object.as_bytes().get(at) == Some(&b'"') {
        let name_end = string_end(object, at);
        let value_start = name_end + 1;
        let value_end = value_end(object, value_start);
        let name = object.get(at + 1..name_end.saturating_sub(1));
        let (Some(name), Some(value)) = (name, object.get(value_start..value_end)) else {
            break;
        };
        found.push((name, value));
        at = value_end + 1;
    }
    found
}

/// The items of an array.
pub(super) fn items(array: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut at = 1;
    while at + 1 < array.len() {
        let end = value_end(array, at);
        let Some(item) = array.get(at..end).filter(|item| !item.is_empty()) else {
            break;
        };
        found.push(item);
        at = end + 1;
    }
    found
}

/// The text of a string, quotes and escapes resolved; of anything else the text as it stands.
pub(super) fn plain(value: &str) -> String {
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) if !inner.contains('\\') => inner.to_owned(),
        Some(_) => serde_json::from_str(value).unwrap_or_default(),
        None => value.to_owned(),
    }
}

/// A member of an object as text.
pub(super) fn member(object: &str, name: &str) -> Option<String> {
    let found = members(object)
        .into_iter()
        .find(|(known, _)| *known == name);
    found.map(|(_, value)| plain(value))
}

/// The items of an array that is a member of an object, as texts.
pub(super) fn texts(object: &str, name: &str) -> Vec<String> {
    let found = members(object)
        .into_iter()
        .find(|(known, _)| *known == name);
    let array = found.map(|(_, value)| items(value)).unwrap_or_default();
    array.into_iter().map(plain).collect()
}
