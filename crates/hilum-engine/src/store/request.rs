//! A processed message as the journal writes it.

use std::sync::Arc;

use hilum_component::{
    ChannelPlan, Disposition, Finding, Identity, Peer, PlannedDelivery, Processed, Reason,
    Severity, StateChange, StateRead,
};
use hilum_journal::{
    AcceptRequest, Disposition as Stored, Hold, MessageFinding, NewDelivery, NewState, Resend,
    Severity as StoredSeverity, StateRead as Read, StateWrite, TimerWrite, Token,
};
use hilum_message::{IndexToken, MessageId};

use crate::channel::{Channel, Origin};
use crate::resend::{ResendDigest, ResendKey};
use crate::runtime::Core;
use crate::store::values::for_row;

/// Findings that are kept of one message; one more says that there were more.
const FINDINGS_MAX: usize = 64;

/// The requests of a message and its parts, the message first.
pub(super) fn requests(
    core: &Core,
    channel: &Channel,
    plan: &ChannelPlan,
    peer: &Peer,
    mut processed: Processed,
    key: Option<(ResendKey, ResendDigest)>,
    origin: &Origin,
) -> Vec<AcceptRequest> {
    let children = std::mem::take(&mut processed.children);
    let parent = processed.id;
    let answer = processed
        .answer
        .as_ref()
        .map(|answer| answer.for_record().clone());
    let mut own = request(core, channel, plan, peer, processed, None);
    if origin.is_only_received(plan) && own.disposition == Stored::Accepted {
        own.disposition = Stored::Received;
    }
    own.answer = answer.filter(|_| key.is_some());
    own.resend = key.map(|(key, digest)| Resend {
        key: key.0,
        digest: digest.0,
    });
    match origin {
        Origin::Linked {
            from,
            relation,
            completes,
            ..
        } => {
            own.replay_of = Some(*from);
            own.completes = *completes;
            if own.reason.is_none() {
                own.reason = Some(Arc::from(format!("{relation} of {from}")));
            }
        }
        Origin::Received { sequence, .. } => own.completes = Some(*sequence),
        Origin::Source | Origin::Timer { .. } => {}
    }
    // A held message that goes on keeps the place that it had, and so do its parts.
    let place = own.completes.and_then(|held| core.held.place_of(held));
    own.place = place;
    let parts = children.into_iter().zip(0_u32..).map(|(child, ordinal)| {
        let part = request(core, channel, plan, peer, child, Some((parent, ordinal)));
        AcceptRequest { place, ..part }
    });
    let parts: Vec<_> = parts.collect();
    std::iter::once(own).chain(parts).collect()
}

fn request(
    core: &Core,
    channel: &Channel,
    plan: &ChannelPlan,
    peer: &Peer,
    processed: Processed,
    parent: Option<(MessageId, u32)>,
) -> AcceptRequest {
    let findings = findings(&processed.findings);
    let tokens = tokens(core, &processed, &findings);
    let hold = processed.hold.as_ref().map(|hold| Hold {
        step: Arc::from(hold.step.to_string()),
        until_ms: hold.until_ms,
        wake: hold.wake.clone(),
        keys: processed.keys.iter().copied().collect(),
    });
    let metadata = for_row(&processed);
    let critical = crate::critical::rows(plan, &processed);
    let withdrawal = crate::withdrawn::row(plan, &processed);
    let state_merges = core.codes.merges(&channel.name, &processed);
    AcceptRequest {
        message: processed.id,
        channel: Arc::clone(&channel.name),
        arrived_ms: processed.arrived_ms,
        received: processed.payload,
        metadata,
        plan: plan.digest,
        disposition: stored(processed.disposition),
        reason: processed.reason.as_ref().map(reason),
        hold,
        control_id: processed.identity.control_id.as_deref().map(Arc::from),
        kind: processed.identity.message_type.as_deref().map(Arc::from),
        tokens,
        findings,
        resend: None,
        answer: None,
        parent,
        replay_of: None,
        peer: Some(Arc::clone(&peer.label)),
        deliveries: processed
            .deliveries
            .into_iter()
            .zip(0..)
            .map(delivery)
            .collect(),
        state_reads: processed.reads.into_iter().map(read).collect(),
        state_writes: processed
            .writes
            .into_iter()
            .map(write)
            .chain(critical)
            .chain(withdrawal)
            .collect(),
        state_merges,
        timers: processed.timers.into_iter().map(timer).collect(),
        blobs: Vec::new(),
        completes: None,
        place: None,
    }
}

/// What is kept of findings: where and what, so that the row stays small. The trace of the steps
/// gives the sentences.
fn findings(all: &[Finding]) -> Vec<MessageFinding> {
    let finding = |severity, step: &str, code: &str, path: Option<&str>| MessageFinding {
        severity,
        step: Arc::from(step),
        code: Arc::from(code),
        path: path.map(Arc::from),
    };
    let mut kept: Vec<_> = all
        .iter()
        .take(FINDINGS_MAX)
        .map(|found| {
            let severity = severity(found.severity);
            finding(severity, &found.step, &found.code, found.path.as_deref())
        })
        .collect();
    if let Some(worst) = all
        .iter()
        .skip(FINDINGS_MAX)
        .map(|more| more.severity)
        .max()
    {
        kept.push(finding(severity(worst), "engine", "more-findings", None));
    }
    kept
}

const fn severity(severity: Severity) -> StoredSeverity {
    match severity {
        Severity::Information => StoredSeverity::Information,
        Severity::Warning => StoredSeverity::Warning,
        Severity::Error => StoredSeverity::Error,
    }
}

fn tokens(core: &Core, processed: &Processed, findings: &[MessageFinding]) -> Vec<Token> {
    let Identity {
        control_id,
        message_type,
        patients,
        orders,
        ..
    } = &processed.identity;
    let token = |kind, field, value: &str| Token {
        kind,
        value: IndexToken::of(&core.index_key, field, value),
    };
    let mut tokens = Vec::with_capacity(processed.tokens.len() + patients.len() + orders.len() + 2);
    tokens.extend(
        control_id
            .iter()
            .map(|id| token(Token::CONTROL_ID, "control-id", id)),
    );
    tokens.extend(
        message_type
            .iter()
            .map(|kind| token(Token::TYPE, "type", kind)),
    );
    tokens.extend(
        patients
            .iter()
            .map(|(id, _)| token(Token::PATIENT, "patient", id)),
    );
    tokens.extend(
        orders
            .iter()
            .map(|(id, _)| token(Token::ORDER, "order", id)),
    );
    tokens.extend(processed.tokens.iter().map(|(name, value)| Token {
        kind: Token::declared_kind(name),
        value: *value,
    }));
    for finding in findings {
        let token = token(Token::FINDING, "finding", &finding.code);
        if !tokens.contains(&token) {
            tokens.push(token);
        }
    }
    tokens
}

fn reason(reason: &Reason) -> Arc<str> {
    let place = reason
        .path
        .as_ref()
        .map(|path| format!(" at {path}"))
        .unwrap_or_default();
    Arc::from(format!(
        "{}: {}{place} ({})",
        reason.step, reason.text, reason.code
    ))
}

const fn stored(disposition: Disposition) -> Stored {
    match disposition {
        Disposition::Accepted => Stored::Accepted,
        Disposition::Filtered => Stored::Filtered,
        Disposition::Refused => Stored::Refused,
        Disposition::Rejected | Disposition::Failed => Stored::Rejected,
        Disposition::Held => Stored::Held,
    }
}

fn delivery((planned, ordinal): (PlannedDelivery, u32)) -> NewDelivery {
    NewDelivery {
        ordinal,
        destination: planned.destination,
        keys: planned.keys.into_iter().collect(),
        priority: planned.priority,
        payload: planned.payload,
        state: match &planned.dead_letter {
            None => NewState::Pending,
            Some(why) => NewState::DeadLetter(reason(why)),
        },
    }
}

pub(super) fn read(read: StateRead) -> Read {
    Read {
        scope: read.scope,
        key: read.key,
        version: read.version,
    }
}

pub(super) fn write(change: StateChange) -> StateWrite {
    StateWrite {
        scope: change.scope,
        key: change.key,
        value: change.value,
        expires_ms: change.expires_ms,
    }
}

fn timer(timer: hilum_component::TimerChange) -> TimerWrite {
    TimerWrite {
        scope: timer.scope,
        key: timer.key,
        due_ms: timer.due_ms,
    }
}
