//! The criteria of a subscription, compiled to a condition on what is about to be written.

use std::sync::Arc;

use hilum_fhir_store::{Condition, ResourceType, StoreError};

use super::commit::Seen;
use crate::limits::Limits;
use crate::request::{Handling, pairs};
use crate::search::{Context, Keys, Known, Reading, View};
use crate::tenant::Tenant;

/// A condition on resources of one type.
#[derive(Clone, Debug)]
pub(crate) struct Criteria {
    pub(crate) resource_type: ResourceType,
    pub(crate) condition: Arc<Condition>,
}

impl Criteria {
    pub(super) fn holds(&self, seen: &Seen) -> bool {
        self.condition.holds(&seen.searchable)
    }
}

/// Compiles `Observation?code=...`; without `?` every resource of the type is meant. The error is a
/// sentence without content.
pub(crate) fn compile(tenant: &Tenant, text: &str) -> Result<Criteria, String> {
    let (name, query) = text.split_once('?').unwrap_or((text, ""));
    let table = &tenant.table;
    let found = table
        .type_named(name)
        .and_then(|ty| Some((ty, table.stored(ty)?)));
    let (ty, resource_type) =
        found.ok_or("the criteria begin with no type of resource: write `Observation?code=...`")?;
    let pairs = pairs(query).map_err(|_| "the criteria are not UTF-8")?;
    let limits = Limits::default();
    // Sets of codes are looked up for each search; a condition is compiled once.
    let known = Known::default();
    let base = tenant.subscriptions.base();
    let reading = Reading {
        keys: Keys {
            context: Context {
                table,
                now_ms: tenant.subscriptions.now_ms(),
                base,
                values_max: limits.search_values_max,
                known: &known,
            },
            chain_max: limits.chain_max,
        },
        limits: &limits,
        handling: Handling::Strict,
    };
    if pairs.iter().any(|(name, _)| name.starts_with("_list")) {
        return Err("the criteria take no `_list`: a list changes without its members".to_owned());
    }
    if pairs
        .iter()
        .any(|(name, _)| name.ends_with(":in") || name.ends_with(":not-in"))
    {
        return Err("the criteria take no value set: name the codes".to_owned());
    }
    let search = crate::search::parse(reading, Some(ty), &pairs).map_err(|fault| {
        let told = fault.problems.first().map(|problem| problem.text.clone());
        format!("the criteria: {}", told.unwrap_or_default())
    })?;
    let shaped = search.page.is_some()
        || search.explain
        || search.view != View::Full
        || !search.includes.is_empty()
        || !search.query.sort.is_empty();
    if shaped {
        return Err("the criteria hold a parameter that shapes a result".to_owned());
    }
    let condition = tenant.store.condition(&search.query).map_err(|error| {
        let text = match error {
            StoreError::Invalid(text) => text.to_owned(),
            other => other.to_string(),
        };
        format!("the criteria are asked of the changed resource alone: {text}")
    })?;
    Ok(Criteria {
        resource_type,
        condition: Arc::new(condition),
    })
}
