//! Changes of the state of a subscription that the server makes itself.

use std::sync::Arc;

use hilum_fhir::{Style, json};
use hilum_fhir_store::{Change, Commit, Expect, Expected, Method, StoreError};

use super::read::{Status, with_status};
use crate::fault::Fault;
use crate::slot::Slot;
use crate::write;

/// Times that a state is written anew because the subscription was changed meanwhile.
const TRIES_MAX: usize = 8;

/// Brings a subscription from one of some states to another. What a client has changed meanwhile
/// stays; one that is in another state by now is left alone.
pub(super) async fn change(
    slot: &Arc<Slot>,
    id: &str,
    from: &[Status],
    to: Status,
    error: Option<&str>,
) -> Result<(), Fault> {
    let tenant = slot.now();
    let Some(own) = tenant.subscriptions.resource_type() else {
        return Ok(());
    };
    for _ in 0..TRIES_MAX {
        let stored = tenant.store.read(own, id).await?;
        let Some((stored, bytes)) = stored.and_then(|stored| {
            let bytes = write::spliced(&stored)?;
            Some((stored, bytes))
        }) else {
            return Ok(());
        };
        let resource = write::trusted(&bytes)?;
        let known = resource.root().child_text("status").unwrap_or_default();
        if !from.iter().any(|status| status.code() == known) {
            return Ok(());
        }
        let changed = with_status(&resource, to, error)
            .ok_or_else(|| Fault::failed("the status of a subscription cannot be written"))?;
        let mut text = Vec::with_capacity(bytes.len() + 128);
        json::write(&changed, Style::Compact, &mut text);
        let commit = Commit {
            expectations: vec![Expect::Version {
                resource_type: own,
                id: id.to_owned(),
                expected: Expected::Exactly(stored.version),
            }],
            changes: vec![Change {
                resource_type: own,
                id: id.to_owned(),
                method: Method::Update {
                    body: write::body(&text, "Subscription", id),
                    rows: tenant.rows(&changed),
                },
            }],
            ..Commit::default()
        };
        match slot.commit(&tenant, commit).await {
            Ok(_) => {
                tracing::info!(subscription = %id, status = to.code(), "a subscription has another status");
                return Ok(());
            }
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(crate::interaction::restless())
}

/// The same where nobody waits for it: a failure is logged.
pub(super) async fn change_or_log(
    slot: &Arc<Slot>,
    id: &str,
    from: &[Status],
    to: Status,
    error: Option<&str>,
) {
    if let Err(fault) = change(slot, id, from, to, error).await {
        let first = fault.problems.first();
        let text = first
            .map(|problem| problem.text.as_ref())
            .unwrap_or_default();
        tracing::error!(subscription = %id, status = to.code(),
            "the status of a subscription cannot be written: {text}");
    }
}
