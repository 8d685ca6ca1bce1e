//! Charges are posted once.
//!
//! A charge is known by the number of its transaction (FT1-2) with the order's number, the time
//! (FT1-4) and the procedure (FT1-25), of one sender and one type (FT1-6, so that a credit is no
//! repeat of its charge): HL7 v2.5.1 §6.5.1.

use hilum_component::{Halted, StepContext};
use hilum_hl7v2::{Message, Segment};
use hilum_identity::digest;

use super::sender::Sender;
use super::{finding_at, waits};

/// Where charges that were posted are remembered.
const SCOPE: &str = "hilum.identity.charge";

/// How long a charge is known again, in milliseconds: three years.
pub(super) const CHARGE_REMEMBERED_MS: u64 = 3 * 366 * 86_400_000;

/// What belongs to the charge before it (DFT_P03, its group FINANCIAL).
const OF_CHARGE: [&str; 9] = [
    "NTE", "PR1", "ROL", "ORC", "OBR", "TQ1", "TQ2", "OBX", "FTS",
];

/// What of a message was posted before.
#[derive(Default)]
pub(super) struct Repeated {
    /// The segments of those charges.
    pub(super) segments: Vec<usize>,
    /// It has no other charges.
    pub(super) all: bool,
}

/// Remembers the charges of a message and gives those that were posted before.
pub(super) fn once(
    message: &Message,
    sender: &Sender,
    context: &mut StepContext<'_>,
) -> Result<Repeated, Halted> {
    let from = sender.system.as_ref().map_or_else(
        || {
            let part = |n| message.field("MSH", n).unwrap_or_default();
            format!("{}^{}", part(3), part(4))
        },
        |system| system.name.clone(),
    );
    let (mut segments, mut order, mut repeats) = (Vec::new(), String::new(), false);
    let (mut charges, mut repeated) = (0, 0);
    for segment in message.segments() {
        let id = segment.id();
        if id == "ORC" {
            order = said(&segment, 3).or(said(&segment, 2)).unwrap_or_default();
        }
        if id == "FT1" {
            charges += 1;
            context.spend()?;
            repeats = posted(&segment, &from, &order, context)?;
            repeated += usize::from(repeats);
        } else if !OF_CHARGE.contains(&&*id) {
            repeats = false;
        }
        if repeats {
            segments.push(segment.index());
        }
    }
    Ok(Repeated {
        segments,
        all: charges > 0 && repeated == charges,
    })
}

/// Whether a charge was posted before; remembers one that was not.
fn posted(
    segment: &Segment<'_>,
    from: &str,
    order: &str,
    context: &mut StepContext<'_>,
) -> Result<bool, Halted> {
    let order = said(segment, 23).unwrap_or_else(|| order.to_owned());
    let number = said(segment, 2).unwrap_or_default();
    if number.is_empty() && order.is_empty() {
        let text = "a charge without a number and without an order is not known again".to_owned();
        finding_at(context, "FT1-2", "charge-unnamed", text);
        return Ok(false);
    }
    let part = |n| said(segment, n).unwrap_or_default();
    let key = [from, &number, &order, &part(4), &part(25), &part(6)].join("|");
    // The set id counts from one in each message.
    let content = segment.fields().filter(|field| field.field_number() > 1);
    let content = format!("{:016x}", digest(content.map(|field| field.raw())));
    if let Some(before) = context.get(SCOPE, &key)
        && !context.released
    {
        if before != content.as_bytes() {
            let text = "a charge that was posted before comes with other content";
            return Err(waits(text.to_owned()));
        }
        let text = "a charge that was posted before".to_owned();
        finding_at(context, "FT1-2", "charge-repeated", text);
        return Ok(true);
    }
    let until = context.arrived_ms.saturating_add(CHARGE_REMEMBERED_MS);
    context.put(SCOPE, &key, Some(content.into()), Some(until));
    Ok(false)
}

/// A field as it stands; none if it says nothing.
fn said(segment: &Segment<'_>, n: u32) -> Option<String> {
    let field = segment.field(n)?;
    let text = field.text();
    let text = text.trim();
    (!text.is_empty() && !field.is_null()).then(|| text.to_owned())
}
