//! The outbound bytes of all deliveries of a message, packed behind its received body.
//!
//! They lie in the message row: written once with it, read only when one is sent. Most differ
//! little from what was received, so each is a few dozen bytes; equal ones are stored once.

use std::sync::Arc;

use bytes::Bytes;
use hilum_message::Payload;

use super::{Codec, Codecs, Stored};
use crate::bytes::{Unpack, pack_cuts, put_bytes, put_u64, unpack_cuts};
use crate::model::NewDelivery;

/// Packs the payloads of `deliveries`; `None` if there are none.
pub(crate) fn pack_outbound(
    codecs: &Codecs,
    received: &Payload,
    deliveries: &[NewDelivery],
) -> Option<Vec<u8>> {
    if deliveries.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(deliveries.len() * 64);
    for (at, delivery) in deliveries.iter().enumerate() {
        let payload = &delivery.payload;
        put_u64(&mut out, u64::from(delivery.ordinal));
        let earlier = deliveries
            .iter()
            .take(at)
            .find(|earlier| earlier.payload == *payload);
        if let Some(earlier) = earlier {
            out.push(Codec::Other as u8);
            put_u64(&mut out, u64::from(earlier.ordinal));
        } else if payload == received {
            out.push(Codec::Received as u8);
        } else {
            let stored = codecs.compress_against(payload.text(), received.text());
            if stored.codec == Codec::Received {
                // The text is the same, the cuts are not: only the whole may be a reference.
                put_text(&mut out, Codec::Plain, payload, payload.text());
            } else {
                put_text(&mut out, stored.codec, payload, &stored.bytes);
            }
        }
    }
    Some(out)
}

fn put_text(out: &mut Vec<u8>, codec: Codec, payload: &Payload, stored: &[u8]) {
    out.push(codec as u8);
    put_u64(out, payload.text().len() as u64);
    put_bytes(out, &pack_cuts(payload.cuts()).unwrap_or_default());
    put_bytes(out, stored);
}

/// The payload of one delivery; `None` if it is not there or damaged.
pub(crate) fn unpack_outbound(
    codecs: &Codecs,
    packed: &Bytes,
    ordinal: u32,
    received: &Payload,
    partition: &Arc<str>,
) -> Option<Payload> {
    let mut wanted = u64::from(ordinal);
    // Equal payloads refer to an earlier one, so a second pass finds it.
    for _ in 0..2 {
        let mut from = Unpack(packed);
        loop {
            if from.is_empty() {
                return None;
            }
            let found = from.u64()? == wanted;
            let codec = Codec::from_code(i64::from(*from.take(1)?.first()?))?;
            match codec {
                Codec::Received if found => return Some(received.clone()),
                Codec::Received => {}
                Codec::Other => {
                    let other = from.u64()?;
                    if found {
                        wanted = other;
                        break;
                    }
                }
                Codec::Plain | Codec::Zstd | Codec::Dictionary | Codec::Prefix | Codec::Edited => {
                    let text_bytes = usize::try_from(from.u64()?).ok()?;
                    let (cuts, stored) = (from.bytes()?, from.bytes()?);
                    if found {
                        let stored = Stored {
                            codec,
                            dictionary: None,
                            bytes: packed.slice_ref(stored),
                        };
                        let text = codecs.restore(&stored, text_bytes, None, received.text())?;
                        return Some(Payload::with_cuts(text, unpack_cuts(cuts, partition)?));
                    }
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NewState, OrderKeys};
    use hilum_message::{BlobRange, BlobRef, Cut};

    fn delivery(ordinal: u32, payload: Payload) -> NewDelivery {
        NewDelivery {
            ordinal,
            destination: "d".into(),
            keys: OrderKeys::new(),
            priority: 0,
            payload,
            state: NewState::Pending,
        }
    }

    #[test]
    fn each_delivery_gets_its_own_bytes_back() {
        let codecs = Codecs::new(1);
        let partition: Arc<str> = "p".into();
        let inline = |text: String| Payload::inline(text.into());
        let received = inline("PID|1||4711^^^H^MR||DOE^JOHN^^^|".repeat(8));
        let changed = inline(format!("{}X", "PID|1||4711^^^H^MR||DOE^JOHN^^^|".repeat(8)));
        let cut = Payload::with_cuts(
            received.text().clone(),
            vec![Cut {
                at: 3,
                range: BlobRange {
                    blob: BlobRef {
                        partition: partition.clone(),
                        name: "b".into(),
                    },
                    offset: 0,
                    length: 9,
                },
            }],
        );
        let list = [
            received.clone(),
            changed.clone(),
            inline("other".into()),
            changed,
            cut,
        ];
        let deliveries: Vec<NewDelivery> = (0..)
            .zip(&list)
            .map(|(ordinal, payload)| delivery(ordinal * 2, payload.clone()))
            .collect();
        let packed = pack_outbound(&codecs, &received, &deliveries).unwrap();
        let packed = Bytes::from(packed);
        for delivery in &deliveries {
            let back = unpack_outbound(&codecs, &packed, delivery.ordinal, &received, &partition);
            assert_eq!(back.as_ref(), Some(&delivery.payload));
        }
        assert!(unpack_outbound(&codecs, &packed, 1, &received, &partition).is_none());
    }
}
