//! What a message is, as far as sending it needs: type, id, first identifier, kind of Bundle.
//!
//! The text is read leniently, whatever the server will say to it: attachments that lie outside of
//! it leave empty values behind.

use hilum_fhirpath::{NodeId, Scalar, Tree};
use hilum_tree::{Limits, XmlDocument};
use serde::Deserialize;
use serde_json::Value;

use bytes::Bytes;

/// What a message is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Peek {
    pub(super) resource_type: String,
    pub(super) id: Option<String>,
    /// System and value of the first identifier that has a value.
    pub(super) identifier: Option<(Option<String>, String)>,
    /// `type` of a Bundle.
    pub(super) bundle: Option<String>,
}

/// The text is XML and no JSON.
pub(super) fn is_xml(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    text.trim_ascii_start().starts_with(b"<")
}

/// Looks at a message; the error says why it is no resource.
pub(super) fn peek(text: &Bytes) -> Result<Peek, &'static str> {
    let peek = if is_xml(text) { xml(text) } else { json(text) };
    let peek = peek.ok_or("the message is neither JSON nor XML that can be read")?;
    let named = |c: char| c.is_ascii_alphabetic();
    if peek.resource_type.is_empty() || !peek.resource_type.chars().all(named) {
        return Err("the message is no resource");
    }
    Ok(peek)
}

#[derive(Deserialize)]
struct Json {
    #[serde(rename = "resourceType")]
    resource_type: Option<String>,
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<Value>,
    identifier: Option<Value>,
}

fn json(text: &[u8]) -> Option<Peek> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let found: Json = serde_json::from_slice(text).ok()?;
    let identifiers = match found.identifier {
        Some(Value::Array(several)) => several,
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let identifier = identifiers.iter().find_map(|one| {
        let part = |name: &str| one.get(name).and_then(Value::as_str).map(str::to_owned);
        Some((part("system"), part("value")?))
    });
    let resource_type = found.resource_type.unwrap_or_default();
    let bundle = (resource_type == "Bundle").then_some(found.kind).flatten();
    Some(Peek {
        resource_type,
        id: found.id,
        identifier,
        bundle: bundle.and_then(|kind| kind.as_str().map(str::to_owned)),
    })
}

fn xml(text: &Bytes) -> Option<Peek> {
    let tree = XmlDocument::parse(text, &Limits::default()).ok()?;
    let root = first(&tree, tree.root(), None)?;
    let name = tree.name(root).into_owned();
    let resource_type = name
        .rsplit_once(':')
        .map_or(name.clone(), |(_, local)| local.to_owned());
    let value = |of: NodeId, name: &str| {
        let node = first(&tree, of, Some(name))?;
        let node = first(&tree, node, Some("@value"))?;
        match tree.value(node) {
            Some(Scalar::String(text)) => Some(text.into_owned()),
            _ => None,
        }
    };
    let mut identifier = None;
    tree.children(root, "identifier", &mut |node| {
        if identifier.is_none() {
            identifier = value(node, "value").map(|text| (value(node, "system"), text));
        }
    });
    Some(Peek {
        id: value(root, "id"),
        bundle: (resource_type == "Bundle")
            .then(|| value(root, "type"))
            .flatten(),
        identifier,
        resource_type,
    })
}

fn first(tree: &dyn Tree, of: NodeId, name: Option<&str>) -> Option<NodeId> {
    let mut found = None;
    let mut visit = |node| {
        found.get_or_insert(node);
    };
    match name {
        Some(name) => tree.children(of, name, &mut visit),
        None => tree.all_children(of, &mut visit),
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen<'s> = (&'s str, Option<&'s str>, Option<&'s str>, Option<&'s str>);

    fn check(text: &str, expected: Option<Seen<'_>>) {
        let found = peek(&Bytes::from(text.to_owned())).ok();
        let found = found.as_ref().map(|peek| {
            let identifier = peek.identifier.as_ref().map(|(_, value)| value.as_str());
            let bundle = peek.bundle.as_deref();
            (
                peek.resource_type.as_str(),
                peek.id.as_deref(),
                identifier,
                bundle,
            )
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_message_is_known_by_type_id_and_identifier() {
        check(
            "\u{feff}{\"resourceType\":\"Patient\",\"id\":\"a\",\"identifier\":[{},{\"value\":\"1\"}]}",
            Some(("Patient", Some("a"), Some("1"), None)),
        );
        check(
            "{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"identifier\":{\"value\":\"2\"}}",
            Some(("Bundle", None, Some("2"), Some("batch"))),
        );
        check(
            "<?xml version='1.0'?><f:Patient xmlns:f='http://hl7.org/fhir'><f:id value='x'/><f:identifier><f:value value='3'/></f:identifier></f:Patient>",
            Some(("Patient", Some("x"), Some("3"), None)),
        );
        check(
            "<Bundle xmlns='http://hl7.org/fhir'><type value='transaction'/></Bundle>",
            Some(("Bundle", None, None, Some("transaction"))),
        );
        check(
            "{\"resourceType\":\"Binary\",\"type\":{}}",
            Some(("Binary", None, None, None)),
        );
        for text in ["", "MSH|", "{}", "[]", "{\"resourceType\":\"../x\"}"] {
            check(text, None);
        }
    }
}
