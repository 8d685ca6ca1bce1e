//! Resources as bytes: what is stored of them, what is given, and in which form.

use hilum_fhir::json::Selection;
use hilum_fhir::{Limits, Node, Resource, Style, json, xml};
use hilum_fhir_store::{Apart, Body, Store, Stored};

use crate::fault::Fault;
use crate::request::Format;
use crate::search::View;
use crate::time::instant;

/// The tag of a resource of which not everything is given (FHIR R4 search.html#summary).
const SUBSETTED: &str =
    r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}"#;

/// Limits of what this server wrote itself: it was bounded when it came in.
pub(crate) const TRUSTED: Limits = Limits {
    bytes_max: usize::MAX,
    depth_max: 200,
    nodes_max: usize::MAX,
    problems_max: 1,
};

/// Compact JSON of this server in another form.
pub(crate) fn converted(bytes: &[u8], format: Format, pretty: bool) -> Result<Vec<u8>, Fault> {
    let resource = trusted(bytes)?;
    let style = if pretty {
        Style::Pretty
    } else {
        Style::Compact
    };
    let mut out = Vec::with_capacity(bytes.len() * 2);
    match format {
        Format::Json => json::write(&resource, style, &mut out),
        Format::Xml => xml::write(&resource, style, &mut out),
    }
    Ok(out)
}

/// Reads what this server wrote itself.
pub(crate) fn trusted(bytes: &[u8]) -> Result<Resource, Fault> {
    json::parse(bytes, &TRUSTED).map_err(|problems| {
        let first = problems.0.first();
        let text = first.map_or_else(String::new, ToString::to_string);
        Fault::failed(format!("what is stored cannot be read: {text}"))
    })
}

/// A version as it is given: version and time are put in where the store cut them out.
pub(crate) fn spliced(stored: &Stored) -> Option<Vec<u8>> {
    let body = stored.body.as_ref()?;
    Some(splice(body, &stored.version.to_string(), stored.updated_ms))
}

/// What is stored as JSON that can be read, before it has a version: where it has no `meta` of its own the
/// text alone is none, as version and time go there.
pub(crate) fn unversioned(body: &Body) -> Vec<u8> {
    splice(body, "0", 0)
}

fn splice(body: &Body, version: &str, updated_ms: i64) -> Vec<u8> {
    let at = (body.splice as usize).min(body.bytes.len());
    let (head, tail) = body.bytes.split_at(at);
    let mut out = Vec::with_capacity(body.bytes.len() + 80);
    out.extend_from_slice(head);
    if body.wrap {
        out.extend_from_slice(b"\"meta\":{");
    }
    let version = format!(
        "\"versionId\":\"{version}\",\"lastUpdated\":\"{}\"",
        instant(updated_ms)
    );
    out.extend_from_slice(version.as_bytes());
    if body.wrap {
        out.push(b'}');
    }
    if body.comma {
        out.push(b',');
    }
    out.extend_from_slice(tail);
    out
}

/// A version whose large content is apart, as it is given.
#[derive(Clone)]
pub(crate) struct Large {
    pub(crate) store: Store,
    pub(crate) stored: Stored,
}

impl Large {
    /// The text with version and time, and where in it what is apart belongs.
    pub(crate) fn text(&self) -> (Vec<u8>, Vec<(usize, Apart)>) {
        let text = spliced(&self.stored).unwrap_or_default();
        let Some(body) = &self.stored.body else {
            return (text, Vec::new());
        };
        let put_in = text.len().saturating_sub(body.bytes.len());
        let place = |apart: &Apart| {
            let moved = if apart.at < body.splice { 0 } else { put_in };
            (apart.at as usize + moved, *apart)
        };
        (text, body.apart.iter().map(place).collect())
    }

    /// Bytes of the whole.
    pub(crate) fn bytes(&self) -> u64 {
        let (text, places) = self.text();
        let more = places.iter();
        let more = more.map(|(_, apart)| apart.bytes.saturating_sub(u64::from(apart.span)));
        text.len() as u64 + more.sum::<u64>()
    }
}

/// What is stored of a resource: compact JSON with this id, without version and time of change.
/// `resourceType`, `id` and `meta` come first.
pub(crate) fn body(json: &[u8], type_name: &str, id: &str) -> Body {
    let mut out = Vec::with_capacity(json.len() + 64);
    out.extend_from_slice(b"{\"resourceType\":\"");
    out.extend_from_slice(type_name.as_bytes());
    out.extend_from_slice(b"\",\"id\":\"");
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(b"\",");
    let members = members(json);
    let meta = members.iter().find(|(key, _)| *key == b"meta");
    let mut rest = members
        .iter()
        .filter(|(key, _)| !matches!(*key, b"resourceType" | b"id" | b"meta"));
    let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let (splice, wrap, comma);
    match meta {
        Some((_, value)) => {
            out.extend_from_slice(b"\"meta\":{");
            splice = narrow(out.len());
            wrap = false;
            let own = self::members(value);
            let mut own = own.iter().filter(|(key, _)| {
                !matches!(
                    *key,
                    b"versionId" | b"lastUpdated" | b"_versionId" | b"_lastUpdated"
                )
            });
            comma = own.clone().next().is_some();
            push_members(&mut own, &mut out);
            out.push(b'}');
            if rest.clone().next().is_some() {
                out.push(b',');
            }
        }
        None => {
            splice = narrow(out.len());
            wrap = true;
            comma = rest.clone().next().is_some();
        }
    }
    push_members(&mut rest, &mut out);
    out.push(b'}');
    Body {
        bytes: out.into(),
        splice,
        wrap,
        comma,
        ..Body::default()
    }
}

/// A member of an object: its name and its value.
pub(crate) type Member<'b> = (&'b [u8], &'b [u8]);

pub(crate) fn push_members<'m, 'b: 'm>(
    members: &mut dyn Iterator<Item = &'m Member<'b>>,
    out: &mut Vec<u8>,
) {
    for (at, (key, value)) in members.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(key);
        out.extend_from_slice(b"\":");
        out.extend_from_slice(value);
    }
}

/// The members of an object of compact JSON that [`json::write`] wrote.
pub(crate) fn members(object: &[u8]) -> Vec<Member<'_>> {
    let mut found = Vec::new();
    let mut at = 1;
    while object.get(at) == Some(&b'"') {
        let key_end = string_end(object, at);
        let value_start = key_end + 1;
        let value_end = value_end(object, value_start);
        let key = object.get(at + 1..key_end.saturating_sub(1));
        let (Some(key), Some(value)) = (key, object.get(value_start..value_end)) else {
            break;
        };
        found.push((key, value));
        at = value_end + 1;
    }
    found
}

/// The items of an array of the same.
pub(crate) fn items(array: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut at = 1;
    while !matches!(array.get(at), None | Some(b']')) {
        let end = value_end(array, at);
        found.extend(array.get(at..end));
        at = end + 1;
    }
    found
}

/// Behind the closing quote of the string that begins here.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Behind the value that begins here.
fn value_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                if depth == 0 {
                    return at;
                }
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// A version as it is given with only a part of its elements.
pub(crate) fn viewed(stored: &Stored, view: &View) -> Result<Option<Vec<u8>>, Fault> {
    let Some(full) = spliced(stored) else {
        return Ok(None);
    };
    if *view == View::Full {
        return Ok(Some(full));
    }
    let resource = trusted(&full)?;
    let mut out = Vec::with_capacity(full.len());
    json::write_selected(resource.root(), &Part(view), Style::Compact, &mut out);
    Ok(Some(tagged(&out)))
}

/// Adds the tag that says that there is more.
fn tagged(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + 128);
    out.push(b'{');
    for (at, (key, value)) in members(json).into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(key);
        out.extend_from_slice(b"\":");
        if key == b"meta" {
            let own = members(value);
            out.push(b'{');
            let mut others = own.iter().filter(|(key, _)| *key != b"tag");
            push_members(&mut others.by_ref(), &mut out);
            if own.iter().any(|(key, _)| *key != b"tag") {
                out.push(b',');
            }
            out.extend_from_slice(b"\"tag\":[");
            if let Some((_, tags)) = own.iter().find(|(key, _)| *key == b"tag") {
                let inner = tags
                    .get(1..tags.len().saturating_sub(1))
                    .unwrap_or_default();
                out.extend_from_slice(inner);
                out.push(b',');
            }
            out.extend_from_slice(SUBSETTED.as_bytes());
            out.extend_from_slice(b"]}");
        } else {
            out.extend_from_slice(value);
        }
    }
    out.push(b'}');
    out
}

/// The elements that a view has.
struct Part<'v>(&'v View);

impl Selection for Part<'_> {
    fn keeps(&self, node: Node<'_>) -> bool {
        let base = node
            .parent()
            .is_some_and(|parent| parent.parent().is_none());
        let name = node.name();
        if base && matches!(name, "id" | "meta") {
            return true;
        }
        let element = node.element();
        match self.0 {
            View::Full | View::Count => true,
            View::Summary => {
                // What is below an element of the summary belongs to it unless it is a backbone
                // with elements of its own.
                element.is_summary || element.min > 0 || !in_resource(node)
            }
            View::Text => !base || name == "text" || element.min > 0,
            View::Data => !base || name != "text",
            View::Elements(names) => {
                !base || element.min > 0 || names.iter().any(|known| known == name)
            }
        }
    }
}

/// The element is defined by a resource, not by a data type.
fn in_resource(node: Node<'_>) -> bool {
    let path = node.element().path;
    let owner = path.split('.').next().unwrap_or_default();
    owner == node.nearest_resource().type_name()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(json: &str) -> (Body, String) {
        let body = body(json.as_bytes(), "Patient", "p1");
        let at = body.splice as usize;
        let (head, tail) = body.bytes.split_at(at);
        let meta = if body.wrap { "\"meta\":{V}" } else { "V" };
        let comma = if body.comma { "," } else { "" };
        let head = std::str::from_utf8(head).unwrap();
        let tail = std::str::from_utf8(tail).unwrap();
        let text = format!("{head}{meta}{comma}{tail}");
        (body, text)
    }

    #[test]
    fn what_is_stored_can_be_read_whatever_it_has_of_meta() {
        for json in [
            r#"{"resourceType":"Patient"}"#,
            r#"{"resourceType":"Patient","active":true}"#,
            r#"{"resourceType":"Patient","meta":{"versionId":"7"},"active":true}"#,
            r#"{"resourceType":"Patient","meta":{"tag":[{"code":"a"}]}}"#,
        ] {
            let body = body(json.as_bytes(), "Patient", "p1");
            let read = trusted(&unversioned(&body));
            assert!(read.is_ok(), "{json}");
        }
        let empty = r#"{"resourceType":"Patient","meta":{"versionId":"7"}}"#;
        let body = body(empty.as_bytes(), "Patient", "p1");
        assert!(trusted(&body.bytes).is_err(), "the text alone is none");
    }

    #[test]
    fn version_and_time_are_cut_out_and_their_place_is_known() {
        for (json, expected) in [
            (
                r#"{"resourceType":"Patient"}"#,
                r#"{"resourceType":"Patient","id":"p1","meta":{V}}"#,
            ),
            (
                r#"{"resourceType":"Patient","active":true,"id":"other"}"#,
                r#"{"resourceType":"Patient","id":"p1","meta":{V},"active":true}"#,
            ),
            (
                r#"{"resourceType":"Patient","meta":{"versionId":"7"},"active":true}"#,
                r#"{"resourceType":"Patient","id":"p1","meta":{V},"active":true}"#,
            ),
            (
                r#"{"resourceType":"Patient","name":[{"family":"a\"},{\\"}],"meta":{"lastUpdated":"x","tag":[{"code":"a"}]}}"#,
                r#"{"resourceType":"Patient","id":"p1","meta":{V,"tag":[{"code":"a"}]},"name":[{"family":"a\"},{\\"}]}"#,
            ),
        ] {
            assert_eq!(stored(json).1, expected);
        }
    }

    #[test]
    fn a_part_of_a_resource_says_that_it_is_one() {
        for (json, expected) in [
            (
                r#"{"meta":{"versionId":"1"},"a":1}"#,
                r#"{"meta":{"versionId":"1","tag":[S]},"a":1}"#,
            ),
            (
                r#"{"meta":{"tag":[{"code":"x"}]}}"#,
                r#"{"meta":{"tag":[{"code":"x"},S]}}"#,
            ),
        ] {
            let found = String::from_utf8(tagged(json.as_bytes())).unwrap();
            assert_eq!(found, expected.replace('S', SUBSETTED));
        }
    }
}
