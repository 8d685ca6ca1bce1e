//! Answers: built for a received message, and read from a peer.
//!
//! An answer is written in the peer's separators, version and character set, its sender and
//! receiver swapped. MSA-3 is filled up to 2.6, where the standard withdrew it. ERR follows the
//! version: up to 2.4 one field ERR-1, from 2.5 ERR-2 location, ERR-3 code, ERR-4 severity, ERR-8
//! text (HL7 v2.5.1 §2.15.5). Original and enhanced mode differ in the code alone (AA, AE, AR or
//! CA, CE, CR). Time and control id come from the caller; there is no clock here.

mod codes;
mod identify;
mod read;

use bytes::Bytes;

pub use codes::{AckCode, AckCondition, AckSeverity, INTERNAL_ERROR, error_text};
pub use identify::{EntityId, Identity, resend_parts};
pub use read::{AnswerError, PeerAnswer, read_answer};

use crate::charset::Charset;
use crate::delimiters::Delimiters;
use crate::escape::{self, Decoding};
use crate::message::{Message, Part};
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
    /// A code of table 0357; any other is sent as 207 with this as the alternate.
    pub code: &'a str,
    /// Where.
    pub location: Option<&'a Path>,
    /// How bad.
    pub severity: AckSeverity,
    /// A sentence for people, without content of the message.
    pub text: &'a str,
}

/// The answer to a message that could be parsed.
pub fn answer(received: &Message, answer: &Answer<'_>) -> Bytes {
    let version = received.component("MSH", 12, 1);
    let writer = Writer {
        delimiters: received.delimiters(),
        decoding: received.decoding,
        level: Version::of(version.as_deref().unwrap_or(VERSION_DEFAULT)),
        out: Vec::with_capacity(256),
    };
    writer.answer(Some(received), answer)
}

/// The answer to bytes that are no message: standard separators, no receiver, empty MSA-2.
pub fn answer_unreadable(answer: &Answer<'_>) -> Bytes {
    let utf8 = Decoding {
        view: Charset::Utf8,
        wire: Charset::Utf8,
        fallback: Charset::LATIN_1,
    };
    let writer = Writer {
        delimiters: Delimiters::default(),
        decoding: utf8,
        level: Version::of(VERSION_DEFAULT),
        out: Vec::with_capacity(128),
    };
    writer.answer(None, answer)
}

/// A version as numbers, as far as the layout of answers depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

impl Version {
    fn of(text: &str) -> Self {
        let mut numbers = text.trim().split('.').map(|part| part.parse().unwrap_or(0));
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
struct Writer {
    delimiters: Delimiters,
    decoding: Decoding,
    level: Version,
    out: Vec<u8>,
}

impl Writer {
    fn answer(mut self, received: Option<&Message>, answer: &Answer<'_>) -> Bytes {
        self.header(received, answer);
        self.segment(b"MSA");
        self.field(answer.code.as_str());
        self.copy(received, "MSH", 10);
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

    fn header(&mut self, received: Option<&Message>, answer: &Answer<'_>) {
        self.out.extend_from_slice(b"MSH");
        self.out.push(self.delimiters.field);
        match received.and_then(|message| message.segment(0)?.field(2)) {
            Some(encoding) => self.out.extend_from_slice(encoding.raw()),
            None => self
                .out
                .extend_from_slice(&self.delimiters.encoding_characters()),
        }
        for field in [5, 6, 3, 4] {
            self.copy(received, "MSH", field);
        }
        self.field(&timestamp(answer.at_ms));
        self.field("");
        self.field("ACK");
        let trigger = received.and_then(|message| part(message, 9)?.nth(2));
        if let Some(trigger) = trigger.filter(|trigger| !trigger.is_blank()) {
            self.out.push(self.delimiters.component);
            self.out.extend_from_slice(trigger.raw());
            if self.level.has_structure() {
                self.component("ACK");
            }
        }
        self.field(answer.control_id);
        match received.and_then(|message| message.field("MSH", 11)) {
            Some(_) => self.copy(received, "MSH", 11),
            None => self.field("P"),
        }
        match received.and_then(|message| message.field("MSH", 12)) {
            Some(_) => self.copy(received, "MSH", 12),
            None => self.field(VERSION_DEFAULT),
        }
        if received
            .and_then(|message| message.field("MSH", 18))
            .is_some()
        {
            (0..5).for_each(|_| self.field(""));
            self.copy(received, "MSH", 18);
        }
        self.end();
    }

    /// ERR-2, 3, 4 and 8.
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
        self.code(error.code, self.delimiters.component);
        self.field(error.severity.as_str());
        (0..3).for_each(|_| self.field(""));
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
        self.code(error.code, self.delimiters.subcomponent);
    }

    /// Code, text and coding system, then a code of ours as the alternate.
    fn code(&mut self, code: &str, separator: u8) {
        let known = error_text(code).map(|text| (code, text));
        let (listed, text) = known.unwrap_or((
            INTERNAL_ERROR,
            error_text(INTERNAL_ERROR).unwrap_or_default(),
        ));
        let mut parts = vec![listed, text, "HL70357"];
        if known.is_none() {
            parts.extend([code, "", "L"]);
        }
        for (at, part) in parts.into_iter().enumerate() {
            if at > 0 {
                self.out.push(separator);
            }
            self.text(part);
        }
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
        let view = self.decoding.view;
        let wire = self.decoding.wire;
        if wire.encode(text).is_ok()
            && let Ok(bytes) = escape::escape(text, &self.delimiters, view)
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

    /// A field as the peer wrote it.
    fn copy(&mut self, received: Option<&Message>, id: &str, field: u32) {
        self.out.push(self.delimiters.field);
        let part = received.and_then(|m| m.segments_named(id).next()?.field(field));
        if let Some(part) = part {
            self.out.extend_from_slice(part.raw());
        }
    }

    fn finish(self) -> Bytes {
        if self.decoding.view == self.decoding.wire {
            return Bytes::from(self.out);
        }
        let text = String::from_utf8_lossy(&self.out);
        match self.decoding.wire.encode(&text) {
            Ok(bytes) => Bytes::from(bytes.into_owned()),
            // What was copied held bytes that its own set does not define.
            Err(_) => Bytes::from(text.chars().filter(char::is_ascii).collect::<String>()),
        }
    }
}

fn part(message: &Message, field: u32) -> Option<Part<'_>> {
    message.segment(0)?.field(field)?.nth(1)
}

fn occurrence(which: Which) -> u32 {
    match which {
        Which::Nth(n) => n,
        Which::Unsaid | Which::All => 1,
    }
}

/// A time as HL7 writes it, in UTC: `20260102030405.678+0000`.
pub fn timestamp(at_ms: u64) -> String {
    let (seconds, ms) = (at_ms / 1_000, at_ms % 1_000);
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, by eras of 400 years: months then have a regular length.
    let days = days.saturating_add(719_468);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era.saturating_mul(400).saturating_add(year_of_era) + u64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}{:02}{:02}{:02}.{ms:03}+0000",
        of_day / 3_600,
        of_day / 60 % 60,
        of_day % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        let check = |at_ms, expected: &str| assert_eq!(timestamp(at_ms), expected);
        check(0, "19700101000000.000+0000");
        check(951_782_400_000, "20000229000000.000+0000");
        check(1_767_225_599_999, "20251231235959.999+0000");
    }
}
