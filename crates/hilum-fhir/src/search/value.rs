//! From elements to search values, by kind of parameter and type of element.

use std::borrow::Cow;

use hilum_fhirpath::{Env, Expression, Item, Moment, Value};

use super::date::date_range_ms;
use super::params::{Component, ParamId, ParamSet, Part, Plan};
use super::reference::{ReferenceTarget, parse_reference};
use super::{ReferenceValue, SearchValue};
use crate::definitions::{PrimitiveKind, SearchParamKind};
use crate::fhirpath::R4Types;
use crate::resource::{Node, Resource};

const CURRENCY: &str = "urn:iso:std:iso:4217";

/// What searches find a resource by.
#[derive(Debug, Default)]
pub struct Extracted<'r> {
    /// Parameters and their values, those of one parameter together.
    pub values: Vec<(ParamId, SearchValue<'r>)>,
    /// Parameters whose expression could not be evaluated here.
    pub failed: Vec<ParamId>,
}

/// Takes out of a resource what the parameters of its type say about it.
///
/// An expression that asks for the time gets 1970-01-01: what is in an index does not change by
/// itself.
#[must_use]
pub fn extract<'r>(resource: &'r Resource, params: &ParamSet) -> Extracted<'r> {
    let root = resource.root();
    let mut extracted = Extracted::default();
    let mut found = Vec::new();
    for planned in params.planned(resource.type_id()) {
        let kind = planned.kind;
        let fine = match &planned.plan {
            Plan::Ways(ways) => {
                ways.walk(root, &mut |way, node| {
                    values(kind, way.system, node, &mut found);
                });
                true
            }
            Plan::Expression(expression) => evaluated(kind, expression, root, &mut found),
            Plan::Composite(parts) => {
                for part in parts {
                    composite(part, root, &mut found);
                }
                true
            }
            Plan::CompositeExpression(base, components) => {
                composite_evaluated(base, components, root, &mut found)
            }
            Plan::Nothing => true,
        };
        if !fine {
            extracted.failed.push(planned.id);
        }
        let values = found.drain(..).map(|value| (planned.id, value));
        extracted.values.extend(values);
    }
    extracted
}

fn composite<'r>(part: &Part, root: Node<'r>, found: &mut Vec<SearchValue<'r>>) {
    part.way.walk(root, &mut |base| {
        let of = |component: &Component| {
            let from = if component.from_root { root } else { base };
            let mut inner = Vec::new();
            component.ways.walk(from, &mut |way, node| {
                values(component.kind, way.system, node, &mut inner);
            });
            inner
        };
        let tuple: Vec<_> = part.components.iter().map(of).collect();
        if tuple.iter().all(|values| !values.is_empty()) {
            found.push(SearchValue::Composite(tuple));
        }
    });
}

/// Evaluates an expression; whether that went well.
fn evaluated<'r>(
    kind: SearchParamKind,
    expression: &Expression,
    from: Node<'r>,
    found: &mut Vec<SearchValue<'r>>,
) -> bool {
    let env = Env::new(Moment::from_unix_millis(0, 0)).with_host(&R4Types);
    let Ok(items) = expression.evaluate(from.resource(), from.id(), &env) else {
        return false;
    };
    for item in items.iter() {
        match item {
            Item::Node(node) => {
                if let Some(node) = Node::from_id(from.resource(), node.id) {
                    values(kind, None, node, found);
                }
            }
            Item::Value(value) => computed(kind, value, found),
        }
    }
    true
}

fn computed(kind: SearchParamKind, value: &Value<'_>, found: &mut Vec<SearchValue<'_>>) {
    let text = value.clone().into_text().into_owned();
    match kind {
        SearchParamKind::Token => found.push(token(None, Some(Cow::Owned(text)))),
        SearchParamKind::String => found.push(SearchValue::String(Cow::Owned(text))),
        SearchParamKind::Uri => found.push(SearchValue::Uri(Cow::Owned(text))),
        SearchParamKind::Date => found.extend(date(&text)),
        SearchParamKind::Number => found.extend(number(&text)),
        SearchParamKind::Reference
        | SearchParamKind::Composite
        | SearchParamKind::Quantity
        | SearchParamKind::Special => {}
    }
}

fn composite_evaluated<'r>(
    base: &Expression,
    components: &[(SearchParamKind, Expression)],
    root: Node<'r>,
    found: &mut Vec<SearchValue<'r>>,
) -> bool {
    let env = Env::new(Moment::from_unix_millis(0, 0)).with_host(&R4Types);
    let Ok(items) = base.evaluate(root.resource(), root.id(), &env) else {
        return false;
    };
    let mut fine = true;
    for node in items.nodes() {
        let Some(node) = Node::from_id(root.resource(), node) else {
            continue;
        };
        let of = |(kind, expression): &(SearchParamKind, Expression)| {
            let mut inner = Vec::new();
            fine &= evaluated(*kind, expression, node, &mut inner);
            inner
        };
        let tuple: Vec<_> = components.iter().map(of).collect();
        if tuple.iter().all(|values| !values.is_empty()) {
            found.push(SearchValue::Composite(tuple));
        }
    }
    fine
}

/// The values of one element.
fn values<'r>(
    kind: SearchParamKind,
    system: Option<&'static str>,
    node: Node<'r>,
    found: &mut Vec<SearchValue<'r>>,
) {
    match kind {
        SearchParamKind::Token => tokens(system, node, found),
        SearchParamKind::String => strings(node, found),
        SearchParamKind::Date => dates(node, found),
        SearchParamKind::Number => numbers(node, found),
        SearchParamKind::Quantity => quantities(node, found),
        SearchParamKind::Reference => references(node, found),
        SearchParamKind::Uri => found.extend(node.text().map(|t| SearchValue::Uri(t.into()))),
        SearchParamKind::Composite | SearchParamKind::Special => {}
    }
}

const fn token<'r>(system: Option<Cow<'r, str>>, code: Option<Cow<'r, str>>) -> SearchValue<'r> {
    SearchValue::Token {
        system,
        code,
        text: None,
    }
}

fn cow<'r>(node: Node<'r>, name: &str) -> Option<Cow<'r, str>> {
    node.child_text(name).map(Cow::Borrowed)
}

/// FHIR R4 search.html#token.
fn tokens<'r>(system: Option<&'static str>, node: Node<'r>, found: &mut Vec<SearchValue<'r>>) {
    match node.type_name() {
        "CodeableConcept" => {
            for child in node.children() {
                match (child.name(), child.text()) {
                    ("coding", _) => found.extend(coding(child)),
                    ("text", Some(text)) => found.push(SearchValue::Token {
                        system: None,
                        code: None,
                        text: Some(Cow::Borrowed(text)),
                    }),
                    _ => {}
                }
            }
        }
        "Coding" => found.extend(coding(node)),
        "Identifier" => identifier(node, found),
        "ContactPoint" => {
            let value = cow(node, "value");
            if value.is_some() {
                found.push(token(cow(node, "system"), value));
            }
        }
        _ => {
            if let Some(text) = node.text() {
                found.push(token(system.map(Cow::Borrowed), Some(Cow::Borrowed(text))));
                // `text/xml; charset=UTF-8` is below `text/xml` (FHIR R4 search.html#mimetype).
                if let Some((base, _)) = text.split_once(';') {
                    found.push(token(None, Some(Cow::Owned(below_mime_type(base.trim())))));
                }
            }
        }
    }
}

/// What stands in an index for a MIME type with parameters, beside the whole of it; no type is
/// written like this.
#[must_use]
pub fn below_mime_type(base: &str) -> String {
    format!("{base};*")
}

fn coding(node: Node<'_>) -> Option<SearchValue<'_>> {
    let (system, code) = (cow(node, "system"), cow(node, "code"));
    let text = cow(node, "display");
    let any = system.is_some() || code.is_some() || text.is_some();
    any.then_some(SearchValue::Token { system, code, text })
}

fn identifier<'r>(node: Node<'r>, found: &mut Vec<SearchValue<'r>>) {
    let kind = node.child("type");
    let (system, code) = (cow(node, "system"), cow(node, "value"));
    let text = kind.and_then(|kind| cow(kind, "text"));
    let value = node.child_text("value");
    if system.is_some() || code.is_some() {
        found.push(SearchValue::Token { system, code, text });
    }
    let Some(value) = value else { return };
    let codings = kind.into_iter().flat_map(|kind| kind.children());
    for coding in codings.filter(|child| child.name() == "coding") {
        if let Some(code) = cow(coding, "code") {
            found.push(SearchValue::OfType {
                system: cow(coding, "system"),
                code,
                value: Cow::Borrowed(value),
            });
        }
    }
}

/// FHIR R4 search.html#string: of names and addresses, each part that people would look for.
fn strings<'r>(node: Node<'r>, found: &mut Vec<SearchValue<'r>>) {
    let parts: &[&str] = match node.type_name() {
        "HumanName" => &["text", "family", "given", "prefix", "suffix"],
        "Address" => &[
            "text",
            "line",
            "city",
            "district",
            "state",
            "postalCode",
            "country",
        ],
        "CodeableConcept" => {
            for coding in node.children_named("coding") {
                found.extend(cow(coding, "display").map(SearchValue::String));
            }
            &["text"]
        }
        "Coding" => &["display"],
        "Annotation" => &["text"],
        "Identifier" | "ContactPoint" => &["value"],
        _ => {
            found.extend(node.text().map(|text| SearchValue::String(text.into())));
            return;
        }
    };
    for child in node.children() {
        if let (true, Some(text)) = (parts.contains(&child.name()), child.text()) {
            found.push(SearchValue::String(Cow::Borrowed(text)));
        }
    }
}

fn date(text: &str) -> Option<SearchValue<'static>> {
    date_range_ms(text).map(|(start_ms, end_ms)| SearchValue::Date { start_ms, end_ms })
}

/// FHIR R4 search.html#date.
fn dates<'r>(node: Node<'r>, found: &mut Vec<SearchValue<'r>>) {
    let range = match node.type_name() {
        "Period" => period(node),
        "Timing" => timing(node),
        _ => node.text().and_then(date_range_ms),
    };
    found.extend(range.map(|(start_ms, end_ms)| SearchValue::Date { start_ms, end_ms }));
}

fn period(node: Node<'_>) -> Option<(i64, i64)> {
    let end_of = |name: &str| node.child_text(name).and_then(date_range_ms);
    let (start, end) = (end_of("start"), end_of("end"));
    (start.is_some() || end.is_some()).then(|| {
        (
            start.map_or(i64::MIN, |range| range.0),
            end.map_or(i64::MAX, |range| range.1),
        )
    })
}

/// From the first to the last of its events and bounds.
fn timing(node: Node<'_>) -> Option<(i64, i64)> {
    let events = node.children_named("event");
    let events = events.filter_map(|event| event.text().and_then(date_range_ms));
    let repeat = node.child("repeat").into_iter();
    let bounds = repeat.flat_map(|repeat| repeat.children_named("bounds"));
    let bounds = bounds.filter(|bounds| bounds.type_name() == "Period");
    let all = events.chain(bounds.filter_map(period));
    all.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

fn plain_number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn number(text: &str) -> Option<SearchValue<'static>> {
    plain_number(text).map(|number| SearchValue::Number {
        low: number,
        high: number,
    })
}

fn numbers<'r>(node: Node<'r>, found: &mut Vec<SearchValue<'r>>) {
    if node.type_name() == "Range" {
        if let Some((low, high, _)) = range(node) {
            found.push(SearchValue::Number { low, high });
        }
        return;
    }
    let text = node.text().or_else(|| node.child_text("value"));
    found.extend(text.and_then(number));
}

/// Both ends, and a node that has the unit.
fn range(node: Node<'_>) -> Option<(f64, f64, Node<'_>)> {
    let (low, high) = (node.child("low"), node.child("high"));
    let value = |end: Option<Node<'_>>| end.and_then(|end| plain_number(end.child_text("value")?));
    let unit = low.or(high)?;
    match (value(low), value(high)) {
        (None, None) => None,
        (low, high) => Some((
            low.unwrap_or(f64::NEG_INFINITY),
            high.unwrap_or(f64::INFINITY),
            unit,
        )),
    }
}

/// FHIR R4 search.html#quantity.
fn quantities<'r>(node: Node<'r>, found: &mut Vec<SearchValue<'r>>) {
    let (low, high, unit) = match node.type_name() {
        "Range" => match range(node) {
            Some(range) => range,
            None => return,
        },
        "Money" => {
            if let Some(value) = node.child_text("value").and_then(plain_number) {
                found.push(SearchValue::Quantity {
                    low: value,
                    high: value,
                    system: Some(Cow::Borrowed(CURRENCY)),
                    code: cow(node, "currency"),
                    unit: None,
                });
            }
            return;
        }
        // Samples have an origin and a factor, no value that could be compared.
        "SampledData" => return,
        _ => {
            let Some(value) = node.child_text("value").and_then(plain_number) else {
                return;
            };
            match node.child_text("comparator") {
                Some("<" | "<=") => (f64::NEG_INFINITY, value, node),
                Some(">" | ">=") => (value, f64::INFINITY, node),
                _ => (value, value, node),
            }
        }
    };
    found.push(SearchValue::Quantity {
        low,
        high,
        system: cow(unit, "system"),
        code: cow(unit, "code"),
        unit: cow(unit, "unit"),
    });
}

/// FHIR R4 search.html#reference.
fn references<'r>(node: Node<'r>, found: &mut Vec<SearchValue<'r>>) {
    let mut value = ReferenceValue::default();
    if node.is_resource() {
        value.resource_type = Some(Cow::Borrowed(node.type_name()));
        value.id = cow(node, "id");
    } else if let Some(text) = node.text() {
        if node.type_def().primitive() == Some(PrimitiveKind::Canonical) {
            let (url, version) = match text.split_once('|') {
                Some((url, version)) => (url, Some(version)),
                None => (text, None),
            };
            value.url = (!url.starts_with('#')).then_some(Cow::Borrowed(url));
            value.version = version.map(Cow::Borrowed);
        } else {
            target(text, &mut value);
        }
    } else {
        value.resource_type = cow(node, "type");
        if let Some(text) = node.child_text("reference") {
            target(text, &mut value);
        }
        value.identifier = node
            .child("identifier")
            .map(|identifier| (cow(identifier, "system"), cow(identifier, "value")))
            .filter(|pair| *pair != (None, None));
    }
    if value.id.is_some() || value.url.is_some() || value.identifier.is_some() {
        found.push(SearchValue::Reference(Box::new(value)));
    }
}

fn target<'r>(text: &'r str, value: &mut ReferenceValue<'r>) {
    match parse_reference(text) {
        // Nothing else is found by it, but the element is not missing.
        ReferenceTarget::Contained(_) => value.url = Some(Cow::Borrowed(text)),
        ReferenceTarget::Relative {
            resource_type,
            id,
            version,
        } => {
            value.resource_type = Some(Cow::Borrowed(resource_type));
            value.id = Some(Cow::Borrowed(id));
            value.version = version.map(Cow::Borrowed);
        }
        ReferenceTarget::Absolute {
            url,
            resource_type,
            id,
            version,
            ..
        } => {
            value.resource_type = Some(Cow::Borrowed(resource_type));
            value.id = Some(Cow::Borrowed(id));
            value.url = Some(Cow::Borrowed(url));
            value.version = version.map(Cow::Borrowed);
        }
        ReferenceTarget::Uri(uri) => value.url = Some(Cow::Borrowed(uri)),
    }
}
