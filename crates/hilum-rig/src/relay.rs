//! The relay example from outside: its ports, the messages it gets, the bytes it must send.
//!
//! What it must send is computed here apart from the program: MSH-6 becomes PV1-3.4, and no other
//! byte changes.

use std::net::SocketAddr;

use hilum_testkit::messages::{Event, Synthetic};

/// Of four messages, so many ask for enhanced acknowledgement.
const ENHANCED: u64 = 1;

/// What stands in MSH-6 before the relay sets it.
const BEFORE: &[u8] = b"NOWHERE";

/// Every so many messages of [`Mix::SomeLarge`] one is large.
const LARGE_EVERY: u64 = 40;
/// Length of a large message's attachment: above what the journal keeps in a row.
const LARGE_BYTES: usize = 300 * 1024;

/// Which messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Of some hundred bytes each.
    Small,
    /// Some with an attachment that the journal keeps in a file of its own.
    SomeLarge,
}

/// Where the management API of the relay example listens.
pub(crate) fn admin() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 26_600))
}

/// Where the relay example listens.
pub(crate) fn listens() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 26_610))
}

/// Where it delivers to.
pub(crate) fn delivers() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 26_611))
}

/// The message of a number for a patient: admissions and results by turns, so that short and
/// longer messages mix.
pub(crate) fn message(patient: u64, number: u64) -> Vec<u8> {
    let event = if number.is_multiple_of(2) {
        Event::Admit
    } else {
        Event::Result
    };
    let message = with_msh_6(&Synthetic::new(event, patient, number).build(), BEFORE);
    if number % 4 < ENHANCED {
        message
    } else {
        in_original_mode(&message)
    }
}

impl Mix {
    /// The message of a number for a patient.
    pub(crate) fn message(self, patient: u64, number: u64) -> Vec<u8> {
        let mut message = message(patient, number);
        if self == Self::SomeLarge && number % LARGE_EVERY == LARGE_EVERY / 2 {
            message.extend_from_slice(b"OBX|99|ED|PDF^Report^L||^AP^PDF^Base64^");
            let letters = (b'A'..=b'Z').cycle();
            let from = usize::try_from(number % 26).unwrap_or_default();
            message.extend(letters.skip(from).take(LARGE_BYTES));
            message.extend_from_slice(b"||||||F\r");
        }
        message
    }
}

/// The message without what asks for enhanced acknowledgement (MSH-15 and MSH-16).
fn in_original_mode(message: &[u8]) -> Vec<u8> {
    let end = message.iter().position(|byte| *byte == b'\r');
    let (msh, rest) = message.split_at(end.unwrap_or(message.len()));
    let mut fields: Vec<&[u8]> = msh.split(|byte| *byte == b'|').collect();
    for number in [14, 15] {
        if let Some(field) = fields.get_mut(number) {
            *field = b"";
        }
    }
    [&fields.join(&b'|'), rest].concat()
}

/// The control id of a number.
pub(crate) fn control_id(number: u64) -> String {
    Synthetic::new(Event::Admit, 0, number).control_id()
}

/// What the relay must send for a message that it got.
pub(crate) fn relayed(message: &[u8]) -> Vec<u8> {
    let facility = message
        .split(|byte| *byte == b'\r')
        .find(|line| line.starts_with(b"PV1|"))
        .and_then(|line| line.split(|byte| *byte == b'|').nth(3))
        .and_then(|field| field.split(|byte| *byte == b'^').nth(3))
        .unwrap_or_default();
    with_msh_6(message, facility)
}

fn with_msh_6(message: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bars = message
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'|')
        .map(|(at, _)| at);
    // MSH-1 is the first bar itself, so field 6 stands between the fifth and the sixth.
    let (from, to) = (bars.nth(4), bars.next());
    let (Some(from), Some(to)) = (from, to) else {
        return message.to_vec();
    };
    let head = message.get(..=from).unwrap_or_default();
    let tail = message.get(to..).unwrap_or_default();
    [head, value, tail].concat()
}

#[cfg(test)]
mod tests {
    use hilum_testkit::messages::field;

    use super::*;

    #[test]
    fn knows_what_the_relay_changes() {
        let before = b"MSH|^~\\&|A|B|C|OLD|T\rPV1|1|I|W^1^2^NEW^x\r";
        let after = b"MSH|^~\\&|A|B|C|NEW|T\rPV1|1|I|W^1^2^NEW^x\r";
        assert_eq!(relayed(before), after);
        let message = message(3, 4);
        assert_ne!(relayed(&message), message);
        assert_eq!(field(&message, 6), BEFORE);
        let mode = |number| field(&super::message(3, number), 15).to_vec();
        assert_eq!(mode(4), b"AL");
        assert_eq!(mode(5), b"");
    }
}
