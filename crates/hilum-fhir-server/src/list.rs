//! The members of a List, for searches by `_list`.

use hilum_fhir_store::ResourceType;

use crate::call::Call;
use crate::fault::Fault;
use crate::search::is_id;
use crate::write;

/// The resources of this server that a list names; none if there is no such list. Items that are
/// marked as deleted are left out (FHIR R4 list.html#List.entry.deleted).
pub(crate) async fn items(
    call: &Call,
    id: &str,
) -> Result<Option<Vec<(ResourceType, String)>>, Fault> {
    let table = &call.tenant.table;
    let list = table.type_named("List").and_then(|ty| table.stored(ty));
    let Some(list) = list.filter(|_| is_id(id)) else {
        return Ok(None);
    };
    let stored = call.tenant.read(list, id).await?;
    let Some(json) = stored.as_ref().and_then(write::spliced) else {
        return Ok(None);
    };
    let resource = write::trusted(&json)?;
    let mut items = Vec::new();
    for entry in resource.root().children_named("entry") {
        if entry.child_text("deleted") == Some("true") {
            continue;
        }
        let reference = entry
            .child("item")
            .and_then(|item| item.child_text("reference"));
        let Some(reference) = reference else { continue };
        let local = reference
            .strip_prefix(&*call.base)
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or(reference);
        let mut parts = local.split('/');
        let ty = parts.next().and_then(|name| table.type_named(name));
        let stored = ty.and_then(|ty| table.stored(ty));
        if let (Some(stored), Some(id)) = (stored, parts.next()) {
            items.push((stored, id.to_owned()));
        }
    }
    Ok(Some(items))
}
