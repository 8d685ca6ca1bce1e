//! Observations of FHIR in other units: value, both bounds of each range and their text together, or
//! none of them.

use std::borrow::Cow;

use hilum_component::{Finding, Halted, Severity, StepContext, TraceLine};
use hilum_fhir::{EditError, Editor, Node, Resource};
use hilum_fhirpath::NodeId;
use hilum_message::{Metadata, Phi};

use super::result::{
    Conversions, INCOMPATIBLE, Left, RANGE, UNIT_MISSING, UNIT_UNKNOWN, VALUE, Wanted, limits,
};
use super::{Units, spelled};

/// The code system of units (FHIR R4 datatypes.html#Quantity).
const UCUM: &str = "http://unitsofmeasure.org";

/// One change of a resource: the element, the name of what is written in it, and the value.
struct Edit {
    of: NodeId,
    name: &'static str,
    path: String,
    before: String,
    after: String,
}

impl Units {
    /// The document with its Observations in their units; `None` if nothing is to be changed.
    pub(super) fn observations(
        &self,
        resource: &Resource,
        metadata: &Metadata,
        context: &mut StepContext<'_>,
    ) -> Result<Option<Resource>, Halted> {
        let mut edits = Vec::new();
        for observation in resource.nodes() {
            if observation.type_name() != "Observation" || !observation.is_resource() {
                continue;
            }
            context.spend()?;
            let parts = observation.children_named("component");
            for result in std::iter::once(observation).chain(parts) {
                let Some(row) = self.row_of(result, metadata) else {
                    continue;
                };
                let wanted = Wanted {
                    unit: &row.unit,
                    molar_mass: row.molar_mass.as_deref(),
                    spelled: &self.spelled,
                    decimal: self.signs.find(metadata),
                };
                match changes(&self.conversions, result, wanted) {
                    Ok(found) => edits.extend(found.into_iter().map(|edit| (edit, &*row.unit))),
                    Err(left) => context.findings.push(Finding {
                        step: context.step.to_owned(),
                        code: left.code.to_owned(),
                        path: Some(result.path()),
                        severity: Severity::Warning,
                        text: left.text.to_owned(),
                    }),
                }
            }
        }
        if edits.is_empty() {
            return Ok(None);
        }
        let changed =
            written(resource, &edits).map_err(|error| Halted::reject(error.to_string()))?;
        for (edit, unit) in edits {
            context.note(|step| TraceLine {
                step: step.to_owned(),
                path: Some(edit.path),
                before: Some(Phi::new(edit.before)),
                after: Some(Phi::new(edit.after)),
                note: format!("in {unit}"),
            });
        }
        Ok(Some(changed))
    }

    /// What is wanted of a result, by one of its codes.
    fn row_of(&self, result: Node<'_>, metadata: &Metadata) -> Option<&super::Row> {
        let mut codings = result.child("code")?.children_named("coding");
        codings.find_map(|coding| {
            let rows = self.rows.get(coding.child_text("code")?.trim())?;
            let system = coding.child_text("system").unwrap_or_default();
            let own = rows.iter().find(|row| {
                let named = row.system.as_deref();
                named.is_some_and(|name| {
                    name == system || self.systems.url(metadata, name).as_deref() == Some(system)
                })
            });
            own.or_else(|| rows.iter().find(|row| row.system.is_none()))
        })
    }
}

fn written(resource: &Resource, edits: &[(Edit, &str)]) -> Result<Resource, EditError> {
    let mut editor = Editor::new(resource);
    for (edit, _) in edits {
        editor.put(edit.of, edit.name, &edit.after)?;
    }
    Ok(editor.finish())
}

/// The unit of a quantity as UCUM has it; `None` where it has none.
fn unit<'r>(quantity: Node<'r>, wanted: Wanted<'r>) -> Result<Option<Cow<'r, str>>, Left> {
    let is_ucum = quantity.child_text("system") == Some(UCUM);
    let code = quantity.child_text("code").filter(|_| is_ucum);
    let came = code.or_else(|| quantity.child_text("unit"));
    let Some(came) = came.map(str::trim).filter(|came| !came.is_empty()) else {
        return Ok(None);
    };
    spelled::ucum(came, wanted.spelled)
        .map(Some)
        .ok_or(UNIT_UNKNOWN)
}

/// All changes of a result, found before the first is made.
fn changes(
    conversions: &Conversions,
    result: Node<'_>,
    wanted: Wanted<'_>,
) -> Result<Vec<Edit>, Left> {
    let Some(value) = result.child("value") else {
        return Ok(Vec::new());
    };
    let quantities: Vec<Node<'_>> = match value.type_name() {
        "Quantity" => vec![value],
        "Range" => bounds(value).collect(),
        "SampledData" => return Err(VALUE),
        // What is no number needs no unit.
        _ => return Ok(Vec::new()),
    };
    let numbered = |one: &Node<'_>| one.child_text("value").is_some();
    let quantities: Vec<Node<'_>> = quantities.into_iter().filter(numbered).collect();
    let mut from = None;
    for quantity in &quantities {
        let own = unit(*quantity, wanted)?.ok_or(UNIT_MISSING)?;
        let own = conversions.find(&own, wanted)?;
        if *from.get_or_insert_with(|| own.clone()) != own {
            return Err(INCOMPATIBLE);
        }
    }
    let Some(conversion) = from else {
        return Ok(Vec::new());
    };
    let ranges: Vec<Node<'_>> = result.children_named("referenceRange").collect();
    let limited: Vec<Node<'_>> = ranges.iter().flat_map(|range| bounds(*range)).collect();
    let limited: Vec<Node<'_>> = limited.into_iter().filter(numbered).collect();
    for limit in &limited {
        // They have the unit of the value (FHIR R4 observation.html, referenceRange).
        if let Some(own) = unit(*limit, wanted)?
            && conversions.find(&own, wanted)? != conversion
        {
            return Err(RANGE);
        }
    }
    let mut edits = Vec::new();
    let all = quantities.iter().chain(&limited);
    if conversion.is_same() {
        for quantity in all {
            coded(*quantity, wanted, &mut edits);
        }
        return Ok(edits);
    }
    let mut texts = Vec::new();
    for range in &ranges {
        if let Some(text) = range.child_text("text") {
            let parts = limits(text.trim(), wanted.decimal)?;
            if !parts.is_empty() {
                texts.push((*range, text, parts));
            }
        }
    }
    let digits = |nodes: &[Node<'_>]| -> Vec<String> {
        let values = nodes.iter().filter_map(|one| one.child_text("value"));
        values.map(str::to_owned).collect()
    };
    let (values, mut numbers) = (digits(&quantities), digits(&limited));
    let told = texts.iter().flat_map(|(.., parts)| parts);
    numbers.extend(told.map(|(_, digits)| digits.clone()));
    let found = conversion.results(&texts_of(&values), &texts_of(&numbers));
    let found = found.ok_or(VALUE)?;
    let mut after = found.values.into_iter().chain(found.limits);
    for quantity in all {
        push(
            *quantity,
            "value",
            after.next().unwrap_or_default(),
            &mut edits,
        );
        coded(*quantity, wanted, &mut edits);
        push(*quantity, "unit", wanted.unit.to_owned(), &mut edits);
    }
    for (range, _, parts) in &texts {
        let text: String = parts
            .iter()
            .zip(&mut after)
            .map(|((before, _), number)| format!("{before}{}", wanted.write(&number)))
            .collect();
        push(*range, "text", text, &mut edits);
    }
    Ok(edits)
}

fn texts_of(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

fn bounds(of: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    ["low", "high"]
        .into_iter()
        .filter_map(move |name| of.child(name))
}

/// Writes the unit as a code.
fn coded(quantity: Node<'_>, wanted: Wanted<'_>, edits: &mut Vec<Edit>) {
    push(quantity, "system", UCUM.to_owned(), edits);
    push(quantity, "code", wanted.unit.to_owned(), edits);
}

fn push(of: Node<'_>, name: &'static str, after: String, edits: &mut Vec<Edit>) {
    let before = of.child_text(name).unwrap_or_default();
    if before != after {
        edits.push(Edit {
            of: of.id(),
            name,
            path: format!("{}.{name}", of.path()),
            before: before.to_owned(),
            after,
        });
    }
}
