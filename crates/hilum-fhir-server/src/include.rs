//! Following references from resources, or towards them.

use hilum_fhir::definitions::{SearchParamKind, TypeId};
use hilum_fhir_store::{ParamKey, Pk, Stored};

use crate::call::Call;
use crate::fault::Fault;
use crate::search::Include;

/// What an include finds from these resources, at most about so many.
pub(crate) async fn follow(
    call: &Call,
    include: &Include,
    from: &[Stored],
    room: usize,
) -> Result<Vec<Stored>, Fault> {
    let pks = if include.reverse {
        towards(call, include, from, room).await?
    } else {
        away(call, include, from).await?
    };
    let kept = pks.into_iter().take(room.saturating_add(1)).collect();
    let mut found = call.tenant.store.fetch(kept).await?;
    if let Some(target) = include.target.filter(|_| !include.reverse) {
        found.retain(|stored| call.tenant.table.type_of(stored.resource_type) == Some(target));
    }
    Ok(found)
}

/// The keys of the parameters that an include follows from a type.
fn keys(call: &Call, include: &Include, ty: TypeId) -> Vec<ParamKey> {
    match include.param {
        Some(key) => vec![key],
        None => {
            let all = call.tenant.table.params(ty);
            let references = all
                .into_iter()
                .filter(|param| param.def.kind == SearchParamKind::Reference);
            references.map(|param| param.key).collect()
        }
    }
}

/// What the resources refer to.
async fn away(call: &Call, include: &Include, from: &[Stored]) -> Result<Vec<Pk>, Fault> {
    let table = &call.tenant.table;
    let fits = |stored: &&Stored| {
        include.source.is_none() || table.type_of(stored.resource_type) == include.source
    };
    let pks: Vec<Pk> = from.iter().filter(fits).map(|stored| stored.pk).collect();
    let keys = match include.source {
        Some(source) => keys(call, include, source),
        // Every reference of every type.
        None => Vec::new(),
    };
    if pks.is_empty() {
        return Ok(pks);
    }
    Ok(call.tenant.store.references(pks, keys).await?)
}

/// What refers to the resources.
async fn towards(
    call: &Call,
    include: &Include,
    from: &[Stored],
    room: usize,
) -> Result<Vec<Pk>, Fault> {
    let table = &call.tenant.table;
    let fits = |to: &&Stored| {
        include.target.is_none() || table.type_of(to.resource_type) == include.target
    };
    let pks: Vec<Pk> = from.iter().filter(fits).map(|to| to.pk).collect();
    if pks.is_empty() {
        return Ok(pks);
    }
    let keys = match include.source {
        Some(source) => keys(call, include, source),
        None => pointing(call, from),
    };
    Ok(call
        .tenant
        .store
        .referencing(pks, keys, room.saturating_add(1))
        .await?)
}

/// The keys of every parameter that may refer to one of the types of these resources.
fn pointing(call: &Call, to: &[Stored]) -> Vec<ParamKey> {
    let table = &call.tenant.table;
    let mut types: Vec<TypeId> = to
        .iter()
        .filter_map(|stored| table.type_of(stored.resource_type))
        .collect();
    types.sort_unstable();
    types.dedup();
    let all = table.all().into_iter().flat_map(|ty| table.params(ty));
    let references = all.filter(|param| param.def.kind == SearchParamKind::Reference);
    let points = |param: &crate::search::table::Param<'_>| {
        let targets = table.targets(param.def);
        types.iter().any(|ty| targets.contains(ty))
    };
    references.filter(points).map(|param| param.key).collect()
}
