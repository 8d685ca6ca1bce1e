//! The tag by which a server elsewhere recognises a repeat.
//!
//! What a delivery creates gets `meta.tag` with the delivery's id, and is created only if nothing
//! has that tag (`If-None-Exist`). A text gains a few bytes at a few places and stays as it is
//! everywhere else; attachments that lie outside of it move along.

use bytes::Bytes;
use hilum_message::{Cut, Payload};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// The system of the tag.
const SYSTEM: &str = "urn:hilum:delivery";

/// The condition that nothing has the tag yet.
pub(super) fn condition(code: &str) -> String {
    format!("_tag={SYSTEM}%7C{code}")
}

#[derive(Deserialize)]
struct Resource<'t> {
    #[serde(borrow)]
    meta: Option<&'t RawValue>,
}

#[derive(Deserialize)]
struct Meta<'t> {
    #[serde(borrow)]
    tag: Option<&'t RawValue>,
}

#[derive(Deserialize)]
struct Bundle<'t> {
    #[serde(borrow, default)]
    entry: Vec<Entry<'t>>,
}

#[derive(Deserialize)]
struct Entry<'t> {
    #[serde(borrow)]
    resource: Option<&'t RawValue>,
    #[serde(borrow)]
    request: Option<&'t RawValue>,
}

#[derive(Deserialize)]
struct Request {
    method: Option<String>,
    #[serde(rename = "ifNoneExist")]
    if_none_exist: Option<IgnoredAny>,
}

/// Bytes to put in, by their place.
struct Insertions<'t> {
    text: &'t str,
    found: Vec<(usize, String)>,
}

/// A resource of JSON with the tag; `None` where the text cannot be read.
pub(super) fn resource(payload: &Payload, code: &str) -> Option<Payload> {
    let mut insertions = Insertions::of(payload)?;
    insertions.resource(insertions.text.trim_start(), code)?;
    Some(insertions.apply(payload))
}

/// A transaction of JSON, each resource that it creates without a condition with the tag and the
/// condition; `None` where the text cannot be read.
pub(super) fn transaction(payload: &Payload, code: &str) -> Option<Payload> {
    let mut insertions = Insertions::of(payload)?;
    let bundle: Bundle<'_> = serde_json::from_str(insertions.text).ok()?;
    for (number, entry) in bundle.entry.iter().enumerate() {
        let (Some(raw), Some(resource)) = (entry.request, entry.resource) else {
            continue;
        };
        let request: Request = serde_json::from_str(raw.get()).ok()?;
        if request.method.as_deref() != Some("POST") || request.if_none_exist.is_some() {
            continue;
        }
        let code = format!("{code}-{number}");
        let condition = format!("\"ifNoneExist\":\"{}\",", condition(&code));
        insertions.behind_bracket(raw.get(), condition)?;
        insertions.resource(resource.get(), &code)?;
    }
    Some(insertions.apply(payload))
}

impl<'t> Insertions<'t> {
    fn of(payload: &'t Payload) -> Option<Self> {
        let text = std::str::from_utf8(payload.text()).ok()?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let found = Vec::new();
        Some(Self { text, found })
    }

    fn resource(&mut self, resource: &'t str, code: &str) -> Option<()> {
        let tag = format!("{{\"system\":\"{SYSTEM}\",\"code\":\"{code}\"}}");
        let found: Resource<'_> = serde_json::from_str(resource).ok()?;
        let Some(meta) = found.meta else {
            let meta = format!("\"meta\":{{\"tag\":[{tag}]}},");
            return self.behind_bracket(resource, meta);
        };
        let known: Meta<'_> = serde_json::from_str(meta.get()).ok()?;
        match known.tag {
            Some(tags) => self.behind_bracket(tags.get(), format!("{tag}{}", comma(tags.get()))),
            None => {
                let tags = format!("\"tag\":[{tag}]{}", comma(meta.get()));
                self.behind_bracket(meta.get(), tags)
            }
        }
    }

    /// Notes an insertion behind the first byte of a part of the text.
    fn behind_bracket(&mut self, part: &str, bytes: String) -> Option<()> {
        // The parts are slices of the text, so their addresses tell where in it they are.
        let place = (part.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        self.found.push((place + 1, bytes));
        Some(())
    }

    fn apply(mut self, payload: &Payload) -> Payload {
        self.found.sort_by_key(|(place, _)| *place);
        let mark = payload.text().len() - self.text.len();
        let more: usize = self.found.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut out = Vec::with_capacity(self.text.len() + more);
        let mut from = 0;
        for (place, bytes) in &self.found {
            out.extend_from_slice(self.text.as_bytes().get(from..*place).unwrap_or_default());
            out.extend_from_slice(bytes.as_bytes());
            from = *place;
        }
        out.extend_from_slice(self.text.as_bytes().get(from..).unwrap_or_default());
        let cuts = payload.cuts().iter().map(|cut| {
            let at = cut.at.saturating_sub(mark);
            let before = self.found.iter().filter(|(place, _)| *place <= at);
            let moved: usize = before.map(|(_, bytes)| bytes.len()).sum();
            Cut {
                at: at + moved,
                range: cut.range.clone(),
            }
        });
        Payload::with_cuts(Bytes::from(out), cuts.collect())
    }
}

/// The comma before what an object or array already has.
fn comma(part: &str) -> &'static str {
    let inside = part.trim_start_matches(['{', '[']).trim_start();
    if inside.starts_with(['}', ']']) {
        ""
    } else {
        ","
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_message::{BlobRange, BlobRef};

    const TAG: &str = r#"{"system":"urn:hilum:delivery","code":"d"}"#;

    #[test]
    fn a_resource_gains_a_tag_and_nothing_else() {
        for (before, after) in [
            (
                r#" {"resourceType":"Patient"}"#,
                r#" {"meta":{"tag":[@]},"resourceType":"Patient"}"#,
            ),
            (
                r#"{"meta":{ },"id":"x"}"#,
                r#"{"meta":{"tag":[@] },"id":"x"}"#,
            ),
            (
                r#"{"meta":{"profile":["p"]}}"#,
                r#"{"meta":{"tag":[@],"profile":["p"]}}"#,
            ),
            (r#"{"meta":{"tag":[]}}"#, r#"{"meta":{"tag":[@]}}"#),
            (
                r#"{"meta":{"tag":[{"code":"a"}]}}"#,
                r#"{"meta":{"tag":[@,{"code":"a"}]}}"#,
            ),
        ] {
            let payload = Payload::inline(before.to_owned().into());
            let found = resource(&payload, "d").unwrap();
            assert_eq!(found.text(), &after.replace('@', TAG), "{before}");
        }
        assert!(resource(&Payload::inline(Bytes::from_static(b"<a/>")), "d").is_none());
    }

    #[test]
    fn each_creation_of_a_transaction_gains_its_own() {
        let before = r#"{"entry":[{"resource":{"id":"1"},"request":{"method":"PUT"}},
            {"resource":{"data":""},"request":{"method":"POST","url":"Binary"}},
            {"resource":{"a":1},"request":{"method":"POST","ifNoneExist":"x=y"}}]}"#;
        let at = before.find("\"data\":\"").unwrap() + 8;
        let range = BlobRange {
            blob: BlobRef {
                partition: "p".into(),
                name: "b".into(),
            },
            offset: 0,
            length: 9,
        };
        let cuts = vec![Cut { at, range }];
        let payload = Payload::with_cuts(before.to_owned().into(), cuts);
        let found = transaction(&payload, "d").unwrap();
        let tag = TAG.replace("\"d\"", "\"d-1\"");
        let after = before
            .replace(
                "{\"data\"",
                &format!("{{\"meta\":{{\"tag\":[{tag}]}},\"data\""),
            )
            .replace(
                "{\"method\":\"POST\",\"url\"",
                "{\"ifNoneExist\":\"_tag=urn:hilum:delivery%7Cd-1\",\"method\":\"POST\",\"url\"",
            );
        assert_eq!(found.text(), &after);
        let at = found.cuts()[0].at;
        let (head, tail) = after.split_at(at);
        assert!(head.ends_with("\"data\":\"") && tail.starts_with('"'));
    }
}
