//! Whether the clock of a sender is right: the time at which a message says that it was sent against
//! the time of its receipt.
//!
//! No message is sent in the future, so one that is ahead is a finding by itself. One that is behind
//! may have waited with its sender; whoever runs the plan judges a sender by its freshest messages.

use std::sync::Arc;

use hilum_message::Metadata;

use super::{Finding, Incoming};
use crate::marks::FIRST_RECEIVED;
use crate::{Document, Format, Identity, Millis, SenderClock, SendsAs, Severity};

/// A value of the engine: when a message that is processed again came first, Unix milliseconds.
pub const REPEATS_RECEIVED: &str = "hilum.repeats-ms";

/// What a message says of the clock of its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// The system that sent it.
    pub system: Arc<str>,
    /// By how much its time lies behind its receipt, in milliseconds; negative if it is ahead.
    pub behind_ms: i64,
    /// The receipt, Unix milliseconds: of a message that is processed again, or came from another channel,
    /// the first one.
    pub received_ms: u64,
    /// How far the clock of the system may be off.
    pub skew_max: Millis,
}

/// Compares the time of a message with its receipt; notes a clock that is ahead by more than it may.
pub(super) fn read(
    senders: &[SenderClock],
    format: &dyn Format,
    incoming: &Incoming,
    document: &dyn Document,
    identity: &Identity,
    findings: &mut Vec<Finding>,
) -> Option<ClockReading> {
    let sender = sender(senders, identity)?;
    let received_ms = received_ms(&incoming.metadata).unwrap_or(incoming.arrived_ms);
    let sent = format.sent(document, received_ms, sender.zone.as_ref())?;
    let ahead_ms = sent.behind_ms.saturating_neg();
    if ahead_ms > i64::try_from(sender.skew_max.0).unwrap_or(i64::MAX) {
        let seconds = ahead_ms / 1_000;
        findings.push(Finding {
            step: "engine".to_owned(),
            code: "sender-clock-ahead".to_owned(),
            path: Some(sent.path.to_owned()),
            severity: Severity::Warning,
            text: format!(
                "{} min {} s after its receipt: the clock of `{}` is fast",
                seconds / 60,
                seconds % 60,
                sender.system
            ),
        });
    }
    Some(ClockReading {
        system: Arc::clone(&sender.system),
        behind_ms: sent.behind_ms,
        received_ms,
        skew_max: sender.skew_max,
    })
}

/// When a message came first that was processed before, or came from another channel.
fn received_ms(metadata: &Metadata) -> Option<u64> {
    let first = metadata.get(REPEATS_RECEIVED);
    let first = first.or_else(|| metadata.get(FIRST_RECEIVED))?;
    first.parse().ok()
}

/// Of several systems the one that names itself as the message does, most exactly.
fn sender<'s>(senders: &'s [SenderClock], identity: &Identity) -> Option<&'s SenderClock> {
    let (application, facility) = match &identity.sender {
        Some((application, facility)) => (application.as_str(), facility.as_str()),
        None => ("", ""),
    };
    let is = |said: &Option<String>, own: &str| said.as_deref().is_none_or(|said| said == own);
    let fits = |sender: &&SenderClock| {
        is(&sender.sends_as.application, application) && is(&sender.sends_as.facility, facility)
    };
    let exactness = |SendsAs {
                         application,
                         facility,
                     }: &SendsAs| {
        usize::from(application.is_some()) + usize::from(facility.is_some())
    };
    let fitting = senders.iter().filter(fits);
    fitting.max_by_key(|sender| exactness(&sender.sends_as))
}
