//! Operations: what is called by a name with `$` (FHIR R4 operations.html).

pub(crate) mod erase;
mod gather;
mod meta;
mod snapshot;
mod validate;

use crate::route::Entry;

pub(crate) fn routes() -> Vec<Entry> {
    validate::routes()
        .into_iter()
        .chain(meta::routes())
        .chain(snapshot::routes())
        .chain(gather::routes())
        .chain(erase::routes())
        .collect()
}
