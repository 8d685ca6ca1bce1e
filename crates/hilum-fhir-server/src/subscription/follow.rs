//! Changes as the channels of this node follow them: read from the versions that every commit
//! writes and numbers, so nothing has to be registered before, and nothing is given twice to who
//! keeps the number.

use std::collections::HashMap;

use hilum_component::{FhirChange, FhirChanges, FhirInteraction, FhirPlace, FhirWanted};
use hilum_fhir_store::{ResourceType, Seq, StoreError, Stored};

use super::criteria::{self, Criteria};
use crate::as_of;
use crate::tenant::Tenant;
use crate::write;

/// What was changed behind a place. The error is a sentence without content.
pub(crate) async fn changes(tenant: &Tenant, wanted: &FhirWanted) -> Result<FhirChanges, String> {
    let mut types: HashMap<ResourceType, Option<Criteria>> = HashMap::new();
    for name in &wanted.types {
        let compiled = if wanted.query.is_empty() {
            criteria::compile(tenant, name).map(|plain| (plain.resource_type, None))
        } else {
            let text = format!("{name}?{}", wanted.query);
            criteria::compile(tenant, &text).map(|full| (full.resource_type, Some(full)))
        };
        types.extend([compiled.map_err(|text| format!("{name}: {text}"))?]);
    }
    let told = |error: StoreError| format!("the store cannot be read: {error}");
    let last = async || {
        let next = tenant.store.seq_at(i64::MAX).await.map_err(told)?;
        Ok::<_, String>(next.0 - 1)
    };
    let after = match wanted.after {
        FhirPlace::Beginning => 0,
        FhirPlace::End => last().await?,
        FhirPlace::Time(at_ms) => tenant.store.seq_at(at_ms).await.map_err(told)?.0 - 1,
        FhirPlace::Number(number) => number,
    };
    let of = types.keys().copied().collect();
    let found = tenant.store.changes(of, Seq(after), wanted.max).await;
    let found = found.map_err(told)?;
    if found.is_empty() && after > last().await? {
        return Err(format!(
            "the store ends before its change {after}, up to which it was followed: it is another \
             store, or was brought back from a backup"
        ));
    }
    let mut changes = Vec::with_capacity(found.len());
    let mut to = after;
    for stored in found {
        to = stored.seq.0;
        if stored.body.as_ref().is_some_and(as_of::is_quiet) {
            continue;
        }
        let criteria = types.get(&stored.resource_type).and_then(Option::as_ref);
        if matches(tenant, &stored, criteria).await.map_err(told)? {
            changes.push(change(tenant, &stored));
        }
    }
    Ok(FhirChanges { changes, to })
}

/// The resource as it became matches, or as it was before it was deleted.
async fn matches(
    tenant: &Tenant,
    stored: &Stored,
    criteria: Option<&Criteria>,
) -> Result<bool, StoreError> {
    let Some(criteria) = criteria else {
        return Ok(true);
    };
    let holds = |of: &Stored| {
        let seen = tenant.seen(of)?;
        Ok::<_, StoreError>(criteria.holds(&seen))
    };
    if stored.body.is_some() {
        return holds(stored);
    }
    let (of, version) = (stored.resource_type, stored.version.saturating_sub(1));
    let before = tenant.store.vread(of, &stored.id, version).await?;
    let before = before.filter(|before| before.body.is_some());
    before.map_or(Ok(false), |before| holds(&before))
}

fn change(tenant: &Tenant, stored: &Stored) -> FhirChange {
    let body = write::spliced(stored);
    FhirChange {
        number: stored.seq.0,
        interaction: match (&body, stored.created) {
            (None, _) => FhirInteraction::Delete,
            (Some(_), true) => FhirInteraction::Create,
            (Some(_), false) => FhirInteraction::Update,
        },
        target: format!("{}/{}", tenant.type_name(stored.resource_type), stored.id),
        at_ms: stored.updated_ms,
        body: body.unwrap_or_default().into(),
    }
}
