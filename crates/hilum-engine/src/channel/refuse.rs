//! A no to a message of which only the beginning is there.
//!
//! What is too large is recorded as rejected, with its first bytes. What could not be stored is
//! not recorded: there is no room, and the peer is told to send it again. The answer is built
//! from the first bytes; a commit answer where the header asks for enhanced mode.

use std::sync::Arc;

use hilum_component::{
    AnswerMode, ChannelPlan, Disposition, Incoming, NotTaken, Partial, Reply, Verdict, answer,
};
use hilum_message::{MessageId, Metadata, Payload};

use super::Channel;
use crate::{Core, store};

/// Says no, and records it where that can be.
pub(super) async fn refuse(core: &Arc<Core>, channel: &Channel, partial: Partial) -> Reply {
    let plan = channel.plan();
    let text = partial.why.to_string();
    channel.figures.received.add(1);
    channel.figures.received_bytes.add(partial.total);
    let (disposition, message) = match &partial.why {
        NotTaken::TooLarge { .. } => {
            tracing::warn!(channel = %channel.name, peer = %partial.peer.label, bytes = partial.total,
                "{text}; its sender was told, and its first bytes are in the journal");
            let reason = format!("{text}; the first {} are kept", partial.first.len());
            let (first, peer) = (partial.first.clone(), partial.peer);
            let recorded = store::record_part(core, channel, first, reason, peer).await;
            let id = recorded.map_err(|error| {
                tracing::error!(channel = %channel.name, error = error.text(), "cannot record what was received");
            });
            (Disposition::Rejected, id.ok())
        }
        NotTaken::NotStored { cause } => {
            tracing::error!(channel = %channel.name, peer = %partial.peer.label, error = cause,
                "the content of a message could not be stored; its sender was told");
            (Disposition::Failed, None)
        }
    };
    channel.figures.disposed(disposition);
    let at_ms = core.now_ms();
    let id = message.unwrap_or_else(|| core.ids.next(at_ms));
    let payload = Payload::inline(partial.first);
    Reply {
        disposition,
        answer: negative(&plan, id, at_ms, payload, disposition, &text),
        reason: Some(text),
        message,
    }
}

/// How the sender of a message wants to be answered, as far as it can be read.
pub(super) fn mode_of(plan: &ChannelPlan, received: &Payload) -> AnswerMode {
    let document = plan.format.parse(received);
    document.map_or(AnswerMode::Original, |document| {
        plan.format.answer_mode(&*document)
    })
}

/// A no in the mode that the message asks for, as far as it can be read.
pub(super) fn negative(
    plan: &ChannelPlan,
    id: MessageId,
    at_ms: u64,
    first: Payload,
    disposition: Disposition,
    text: &str,
) -> Option<bytes::Bytes> {
    let mode = mode_of(plan, &first);
    let (wanted, commit) = match mode {
        AnswerMode::Original => (true, false),
        AnswerMode::Enhanced {
            commit_on_error, ..
        } => (commit_on_error, true),
    };
    if !wanted {
        return None;
    }
    let (code, path) = ("207", None);
    // Sending it again helps only where it was not stored.
    let verdict = if disposition == Disposition::Rejected {
        Verdict::Refuse { code, path, text }
    } else {
        Verdict::Error { code, path, text }
    };
    let incoming = Incoming::new(id, at_ms, first, Metadata::new());
    answer(plan, &incoming, verdict, commit).and_then(|answer| answer.open_negative())
}
