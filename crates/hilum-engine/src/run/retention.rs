//! Days that are older than `keep` go, and then the plans that nothing refers to any more.
//!
//! The journal pins what is still open before it drops a day, so retention never waits for a
//! destination and never loses a delivery.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hilum_component::Stop;
use hilum_message::PlanDigest;

use crate::runtime::Core;
use crate::store;

/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Time between two passes, by the engine's clock.
const PASS_EVERY_MS: u64 = 10 * 60_000;

/// Passes now and then until `stop`.
pub(super) async fn retain(core: Arc<Core>, mut stop: Stop) {
    let mut last_ms: Option<u64> = None;
    let mut before = None;
    loop {
        let now_ms = core.now_ms();
        if last_ms.is_none_or(|last| last.abs_diff(now_ms) >= PASS_EVERY_MS) {
            last_ms = Some(now_ms);
            before = pass(&core, now_ms, before).await;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.requested() => return,
        }
    }
}

/// One pass; gives the plans that are in use. A plan goes only when two passes in a row found it
/// unused: a message may be on its way to the journal with a plan that was just replaced.
async fn pass(
    core: &Arc<Core>,
    now_ms: u64,
    before: Option<BTreeSet<PlanDigest>>,
) -> Option<BTreeSet<PlanDigest>> {
    let core = Arc::clone(core);
    let worked = tokio::task::spawn_blocking(move || {
        if let Some(keep) = core.plan().keep
            && let Err(error) = core.journal.drop_before(now_ms.saturating_sub(keep.0))
        {
            tracing::error!(
                error = store::chain(&error),
                "old messages cannot be dropped; it is tried again"
            );
        }
        let in_use = in_use(&core);
        let lately: Option<BTreeSet<_>> =
            before.map(|before| before.union(&in_use).copied().collect());
        if let Some(lately) = lately
            && let Err(error) = core.kept.retain(&lately)
        {
            tracing::error!(error, "old plans cannot be dropped; it is tried again");
        }
        in_use
    });
    // A panic was reported where it happened.
    worked.await.ok()
}

fn in_use(core: &Core) -> BTreeSet<PlanDigest> {
    let mut in_use = core.journal.plans();
    in_use.extend(core.plan().channels.values().map(|plan| plan.digest));
    in_use
}
