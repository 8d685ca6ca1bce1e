//! Turning a request into rows, by the task that accepts: compression, packing, checksums.

use std::sync::Arc;

use hilum_message::Payload;

use crate::bytes::{
    pack_cuts, pack_findings, pack_hold, pack_metadata, pack_reads, pack_tokens, sum,
};
use crate::codec::{Codecs, pack_outbound};
use crate::model::AcceptRequest;
use crate::partition::ops::{Body, Prepared};

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
            Body::Stored(codecs.compress(request.received.text(), dictionary.as_deref()))
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
        outbound: outbound.map(Into::into),
        body,
        request,
        sum: 0,
    };
    prepared.sum = checksum(&prepared);
    prepared
}

fn same_memory(one: &Payload, two: &Payload) -> bool {
    one.text().as_ptr() == two.text().as_ptr()
        && one.text().len() == two.text().len()
        && !one.text().is_empty()
        && one.cuts() == two.cuts()
}

/// The checksum of a message row; [`row_checksum`] computes the same from what is stored.
fn checksum(message: &Prepared) -> i64 {
    let request = &message.request;
    let body: &[u8] = match &message.body {
        Body::Stored(stored) => &stored.bytes,
        Body::Shared(_) | Body::Origin(..) => b"",
    };
    let resend = request.resend.as_ref();
    row_checksum(&RowParts {
        id: &request.message.bytes(),
        arrived_ms: request.arrived_ms,
        disposition: request.disposition as u8,
        control_id: request.control_id.as_deref().map(str::as_bytes),
        tokens: message.tokens.as_deref(),
        metadata: message.metadata.as_deref(),
        answer: resend.map(|resend| &*resend.answer),
        cuts: message.cuts.as_deref(),
        body,
        outbound: message.outbound.as_deref(),
    })
}

/// What the checksum of a message row covers.
pub(crate) struct RowParts<'a> {
    pub(crate) id: &'a [u8],
    pub(crate) arrived_ms: u64,
    pub(crate) disposition: u8,
    pub(crate) control_id: Option<&'a [u8]>,
    pub(crate) tokens: Option<&'a [u8]>,
    pub(crate) metadata: Option<&'a [u8]>,
    pub(crate) answer: Option<&'a [u8]>,
    pub(crate) cuts: Option<&'a [u8]>,
    pub(crate) body: &'a [u8],
    pub(crate) outbound: Option<&'a [u8]>,
}

pub(crate) fn row_checksum(row: &RowParts<'_>) -> i64 {
    sum(&[
        row.id,
        &row.arrived_ms.to_le_bytes(),
        &[row.disposition],
        row.control_id.unwrap_or_default(),
        row.tokens.unwrap_or_default(),
        row.metadata.unwrap_or_default(),
        row.answer.unwrap_or_default(),
        row.cuts.unwrap_or_default(),
        row.body,
        row.outbound.unwrap_or_default(),
    ])
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
