//! Turning a request into rows, by the task that accepts: compression, packing, checksums.

use std::sync::Arc;

use bytes::Bytes;
use hilum_message::Payload;

use crate::bytes::{
    pack_cuts, pack_findings, pack_hold, pack_metadata, pack_reads, pack_resend, pack_tokens,
};
use crate::codec::{Codec, Codecs, pack_outbound};
use crate::model::AcceptRequest;
use crate::partition::ops::{Body, Prepared};
use crate::row::{MessageParts, counted};

/// Bytes that a queued message is counted with beyond its stored ones.
const ROW_BYTES: usize = 512;

/// Packs one message. `earlier` are those before it in the same operation, whose body it may
/// share; `origin` is the partition of the row that it completes, if that row keeps its body.
pub(crate) fn prepare(
    codecs: &Codecs,
    request: AcceptRequest,
    earlier: &[Prepared],
    origin: Option<Arc<str>>,
) -> Prepared {
    let shared = earlier
        .iter()
        .position(|known| same_memory(&known.request.received, &request.received));
    let body = match (origin.zip(request.completes), shared) {
        (Some((partition, sequence)), _) => Body::Origin(sequence, partition),
        (None, Some(at)) => match earlier.get(at).map(|known| &known.body) {
            Some(Body::Shared(first)) => Body::Shared(*first),
            Some(Body::Origin(sequence, partition)) => Body::Origin(*sequence, partition.clone()),
            Some(Body::Stored(_)) | None => Body::Shared(at),
        },
        (None, None) => {
            let dictionary = codecs.current(&request.channel);
            Body::Stored(codecs.compress(&content(&request), dictionary.as_ref()))
        }
    };
    let outbound = pack_outbound(codecs, &request.received, &request.deliveries);
    let mut prepared = Prepared {
        cuts: pack_cuts(request.received.cuts()),
        tokens: pack_tokens(&request.tokens),
        metadata: pack_metadata(&request.metadata),
        reads: pack_reads(&request.state_reads),
        findings: pack_findings(&request.findings),
        hold: request.hold.as_ref().map(pack_hold),
        resend: request.resend.as_ref().map(pack_resend),
        outbound: outbound.map(Into::into),
        body,
        request,
        merged: Vec::new(),
        sum: 0,
    };
    prepared.sum = checksum(&prepared);
    prepared
}

/// What the body column holds: the received text and, behind it, the answer, which mostly repeats
/// parts of it and so costs few bytes.
fn content(request: &AcceptRequest) -> Bytes {
    let text = request.received.text();
    match &request.answer {
        Some(answer) if !answer.is_empty() => [&text[..], answer].concat().into(),
        Some(_) | None => text.clone(),
    }
}

fn same_memory(one: &Payload, two: &Payload) -> bool {
    one.text().as_ptr() == two.text().as_ptr()
        && one.text().len() == two.text().len()
        && !one.text().is_empty()
        && one.cuts() == two.cuts()
}

/// The checksum of a message row as far as it is known before it is written; the same parts in the
/// same order as [`crate::row`] reads them.
fn checksum(message: &Prepared) -> i64 {
    let request = &message.request;
    let (codec, dictionary, body): (Codec, Option<i64>, &[u8]) = match &message.body {
        Body::Stored(stored) => (stored.codec, stored.dictionary_id(), &stored.bytes),
        Body::Shared(_) | Body::Origin(..) => (Codec::Other, None, b""),
    };
    let (answer, answer_bytes) = message.answer();
    let id = request.message.bytes();
    let parent = request.parent.map(|(parent, _)| parent.bytes());
    let replay_of = request.replay_of.map(|replayed| replayed.bytes());
    let optional = |value: Option<u64>| value.map_or(0, counted);
    let parts = MessageParts {
        bytes: [
            Some(body),
            Some(&id),
            Some(request.channel.as_bytes()),
            Some(&request.plan.0),
            request.kind.as_deref().map(str::as_bytes),
            request.peer.as_deref().map(str::as_bytes),
            message.tokens.as_deref(),
            request.control_id.as_deref().map(str::as_bytes),
            request.reason.as_deref().map(str::as_bytes),
            parent.as_ref().map(|id| &id[..]),
            replay_of.as_ref().map(|id| &id[..]),
            message.hold.as_deref(),
            message.metadata.as_deref(),
            message.reads.as_deref(),
            message.findings.as_deref(),
            message.resend.as_ref().map(|packed| &packed[..]),
            answer,
            message.cuts.as_deref(),
            message.outbound.as_deref(),
        ],
        numbers: [
            counted(codec as u64),
            counted(request.arrived_ms),
            counted(request.disposition as u64),
            optional(request.completes),
            optional(request.parent.map(|(_, part)| u64::from(part))),
            optional(dictionary.map(i64::cast_unsigned)),
            counted(request.received.text().len() as u64),
            counted(request.received.len()),
            optional(request.place),
            optional(answer_bytes),
        ],
    };
    parts.sum()
}

/// The bytes that a message takes in the queue.
pub(crate) fn queued_bytes(message: &Prepared) -> usize {
    let body = match &message.body {
        Body::Stored(stored) => stored.bytes.len(),
        Body::Shared(_) | Body::Origin(..) => 0,
    };
    let request = &message.request;
    // The plain bytes stay in memory too, for the dispatch after the commit.
    let plain: usize = request.received.text().len()
        + request
            .deliveries
            .iter()
            .map(|delivery| delivery.payload.text().len())
            .sum::<usize>();
    body + plain + message.outbound.as_ref().map_or(0, |packed| packed.len()) + ROW_BYTES
}
