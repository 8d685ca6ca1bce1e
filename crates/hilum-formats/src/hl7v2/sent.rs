//! MSH-7 against the receipt of a message. Reading it costs no memory: it is read of every message.

use hilum_component::Offsets;
use hilum_hl7v2::time::Stamp;

/// No change of a clock is longer (Antarctica/Troll has two hours).
const CHANGE_S_MAX: i64 = 2 * 3_600;

/// By how much a time lies behind a receipt (Unix milliseconds), in milliseconds; negative if it is ahead.
/// `None` if it says no minutes, or no offset where there is no zone.
pub(super) fn behind_ms(text: &str, received_ms: u64, zone: Option<&Offsets>) -> Option<i64> {
    let stamp = Stamp::read(text).filter(|stamp| stamp.has_minutes)?;
    let received_ms = i64::try_from(received_ms).ok()?;
    let length_ms = length_ms(text);
    let behind = |offset| behind(received_ms, stamp.unix_ms(offset), length_ms);
    if let Some(offset) = stamp.offset_minutes {
        return Some(behind(offset));
    }
    let local_s = stamp.local_s();
    let zone = zone?;
    let first = zone.minutes(local_s)?;
    let found = behind(first);
    let again = offset_again(zone, local_s, first).map(behind);
    Some(match again {
        Some(again) if again.abs() < found.abs() => again,
        Some(_) | None => found,
    })
}

/// How long a time lasts that says no seconds, or none of their parts (HL7 v2.5.1 §2.A.22).
fn length_ms(text: &str) -> i64 {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    match (digits, text.as_bytes().get(digits)) {
        (..14, _) => 60_000,
        (_, Some(b'.')) => 1,
        (_, _) => 1_000,
    }
}

fn behind(received_ms: i64, from_ms: i64, length_ms: i64) -> i64 {
    let last_ms = from_ms.saturating_add(length_ms - 1);
    if received_ms > last_ms {
        received_ms.saturating_sub(last_ms)
    } else {
        received_ms.saturating_sub(from_ms).min(0)
    }
}

/// The offset of the second time that the clock shows this, if it does so twice: it is set back within
/// as much as it is set back by.
fn offset_again(zone: &Offsets, local_s: i64, first: i32) -> Option<i32> {
    let later = zone.minutes(local_s + CHANGE_S_MAX)?;
    let back_s = i64::from(first - later) * 60;
    let twice = back_s > 0 && zone.minutes(local_s + back_s) == Some(later);
    twice.then_some(later)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000;
    const MINUTE: i64 = 60 * SECOND;

    /// A time against 2026-10-25T01:30:00Z, half an hour after Berlin has set its clocks back.
    fn check(text: &str, zone: Option<&Offsets>, expected: Option<i64>) {
        assert_eq!(behind_ms(text, 1_792_891_800_000, zone), expected, "{text}");
    }

    /// Of times that are there twice the offset of the first.
    fn berlin() -> Offsets {
        let change_s = 1_792_893_600 + 3_600;
        Offsets::new(move |local_s| Some(if local_s < change_s { 120 } else { 60 }))
    }

    #[test]
    fn a_time_is_compared_as_exactly_as_it_is_said() {
        for (text, expected) in [
            ("20261025013000.000+0000", Some(0)),
            ("20261025013000.250+0000", Some(-250)),
            ("20261025013000+0000", Some(0)),
            ("20261025012959+0000", Some(1)),
            ("20261025012958+0000", Some(SECOND + 1)),
            ("20261025013001+0000", Some(-SECOND)),
            ("202610250130+0000", Some(0)),
            ("202610250129+0000", Some(1)),
            ("202610250131+0000", Some(-MINUTE)),
            ("202610250330+0200", Some(0)),
            ("2026102501+0000", None),
            ("20261025", None),
            ("yesterday", None),
            ("20261025013000", None),
        ] {
            check(text, None, expected);
        }
    }

    #[test]
    fn an_hour_that_comes_twice_is_the_one_next_to_the_receipt() {
        let zone = berlin();
        for (text, expected) in [
            ("20261025023000.000", Some(0)),
            ("20261025023100.000", Some(-MINUTE)),
            ("20261025030000.000", Some(-30 * MINUTE)),
            ("20261025015900.000", Some(91 * MINUTE)),
            ("20261025023000.000+0200", Some(60 * MINUTE)),
        ] {
            check(text, Some(&zone), expected);
        }
    }
}
