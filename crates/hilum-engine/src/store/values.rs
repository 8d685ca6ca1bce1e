//! Named values in the row of a message: as it came, and beside them what each delivery changed.
//!
//! A replay and a look at the steps begin with the values as they came; a delivery carries them as
//! the steps and its destination's own steps left them.

use std::collections::BTreeMap;

use hilum_component::Processed;
use hilum_message::Metadata;

/// The value that holds the changes: an object where all deliveries changed the same, else a list
/// by ordinal.
const CHANGED: &str = "hilum.changed";
/// Names of the engine, which steps do not change.
const OWN: &str = "hilum.";

/// What was set, and what was removed.
type Changes = BTreeMap<String, Option<String>>;

/// The values of a processed message for its row.
pub(super) fn for_row(processed: &Processed) -> Metadata {
    let came = &processed.metadata;
    let deliveries = processed.deliveries.iter();
    let changes: Vec<_> = deliveries
        .map(|delivery| changes(came, &delivery.metadata))
        .collect();
    let mut row = came.clone();
    let written = match changes.first() {
        Some(first) if changes.iter().all(|other| other == first) => {
            if first.is_empty() {
                return row;
            }
            serde_json::to_string(first)
        }
        Some(_) => serde_json::to_string(&changes),
        None => return row,
    };
    // Texts under texts can always be written.
    if let Ok(written) = written {
        row.set(CHANGED, written);
    }
    row
}

fn changes(came: &Metadata, left: &Metadata) -> Changes {
    let own = |name: &str| name.starts_with(OWN);
    let set = left
        .iter()
        .filter(|&(name, value)| !own(name) && came.get(name) != Some(value))
        .map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
    let removed = came
        .iter()
        .filter(|&(name, _)| !own(name) && left.get(name).is_none())
        .map(|(name, _)| (name.to_owned(), None));
    set.chain(removed).collect()
}

/// The values as the message came.
pub(crate) fn as_it_came(mut row: Metadata) -> Metadata {
    row.remove(CHANGED);
    row
}

/// The values that a delivery carries.
pub(crate) fn of_delivery(row: &Metadata, ordinal: u32) -> Metadata {
    let Some(written) = row.get(CHANGED) else {
        return row.clone();
    };
    let changes = if written.starts_with('[') {
        let each = serde_json::from_str::<Vec<Changes>>(written).ok();
        each.and_then(|mut each| {
            let at = usize::try_from(ordinal).ok()?;
            (at < each.len()).then(|| each.swap_remove(at))
        })
    } else {
        serde_json::from_str(written).ok()
    };
    let mut values = as_it_came(row.clone());
    for (name, value) in changes.unwrap_or_default() {
        match value {
            Some(value) => values.set(name, value),
            None => values.remove(&name),
        }
    }
    values
}
