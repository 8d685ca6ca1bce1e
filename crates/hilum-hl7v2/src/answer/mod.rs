//! Answers: built for a received message, and read from a peer.
//!
//! An answer is written from the header of the message alone, in the peer's separators, version
//! and character set, its sender and receiver swapped; fields that name the parties are copied as
//! they stand. MSA-3 is filled up to 2.6, where the standard withdrew it. ERR follows the version:
//! up to 2.4 one field ERR-1, from 2.5 ERR-2 location, ERR-3 code, ERR-4 severity, ERR-5 a code of
//! our own, ERR-8 text (HL7 v2.5.1 §2.15.5). Original and enhanced mode differ in the code alone
//! (AA, AE, AR or CA, CE, CR). Time and control id come from the caller; there is no clock here.

mod codes;
mod identify;
mod read;

use bytes::Bytes;
use hilum_message::calendar::date_of;

pub use codes::{AckCode, AckCondition, AckSeverity, INTERNAL_ERROR, error_text};
pub use identify::{Identifier, Identity, builds_on};
pub use read::{AnswerError, PeerAnswer, read_answer};

use crate::charset::Charset;
use crate::delimiters::Delimiters;
use crate::escape;
use crate::header::Header;
use crate::path::{Path, Which};

/// The version written where a message does not say its own.
pub const VERSION_DEFAULT: &str = "2.5.1";

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// MSA-1.
    pub code: AckCode,
    /// MSH-10 of the answer.
    pub control_id: &'a str,
    /// MSH-7 of the answer, Unix milliseconds; written in UTC.
    pub at_ms: u64,
    /// Text for people, without content of the message.
    pub text: Option<&'a str>,
    /// What was wrong.
    pub errors: &'a [AnswerErrorEntry<'a>],
}

/// One ERR segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerErrorEntry<'a> {
    /// A code of table 0357; any other is sent as 207 with this as the code of our own.
    pub code: &'a str,
    /// Where.
    pub location: Option<&'a Path>,
    /// How bad.
    pub severity: AckSeverity,
    /// A sentence for people, without content of the message.
    pub text: &'a str,
}

/// The answer to received bytes. Those without a header are answered in standard separators, to
/// nobody, with an empty MSA-2.
#[must_use]
pub fn answer(received: &[u8], answer: &Answer<'_>) -> Bytes {
    let header = Header::read(received);
    let header = header.as_ref();
    let version = header.map_or(&b""[..], |header| header.component(12, 1));
    let writer = Writer {
        header,
        delimiters: header.map(Header::delimiters).unwrap_or_default(),
        view: header.map_or(Charset::Ascii, |header| header.view),
        wire: header.map_or(Charset::Ascii, |header| header.wire),
        level: Version::of(std::str::from_utf8(version).unwrap_or_default()),
        out: Vec::with_capacity(256),
    };
    writer.answer(answer)
}

/// A version as numbers, as far as the layout of answers depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

impl Version {
    fn of(text: &str) -> Self {
        let text = match text.trim() {
            "" => VERSION_DEFAULT,
            text => text,
        };
        let mut numbers = text.split('.').map(|part| part.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Self(next(), next(), next())
    }

    /// MSH-9.3 came with 2.3.1.
    fn has_structure(self) -> bool {
        self >= Self(2, 3, 1)
    }

    /// ERR-2 and following came with 2.5.
    fn has_error_fields(self) -> bool {
        self >= Self(2, 5, 0)
    }

    /// MSA-3 was withdrawn with 2.7.
    fn has_message_text(self) -> bool {
        self < Self(2, 7, 0)
    }
}

/// Writes segments in the peer's terms.
struct Writer<'h> {
    header: Option<&'h Header<'h>>,
    delimiters: Delimiters,
    view: Charset,
    wire: Charset,
    level: Version,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn answer(mut self, answer: &Answer<'_>) -> Bytes {
        self.header(answer);
        self.segment(b"MSA");
        self.field(answer.code.as_str());
        self.copy(10, "");
        let first_text = answer.errors.first().map(|error| error.text);
        let text = answer.text.or(first_text);
        if let Some(text) = text.filter(|_| self.level.has_message_text()) {
            self.field(text);
        }
        self.end();
        for error in answer.errors {
            self.segment(b"ERR");
            if self.level.has_error_fields() {
                self.error_fields(error);
            } else {
                self.error_location(error);
            }
            self.end();
        }
        self.finish()
    }

    fn header(&mut self, answer: &Answer<'_>) {
        self.out.extend_from_slice(b"MSH");
        self.out.push(self.delimiters.field);
        match self.header.map(|header| header.field(2)) {
            Some(encoding) if !encoding.is_empty() => self.out.extend_from_slice(encoding),
            _ => self
                .out
                .extend_from_slice(&self.delimiters.encoding_characters()),
        }
        for field in [5, 6, 3, 4] {
            self.copy(field, "");
        }
        self.out.push(self.delimiters.field);
        self.out.extend_from_slice(&timestamp(answer.at_ms));
        self.field("");
        self.field("ACK");
        let trigger = self
            .header
            .map_or(&b""[..], |header| header.component(9, 2));
        if !trigger.is_empty() {
            self.out.push(self.delimiters.component);
            self.out.extend_from_slice(trigger);
            if self.level.has_structure() {
                self.component("ACK");
            }
        }
        self.field(answer.control_id);
        self.copy(11, "P");
        self.copy(12, VERSION_DEFAULT);
        let asks = self.asks_for_commit(answer.code);
        let charset = self
            .header
            .is_some_and(|header| !header.field(18).is_empty());
        if asks || charset {
            (0..2).for_each(|_| self.field(""));
            let [commit, application] = if asks { ["AL", "NE"] } else { [""; 2] };
            self.field(commit);
            self.field(application);
        }
        if charset {
            self.field("");
            self.copy(18, "");
        }
        self.end();
    }

    /// The application answer of enhanced mode is a message of its own, whose receipt the peer
    /// confirms (HL7 v2.5.1 §2.9.3.2).
    fn asks_for_commit(&self, code: AckCode) -> bool {
        let enhanced =
            |header: &Header<'_>| [15, 16].iter().any(|&at| !header.field(at).is_empty());
        matches!(code, AckCode::Aa | AckCode::Ae | AckCode::Ar) && self.header.is_some_and(enhanced)
    }

    /// ERR-2, 3, 4, 5 and 8.
    fn error_fields(&mut self, error: &AnswerErrorEntry<'_>) {
        self.field("");
        self.field("");
        if let Some(path) = error.location {
            self.text(path.segment());
            let field = path.field();
            let numbers = [
                Some(occurrence(path.occurrence())),
                field.map(|f| f.field),
                field.map(|f| occurrence(f.repetition)),
                field.map(|f| f.component).filter(|n| *n > 0),
                field.map(|f| f.subcomponent).filter(|n| *n > 0),
            ];
            for number in numbers.into_iter().map_while(|number| number) {
                self.component(&number.to_string());
            }
        }
        self.field("");
        let own = self.code(error.code, self.delimiters.component);
        self.field(error.severity.as_str());
        self.field(own.unwrap_or_default());
        (0..2).for_each(|_| self.field(""));
        self.field(error.text);
    }

    /// ERR-1 as it was up to 2.4: segment, sequence, field, code.
    fn error_location(&mut self, error: &AnswerErrorEntry<'_>) {
        self.field("");
        if let Some(path) = error.location {
            self.text(path.segment());
            self.component(&occurrence(path.occurrence()).to_string());
            self.component(
                &path
                    .field()
                    .map(|f| f.field.to_string())
                    .unwrap_or_default(),
            );
        } else {
            self.component("");
            self.component("");
        }
        self.component("");
        // There is no other place for a code of ours than the alternate of this one.
        let separator = self.delimiters.subcomponent;
        if let Some(own) = self.code(error.code, separator) {
            for part in [own, "", "L"] {
                self.out.push(separator);
                self.text(part);
            }
        }
    }

    /// Code, text and coding system; returns the code if it is one of our own.
    fn code<'c>(&mut self, code: &'c str, separator: u8) -> Option<&'c str> {
        let known = error_text(code);
        let listed = known.map_or(INTERNAL_ERROR, |_| code);
        self.text(listed);
        for part in [error_text(listed).unwrap_or_default(), "HL70357"] {
            self.out.push(separator);
            self.text(part);
        }
        known.is_none().then_some(code)
    }

    fn segment(&mut self, id: &[u8]) {
        self.out.extend_from_slice(id);
    }

    fn end(&mut self) {
        self.out.push(b'\r');
    }

    fn field(&mut self, text: &str) {
        self.out.push(self.delimiters.field);
        self.text(text);
    }

    fn component(&mut self, text: &str) {
        self.out.push(self.delimiters.component);
        self.text(text);
    }

    /// Text, escaped; a character that the peer's set lacks becomes a question mark.
    fn text(&mut self, text: &str) {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'.' | b',');
        if text.as_bytes().iter().all(plain) {
            self.out.extend_from_slice(text.as_bytes());
            return;
        }
        if self.wire.encode(text).is_ok()
            && let Ok(bytes) = escape::escape(text, &self.delimiters, self.view)
        {
            self.out.extend_from_slice(&bytes);
            return;
        }
        let plain: String = text
            .chars()
            .map(|c| if c.is_ascii() { c } else { '?' })
            .collect();
        if let Ok(bytes) = escape::escape(&plain, &self.delimiters, Charset::Ascii) {
            self.out.extend_from_slice(&bytes);
        }
    }

    /// A field as the peer wrote it, or the default where it wrote nothing.
    fn copy(&mut self, field: usize, default: &str) {
        self.out.push(self.delimiters.field);
        let written = self.header.map_or(&b""[..], |header| header.field(field));
        let written = if written.is_empty() {
            default.as_bytes()
        } else {
            written
        };
        self.out.extend_from_slice(written);
    }

    fn finish(self) -> Bytes {
        if self.view == self.wire {
            return Bytes::from(self.out);
        }
        let text = String::from_utf8_lossy(&self.out);
        match self.wire.encode(&text) {
            Ok(bytes) => Bytes::from(bytes.into_owned()),
            // What was copied held bytes that its own set does not define.
            Err(_) => Bytes::from(text.chars().filter(char::is_ascii).collect::<String>()),
        }
    }
}

fn occurrence(which: Which) -> u32 {
    match which {
        Which::Nth(n) => n,
        Which::Unsaid | Which::All => 1,
    }
}

/// A time as HL7 writes it, in UTC: `20260102030405.678+0000` (HL7 v2.5.1 §2A.89).
#[must_use]
pub fn timestamp(at_ms: u64) -> [u8; 23] {
    let (seconds, ms) = (at_ms / 1_000, at_ms % 1_000);
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Milliseconds in 64 bits are fewer days than the calendar takes, and all of them after 1970.
    let (year, month, day) = date_of(i64::try_from(days).unwrap_or_default());
    let [year, month, day] = [year, month, day].map(i64::unsigned_abs);
    let mut out = *b"00000000000000.000+0000";
    let numbers = [
        (0, 4, year),
        (4, 2, month),
        (6, 2, day),
        (8, 2, of_day / 3_600),
        (10, 2, of_day / 60 % 60),
        (12, 2, of_day % 60),
        (15, 3, ms),
    ];
    for (from, digits, mut value) in numbers {
        for slot in out.iter_mut().skip(from).take(digits).rev() {
            // A digit is below 10.
            *slot = b'0' + u8::try_from(value % 10).unwrap_or_default();
            value /= 10;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        let check = |at_ms, expected: &str| assert_eq!(timestamp(at_ms), expected.as_bytes());
        check(0, "19700101000000.000+0000");
        check(951_782_399_999, "20000228235959.999+0000");
        check(951_782_400_000, "20000229000000.000+0000");
        check(1_709_251_199_000, "20240229235959.000+0000");
        check(1_767_225_599_999, "20251231235959.999+0000");
        check(4_107_542_400_123, "21000301000000.123+0000");
    }
}
