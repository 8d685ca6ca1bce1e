//! The bytes of each part, by format.

use std::collections::HashMap;

use bytes::Bytes;
use hilum_component::{Document, Halted};
use hilum_fhir::Resource;
use hilum_fhirpath::{NodeId, Tree};
use hilum_hl7v2::Message;
use hilum_tree::{DelimitedDocument, Editable, JsonDocument, Limits, Path, XmlDocument};

use super::config::Keep;
use super::resources::{Form, resources};

/// One text for each node; `spend` is asked for every one.
pub(super) fn parts(
    document: &dyn Document,
    nodes: &[NodeId],
    keep: Keep,
    spend: impl Fn() -> Result<(), Halted>,
) -> Result<Vec<Vec<u8>>, Halted> {
    let any = document.as_any();
    if let Some(message) = any.downcast_ref::<Message>() {
        return segments(message, nodes, spend);
    }
    if let Some(json) = any.downcast_ref::<JsonDocument>() {
        return match keep {
            Keep::Part => nodes
                .iter()
                .map(|&node| spend().map(|()| json.json(node).into_bytes()))
                .collect(),
            Keep::Envelope => items(json, nodes, spend),
        };
    }
    if let Some(xml) = any.downcast_ref::<XmlDocument>() {
        return match keep {
            Keep::Part => nodes
                .iter()
                .map(|&node| spend().map(|()| xml.xml(node)))
                .collect(),
            Keep::Envelope => elements(xml, nodes, spend),
        };
    }
    if let Some(resource) = any.downcast_ref::<Resource>() {
        let text = document.write();
        let xml = text.text().trim_ascii_start().starts_with(b"<");
        let form = if xml { Form::Xml } else { Form::Json };
        return resources(resource, nodes, keep, form, spend);
    }
    if let Some(text) = any.downcast_ref::<DelimitedDocument>() {
        return rows(text, nodes, spend);
    }
    Err(Halted::reject("messages of this format cannot be split"))
}

/// Segments that belong to no part stay in each; those of a part only in its own.
fn segments(
    message: &Message,
    nodes: &[NodeId],
    spend: impl Fn() -> Result<(), Halted>,
) -> Result<Vec<Vec<u8>>, Halted> {
    let mut owner: HashMap<usize, usize> = HashMap::new();
    for (part, &node) in nodes.iter().enumerate() {
        spend()?;
        let mut below = vec![node];
        while let Some(node) = below.pop() {
            match message.segment_of(node) {
                Some(0) => return Err(Halted::reject("the header cannot be split off")),
                Some(index) => {
                    owner.insert(index, part);
                }
                None => message.all_children(node, &mut |child| below.push(child)),
            }
        }
    }
    let terminator = message.terminator().as_bytes();
    let shared: Vec<(usize, &[u8])> = message
        .segments()
        .filter(|segment| !owner.contains_key(&segment.index()))
        .map(|segment| (segment.index(), segment.raw()))
        .collect();
    let mut own: Vec<Vec<(usize, &[u8])>> = vec![Vec::new(); nodes.len()];
    for segment in message.segments() {
        if let Some(list) = owner
            .get(&segment.index())
            .and_then(|&part| own.get_mut(part))
        {
            list.push((segment.index(), segment.raw()));
        }
    }
    own.into_iter()
        .map(|list| {
            spend()?;
            let mut lines: Vec<(usize, &[u8])> = shared.iter().copied().chain(list).collect();
            lines.sort_unstable_by_key(|(index, _)| *index);
            Ok(lines
                .iter()
                .flat_map(|(_, raw)| [*raw, terminator].concat())
                .collect())
        })
        .collect()
}

/// The document with one item in place of all: its text around the first one, and each between.
fn items(
    json: &JsonDocument,
    nodes: &[NodeId],
    spend: impl Fn() -> Result<(), Halted>,
) -> Result<Vec<Vec<u8>>, Halted> {
    const MARK: &str = "hilumSplitMark";
    let refused = |error: hilum_tree::EditError| Halted::reject(error.to_string());
    let Some((&first, others)) = nodes.split_first() else {
        return Ok(Vec::new());
    };
    let mut single = json.clone();
    for &other in others {
        spend()?;
        single.remove(other).map_err(refused)?;
    }
    // A mark that the document does not hold shows where the item stands.
    let text = json.write();
    let mut mark = MARK.to_owned();
    while memchr::memmem::find(&text, mark.as_bytes()).is_some() {
        mark.push('x');
    }
    let quoted = format!("\"{mark}\"");
    single.set_json(first, &quoted).map_err(refused)?;
    let around: Bytes = single.write();
    let at = memchr::memmem::find(&around, quoted.as_bytes()).unwrap_or_default();
    let (before, after) = around.split_at_checked(at).unwrap_or((&around, &[]));
    let after = after.get(quoted.len()..).unwrap_or_default();
    nodes
        .iter()
        .map(|&node| {
            spend()?;
            Ok([before, json.json(node).as_bytes(), after].concat())
        })
        .collect()
}

/// The document with one element in place of all: its text around the first one, and each between.
fn elements(
    xml: &XmlDocument,
    nodes: &[NodeId],
    spend: impl Fn() -> Result<(), Halted>,
) -> Result<Vec<Vec<u8>>, Halted> {
    let refused = || Halted::reject("only whole elements below the root can be split off");
    let Some((&first, others)) = nodes.split_first() else {
        return Ok(Vec::new());
    };
    let mut single = xml.clone();
    for &other in others {
        spend()?;
        single.remove(other).map_err(|_| refused())?;
    }
    let place = Path::parse(&single.location(first)).map_err(|_| refused())?;
    let around = single.write();
    let again = XmlDocument::parse(&around, &Limits::default()).map_err(|_| refused())?;
    let found = again.find(&place);
    let range = found
        .first()
        .and_then(|&node| again.range(node))
        .ok_or_else(refused)?;
    let before = around.get(..range.start).unwrap_or_default();
    let after = around.get(range.end..).unwrap_or_default();
    nodes
        .iter()
        .map(|&node| {
            spend()?;
            Ok([before, &xml.xml(node), after].concat())
        })
        .collect()
}

/// The header with each row; a document that was changed is read again first.
fn rows(
    text: &DelimitedDocument,
    nodes: &[NodeId],
    spend: impl Fn() -> Result<(), Halted>,
) -> Result<Vec<Vec<u8>>, Halted> {
    let places: Vec<usize> = nodes
        .iter()
        .map(|node| text.rows().position(|(row, _)| row == *node))
        .collect::<Option<_>>()
        .ok_or_else(|| Halted::reject("only whole rows can be split off"))?;
    let source = text.write();
    let again = DelimitedDocument::parse(&source, text.options(), &Limits::default())
        .map_err(|error| Halted::reject(error.to_string()))?;
    let header = again.header_bytes().unwrap_or_default();
    let ranges: Vec<_> = again
        .rows()
        .map(|(_, range)| range.unwrap_or_default())
        .collect();
    places
        .into_iter()
        .map(|place| {
            spend()?;
            let range = ranges.get(place).cloned().unwrap_or_default();
            let row = source.get(range).unwrap_or_default();
            Ok([&header[..], row].concat())
        })
        .collect()
}
