//! Units that are written without their values.

use super::trial::names;
use super::{settings, steps};
use crate::check::Piece;
use crate::diagnostic::Draft;
use crate::plan::channel::Checked;
use crate::yaml::{Node, Span};

/// Steps `set` that write OBX-6 in a list of steps that does not write OBX-5 and OBX-7 as well, or the
/// unit of a Quantity and not its value: a value keeps its meaning only with the unit that it was
/// measured in.
pub(super) fn alone(channel: &Checked<'_>) -> Vec<Draft> {
    let mut found = of(channel, &["steps"]);
    for name in &channel.destinations {
        found.extend(of(channel, &["to", name, "steps"]));
    }
    found
}

fn of(channel: &Checked<'_>, at: &[&str]) -> Vec<Draft> {
    let sets: Vec<&Piece> = steps(channel, at)
        .filter(|piece| piece.name == "set")
        .collect();
    let writes = |field: &str| {
        let written = sets.iter().flat_map(|piece| settings(piece).into_keys());
        written.into_iter().any(|path| names(path, field))
    };
    let mut found = quantities(&sets);
    let missing: Vec<&str> = [
        ("OBX-5", "the value (OBX-5)"),
        ("OBX-7", "the bounds (OBX-7)"),
    ]
    .into_iter()
    .filter(|(field, _)| !writes(field))
    .map(|(_, word)| word)
    .collect();
    if missing.is_empty() {
        return found;
    }
    let entries = sets.iter().flat_map(|piece| piece.node.entries());
    let units = entries.filter(|(key, _): &&(_, Node)| names(&key.text, "OBX-6"));
    found.extend(units.map(|(key, _)| draft(key.span, &missing.join(" and "))));
    found
}

/// Units of a Quantity of FHIR that are written in steps that do not write its value.
fn quantities(sets: &[&Piece]) -> Vec<Draft> {
    let paths = || sets.iter().flat_map(|piece| settings(piece).into_keys());
    let entries = sets.iter().flat_map(|piece| piece.node.entries());
    let alone = entries.filter(|(key, _)| {
        let unit = quantity(&key.text).filter(|(_, leaf)| matches!(*leaf, "unit" | "code"));
        unit.is_some_and(|(of, _)| {
            let value = |path: &str| quantity(path) == Some((of, "value"));
            !paths().any(value)
        })
    });
    alone
        .map(|(key, _)| draft(key.span, "the value of its quantity"))
        .collect()
}

/// A quantity in a path of FHIR, and the element of it that is meant.
fn quantity(path: &str) -> Option<(&str, &str)> {
    let (of, leaf) = path.rsplit_once('.')?;
    let name = of.rsplit('.').next()?.split('[').next()?;
    matches!(name, "valueQuantity" | "value" | "low" | "high").then_some((of, leaf))
}

fn draft(span: Span, missing: &str) -> Draft {
    let remedy = "let the step `units` convert them together, or leave the unit as it came; if the unit \
                  was only absent, write so: `silence: { W0317: … }`";
    let text = format!("a unit is set without {missing}");
    Draft::warning("W0317", span, text).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::quantity;

    #[test]
    fn the_unit_of_a_quantity_is_known_by_what_it_is_in() {
        for (path, expected) in [
            (
                "Observation.valueQuantity.unit",
                Some(("Observation.valueQuantity", "unit")),
            ),
            (
                "entry.resource.component[0].value.code",
                Some(("entry.resource.component[0].value", "code")),
            ),
            (
                "Observation.referenceRange[1].low.value",
                Some(("Observation.referenceRange[1].low", "value")),
            ),
            ("Observation.code", None),
            ("Observation.code.coding[0].code", None),
            ("OBX-6.1", None),
        ] {
            assert_eq!(quantity(path), expected, "{path}");
        }
    }
}
