//! What came while a message of its patient or order was held is compared with it before it is sent.

use hilum_component::{AfterReject, DeliveryError};

use super::drive::Ended;
use super::{Outlet, Queue, Target};
use crate::lanes::{Compare, Entry};
use crate::stale::{self, OLD_STATE, Overtaken};
use crate::{Core, store};

/// What of a batch is sent, and what is not. Entries that never waited behind a hold are not looked at.
pub(super) async fn look(
    core: &Core,
    queue: &Queue,
    target: &Target,
    batch: Vec<Entry>,
) -> (Vec<Entry>, Vec<Ended>) {
    let destination = match &target.outlet {
        Outlet::Component(destination) => Some(&**destination),
        Outlet::Topic(_) | Outlet::DeadLetter => None,
    };
    if batch.iter().all(|entry| entry.compare != Compare::Due) {
        return (batch, Vec::new());
    }
    let (mut sent, mut ended) = (Vec::with_capacity(batch.len()), Vec::new());
    for entry in batch {
        if entry.compare != Compare::Due {
            sent.push(entry);
            continue;
        }
        match stale::behind_hold(core, queue, destination, &entry).await {
            Ok(None) => sent.push(entry),
            Ok(Some(overtaken)) => ended.push(kept(entry, &overtaken)),
            Err(error) => {
                let text = format!(
                    "cannot read in the journal what was sent before: {}",
                    store::chain(&error)
                );
                ended.push(Ended::new(
                    entry,
                    Err(DeliveryError::retry("journal-read", text)),
                    0,
                ));
            }
        }
    }
    (sent, ended)
}

fn kept(entry: Entry, overtaken: &Overtaken) -> Ended {
    let why = &overtaken.why;
    let text = match overtaken.whole {
        true => format!("not sent, as it waited behind a held message and {why}"),
        false => format!(
            "it waited behind a held message and {why}; replay the message, so that its steps see what \
             came since, or requeue it with --force"
        ),
    };
    let withdrawn = overtaken.whole;
    Ended {
        withdrawn,
        after: AfterReject::Continue,
        ..Ended::new(entry, Err(DeliveryError::reject(OLD_STATE, text)), 0)
    }
}

/// A delivery is not sent: its receiver has a newer state of all that it tells.
pub(super) fn settle(queue: &Queue, entry: &Entry, error: &DeliveryError) {
    let (place, ordinal) = (entry.place, entry.id.ordinal);
    let mut lanes = queue.scope.lanes();
    lanes.rejected(place, ordinal, AfterReject::Continue);
    drop(lanes);
    queue.fill.sub(1, entry.bytes);
    tracing::info!(channel = %queue.channel, destination = %queue.destination,
        message_id = %entry.id.message, code = error.code, "a delivery brought an old state and is not sent");
    queue.tell(entry.id, false);
}
