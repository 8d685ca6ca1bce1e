//! Units that are written without their values.

use super::trial::names;
use super::{settings, steps};
use crate::check::Piece;
use crate::diagnostic::Draft;
use crate::plan::channel::Checked;
use crate::yaml::Node;

/// Steps `set` that write OBX-6 in a list of steps that does not write OBX-5 and OBX-7 as well: a
/// value keeps its meaning only with the unit that it was measured in.
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
    let missing: Vec<&str> = [
        ("OBX-5", "the value (OBX-5)"),
        ("OBX-7", "the bounds (OBX-7)"),
    ]
    .into_iter()
    .filter(|(field, _)| !writes(field))
    .map(|(_, word)| word)
    .collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let entries = sets.iter().flat_map(|piece| piece.node.entries());
    let units = entries.filter(|(key, _): &&(_, Node)| names(&key.text, "OBX-6"));
    units
        .map(|(key, _)| {
            let text = format!("a unit is set without {}", missing.join(" and "));
            let remedy = "convert them together, or leave the unit as it came; if the unit was only \
                          absent, write so: `silence: { W0317: … }`";
            Draft::warning("W0317", key.span, text).remedy(remedy)
        })
        .collect()
}
