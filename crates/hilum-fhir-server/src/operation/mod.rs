//! Operations: what is called by a name with `$` (FHIR R4 operations.html).

mod batch_validate_code;
mod document;
pub(crate) mod erase;
mod everything;
mod expand;
mod lastn;
mod lookup;
mod meta;
mod preferred_id;
mod snapshot;
mod subsumes;
mod translate;
mod validate;
mod validate_code;

use hilum_fhir::IssueType;
use hilum_fhir_store::Stored;

use crate::bundle::Bundle;
use crate::call::Call;
use crate::fault::Fault;
use crate::interaction::{id_of, type_named};
use crate::route::Entry;
use crate::write;

pub(crate) fn routes() -> Vec<Entry> {
    validate::routes()
        .into_iter()
        .chain(meta::routes())
        .chain(snapshot::routes())
        .chain(everything::routes())
        .chain(lastn::routes())
        .chain(document::routes())
        .chain(erase::routes())
        .chain(lookup::routes())
        .chain(validate_code::routes())
        .chain(batch_validate_code::routes())
        .chain(subsumes::routes())
        .chain(expand::routes())
        .chain(translate::routes())
        .chain(preferred_id::routes())
        .collect()
}

/// The resource that an operation is about.
async fn focus(call: &Call, name: &str) -> Result<Stored, Fault> {
    let (_, stored_type) = type_named(call, name)?;
    let stored = call.tenant.read(stored_type, id_of(call)?).await?;
    let stored =
        stored.ok_or_else(|| Fault::missing(IssueType::NotFound, "there is no such resource"))?;
    if stored.body.is_none() {
        return Err(Fault::gone(u64::from(stored.version)));
    }
    Ok(stored)
}

fn add(call: &Call, bundle: &mut Bundle, stored: &Stored, mode: Option<&str>) {
    let Some(json) = write::spliced(stored) else {
        return;
    };
    let name = call.tenant.type_name(stored.resource_type);
    bundle.entry(|entry| {
        entry.full_url(&format!("{}/{name}/{}", call.base, stored.id));
        entry.resource(&json);
        if let Some(mode) = mode {
            entry.search_mode(mode);
        }
    });
}
