//! Definitions from the store.

use std::sync::Arc;

use hilum_fhir::Resource;
use hilum_fhir_store::{Criterion, Query, StringMode, Test, UriMode};
use hilum_terminology::map::ConceptMap;
use hilum_terminology::{ReadError, System, ValueSet, Versions, Wanted};

use super::cache::Loaded;
use crate::fault::Fault;
use crate::take::heavy;
use crate::tenant::Tenant;
use crate::write;

/// Versions of one definition, or maps of one system, that are looked at.
const VERSIONS_MAX: usize = 1_000;
/// How many are read at once.
const PAGE: u32 = 100;

/// Everything that is stored of what is wanted.
pub(super) async fn load(tenant: &Tenant, wanted: &Wanted) -> Result<Loaded, Fault> {
    let (name, param, url) = match wanted {
        Wanted::Systems(url) => ("CodeSystem", "url", url),
        Wanted::ValueSets(url) => ("ValueSet", "url", url),
        Wanted::Maps(url) => ("ConceptMap", "url", url),
        Wanted::MapsFrom(url) => ("ConceptMap", "source-system", url),
        Wanted::MapsTo(url) => ("ConceptMap", "target-system", url),
    };
    let test = Test::Uri(UriMode::Equal, vec![url.to_string()]);
    let stored = found(tenant, name, param, test).await?;
    let bytes = stored.iter().map(Vec::len).sum();
    let wanted = wanted.clone();
    heavy(bytes, move || {
        Ok(match wanted {
            Wanted::Systems(_) => Loaded::Systems(all(&stored, |of| System::of(&of))),
            Wanted::ValueSets(_) => {
                Loaded::ValueSets(all(&stored, |of| Ok(ValueSet::of(Arc::new(of)))))
            }
            Wanted::Maps(_) | Wanted::MapsFrom(_) | Wanted::MapsTo(_) => {
                Loaded::Maps(all(&stored, |of| ConceptMap::of(&of)))
            }
        })
    })
    .await
}

/// What can be used of what is stored; what cannot be is told once, since nobody asked for it by
/// name.
fn all<T>(stored: &[Vec<u8>], of: impl Fn(Resource) -> Result<T, ReadError>) -> Versions<T> {
    let mut found = Vec::new();
    for json in stored {
        let Ok(resource) = write::trusted(json) else {
            continue;
        };
        match of(resource) {
            Ok(one) => found.push(Arc::new(one)),
            Err(error) => tracing::warn!(%error, "a stored definition cannot be used"),
        }
    }
    (!found.is_empty()).then(|| found.into())
}

/// The NamingSystems with one of these names, as JSON.
pub(crate) async fn naming_systems(
    tenant: &Tenant,
    names: Vec<String>,
) -> Result<Vec<Vec<u8>>, Fault> {
    let test = Test::String(StringMode::Exact, names);
    found(tenant, "NamingSystem", "value", test).await
}

/// The resources of a type that a search by one parameter finds, as JSON.
async fn found(
    tenant: &Tenant,
    name: &str,
    param: &str,
    test: Test,
) -> Result<Vec<Vec<u8>>, Fault> {
    let table = &tenant.table;
    let ty = table.type_named(name);
    let known = ty.and_then(|ty| Some((table.stored(ty)?, table.param(ty, param)?.key)));
    let Some((ty, key)) = known else {
        return Ok(Vec::new());
    };
    let mut query = Query {
        types: vec![ty],
        criteria: vec![Criterion::Param {
            params: vec![key],
            test,
        }],
        count: PAGE,
        ..Query::default()
    };
    let mut found = Vec::new();
    loop {
        let page = tenant.search(query.clone()).await?;
        found.extend(
            page.found
                .iter()
                .filter_map(|one| write::spliced(&one.stored)),
        );
        match page.next {
            Some(next) if found.len() < VERSIONS_MAX => query.after = Some(next),
            _ => return Ok(found),
        }
    }
}
