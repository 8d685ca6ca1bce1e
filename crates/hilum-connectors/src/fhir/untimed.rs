//! Takes out of a Bundle what only the stores of this node understand: when what it holds was so, and
//! what its source deletes ([`hilum_message::as_of`]).
//!
//! A text loses those bytes and stays as it is everywhere else; attachments that lie outside of it
//! move along.

use std::ops::Range;

use bytes::Bytes;
use hilum_message::{Cut, Payload, as_of};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct Bundle<'t> {
    #[serde(borrow)]
    meta: Option<&'t RawValue>,
    #[serde(borrow, default)]
    entry: Vec<Entry<'t>>,
}

#[derive(Deserialize)]
struct Entry<'t> {
    #[serde(borrow)]
    request: Option<&'t RawValue>,
}

/// The payload without times; `None` where it has none, or cannot be read.
pub(super) fn untimed(payload: &Payload) -> Option<Payload> {
    let text = std::str::from_utf8(payload.text()).ok()?;
    if !has_any(text) {
        return None;
    }
    let bundle: Bundle<'_> = serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()?;
    let mut changed: Vec<(Range<usize>, String)> = Vec::new();
    let requests = bundle.entry.iter().filter_map(|entry| entry.request);
    for (part, is_meta) in requests
        .map(|request| (request, false))
        .chain(bundle.meta.map(|meta| (meta, true)))
    {
        let Some(object) = without(part.get()) else {
            continue;
        };
        let range = place(text, part.get())?;
        if is_meta && object.is_empty() {
            changed.push((member(text, range)?, String::new()));
        } else {
            changed.push((range, Value::Object(object).to_string()));
        }
    }
    if changed.is_empty() {
        return None;
    }
    changed.sort_by_key(|(range, _)| range.start);
    Some(apply(payload, text, &changed))
}

fn has_any(text: &str) -> bool {
    as_of::ALL.iter().any(|url| text.contains(url))
}

/// An object without the extensions; `None` where it has none.
fn without(object: &str) -> Option<Map<String, Value>> {
    if !has_any(object) {
        return None;
    }
    let mut object: Map<String, Value> = serde_json::from_str(object).ok()?;
    let extensions = object.get_mut("extension")?.as_array_mut()?;
    let is_ours = |one: &Value| {
        let url = one.get("url").and_then(Value::as_str);
        url.is_some_and(|url| as_of::ALL.contains(&url))
    };
    extensions.retain(|one| !is_ours(one));
    if extensions.is_empty() {
        object.remove("extension");
    }
    Some(object)
}

/// Where a slice of a text is in it.
fn place(text: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    Some(start..start + part.len())
}

/// The member whose value is at a place, with the comma that goes with it.
fn member(text: &str, value: Range<usize>) -> Option<Range<usize>> {
    let before = text.get(..value.start)?.trim_end().strip_suffix(':')?;
    let before = before.trim_end().strip_suffix("\"meta\"")?;
    let behind = text.get(value.end..)?;
    let rest = behind.trim_start();
    if let Some(rest) = rest.strip_prefix(',') {
        return Some(before.len()..text.len() - rest.len());
    }
    let first = before.trim_end();
    let first = first.strip_suffix(',').unwrap_or(first);
    Some(first.len()..value.end)
}

fn apply(payload: &Payload, text: &str, changed: &[(Range<usize>, String)]) -> Payload {
    let mut out = Vec::with_capacity(text.len());
    let mut from = 0;
    for (range, new) in changed {
        out.extend_from_slice(text.as_bytes().get(from..range.start).unwrap_or_default());
        out.extend_from_slice(new.as_bytes());
        from = range.end;
    }
    out.extend_from_slice(text.as_bytes().get(from..).unwrap_or_default());
    let cuts = payload.cuts().iter().map(|cut| {
        let before = changed.iter().filter(|(range, _)| range.end <= cut.at);
        let (gone, new) = before.fold((0, 0), |(gone, new), (range, text)| {
            (gone + range.len(), new + text.len())
        });
        Cut {
            at: cut.at + new - gone,
            range: cut.range.clone(),
        }
    });
    Payload::with_cuts(Bytes::from(out), cuts.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_message::{BlobRange, BlobRef};

    const TIME: &str = r#"{"url":"urn:hilum:as-of","valueString":"1 2 0"}"#;
    const DELETES: &str = r#"{"url":"urn:hilum:deletes","valueString":"address"}"#;

    fn check(before: &str, after: Option<&str>) {
        let before = before.replace("TIME", TIME).replace("DELETES", DELETES);
        let found = untimed(&Payload::inline(before.clone().into()));
        let found = found.map(|found| String::from_utf8(found.text().to_vec()).unwrap());
        assert_eq!(found.as_deref(), after, "{before}");
    }

    #[test]
    fn a_bundle_loses_times_and_nothing_else() {
        check(r#"{"type":"transaction"}"#, None);
        check("<Bundle/>", None);
        check(
            r#"{"type":"x","meta":{"extension":[TIME]},"entry":[]}"#,
            Some(r#"{"type":"x","entry":[]}"#),
        );
        check(
            r#"{"type":"x" , "meta" : {"extension":[TIME]} }"#,
            Some(r#"{"type":"x"  }"#),
        );
        check(
            r#"{"meta":{"extension":[TIME,{"url":"a"}],"tag":[]}}"#,
            Some(r#"{"meta":{"extension":[{"url":"a"}],"tag":[]}}"#),
        );
        check(
            r#"{"entry":[{"resource":{"a":"urn:hilum:as-of"},"request":{"method":"PUT","extension":[TIME,DELETES]}}]}"#,
            Some(r#"{"entry":[{"resource":{"a":"urn:hilum:as-of"},"request":{"method":"PUT"}}]}"#),
        );
        check(r#"{"entry":[{"resource":{"a":"urn:hilum:as-of"}}]}"#, None);
    }

    #[test]
    fn attachments_move_along() {
        let before = r#"{"meta":{"extension":[TIME]},"entry":[{"resource":{"data":""}}]}"#;
        let before = before.replace("TIME", TIME);
        let at = before.find("\"data\":\"").unwrap() + 8;
        let blob = BlobRef {
            partition: "p".into(),
            name: "b".into(),
        };
        let range = BlobRange {
            blob,
            offset: 0,
            length: 9,
        };
        let payload = Payload::with_cuts(before.into(), vec![Cut { at, range }]);
        let found = untimed(&payload).unwrap();
        let text = std::str::from_utf8(found.text()).unwrap();
        let (head, tail) = text.split_at(found.cuts()[0].at);
        assert!(
            head.ends_with("\"data\":\"") && tail.starts_with('"'),
            "{text}"
        );
    }
}
