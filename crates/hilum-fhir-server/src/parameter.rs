//! Search parameters beside those of the standard: SearchParameter resources of the tenant and of
//! its packages (FHIR R4 searchparameter.html).
//!
//! One that is active is checked before it is stored, so what is stored can be used. It is indexed
//! from the commit on that stores it; the resources from before are indexed by a reindex, and until
//! that has ended no search may use it.

use hilum_fhir::definitions::{Definitions, TypeId};
use hilum_fhir::package::Guides;
use hilum_fhir::search::{CustomParam, ParamError, ParamSet};
use hilum_fhir::{IssueType, Problem, Resource};
use hilum_fhir_store::{Criterion, Query, ResourceType, StoreError, Test, TokenTest};

use crate::fault::Fault;
use crate::tenant::Tenant;
use crate::write;

const TYPE: &str = "SearchParameter";

/// SearchParameters that are read at once.
const PAGE: u32 = 200;

/// The number of the type in the store.
pub(crate) fn stored_type(tenant: &Tenant) -> Option<ResourceType> {
    let ty = tenant.table.definitions.type_named(TYPE)?;
    tenant.table.stored(ty)
}

/// Those of the standard may be stored too; they are in use in any case.
fn is_standard(url: &str) -> bool {
    let mut all = Definitions::r4().all_search_params().iter();
    !url.is_empty() && all.any(|def| def.url == url)
}

/// Refuses a SearchParameter that is active and cannot be used.
pub(crate) fn check(tenant: &Tenant, resource: &Resource) -> Result<(), Fault> {
    let url = resource.root().child_text("url").unwrap_or_default();
    if resource.type_name() != TYPE || is_standard(url) {
        return Ok(());
    }
    let param = CustomParam::of(resource).map_err(Fault::unprocessable)?;
    let Some(param) = param else { return Ok(()) };
    let wrong = |code, place: &str, text: String| {
        let problem = Problem::error(code, text).at(format!("{TYPE}.{place}"));
        Err(Fault::unprocessable(vec![problem]))
    };
    let others = tenant.custom.iter().filter(|other| other.url != param.url);
    let others: Vec<CustomParam> = others.cloned().collect();
    if others.len() >= tenant.custom_max {
        let text = format!(
            "there are {} search parameters beside those of the standard already, which is \
             `custom_parameters_max`; retire one that is not used",
            tenant.custom_max
        );
        return wrong(IssueType::TooCostly, "status", text);
    }
    let (set, _) = added(ParamSet::r4(), others);
    match set.with(&param) {
        Ok(_) => Ok(()),
        Err(ParamError::Taken(code)) => {
            let tables = Definitions::r4();
            let name = |ty: &TypeId| tables.type_def(*ty).name;
            let on = param
                .resources
                .iter()
                .find(|ty| set.find(**ty, &code).is_some());
            let text = format!(
                "{} has a search parameter `{code}` already; choose another code",
                on.map_or("the type", name)
            );
            wrong(IssueType::Duplicate, "code", text)
        }
        Err(ParamError::Component(_)) => {
            let text = "a component is no search parameter of each of the types of `base`; name \
                        one by its URL"
                .to_owned();
            wrong(IssueType::NotFound, "component", text)
        }
        Err(error) => wrong(IssueType::Value, "expression", error.to_string()),
    }
}

/// The parameters that the tenant's own SearchParameters define, oldest first.
pub(crate) async fn stored(tenant: &Tenant) -> Result<Vec<CustomParam>, StoreError> {
    let table = &tenant.table;
    let ty = table.definitions.type_named(TYPE);
    let known = ty.and_then(|ty| Some((table.stored(ty)?, table.param(ty, "status")?.key)));
    let Some((ty, status)) = known else {
        return Ok(Vec::new());
    };
    let active = Test::Token(vec![TokenTest::Code("active".to_owned())]);
    let mut query = Query {
        types: vec![ty],
        criteria: vec![Criterion::Param {
            params: vec![status],
            test: active,
        }],
        count: PAGE,
        ..Query::default()
    };
    let mut found = Vec::new();
    loop {
        let page = tenant.store.search(query.clone()).await?;
        for one in &page.found {
            let resource = write::spliced(&one.stored).map(|json| write::trusted(&json));
            let Some(Ok(resource)) = resource else {
                continue;
            };
            let url = resource.root().child_text("url").unwrap_or_default();
            if is_standard(url) {
                continue;
            }
            // One that was stored before the rules of today says nothing.
            found.extend(CustomParam::of(&resource).ok().flatten());
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(found),
        }
    }
}

/// The parameters of the standard, of packages, and these; with those that could be added.
pub(crate) fn set(guides: &Guides, stored: Vec<CustomParam>) -> (ParamSet, Vec<CustomParam>) {
    let of_guides = guides.search_parameters.iter().filter_map(|resource| {
        let mut param = CustomParam::of(resource).ok().flatten()?;
        // A guide names parameters of the standard again, often with a narrower meaning.
        let set = Definitions::r4();
        let taken = |ty: &TypeId| set.search_params(*ty).any(|def| def.code == param.code);
        let free: Vec<TypeId> = param
            .resources
            .iter()
            .copied()
            .filter(|ty| !taken(ty))
            .collect();
        param.resources = free;
        (!param.resources.is_empty()).then_some(param)
    });
    let (set, mut custom) = added(ParamSet::r4(), of_guides.collect());
    let (set, own) = added(set, stored);
    custom.extend(own);
    (set, custom)
}

/// Adds parameters in whatever order their components allow.
fn added(mut set: ParamSet, mut waiting: Vec<CustomParam>) -> (ParamSet, Vec<CustomParam>) {
    let mut custom = Vec::new();
    loop {
        let mut left = Vec::new();
        let before = waiting.len();
        for param in waiting {
            match set.with(&param) {
                Ok(more) => {
                    set = more;
                    custom.push(param);
                }
                Err(_) => left.push(param),
            }
        }
        if left.is_empty() || left.len() == before {
            return (set, custom);
        }
        waiting = left;
    }
}
