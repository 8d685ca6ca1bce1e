//! Answers: built from the header of what was received, and read from what a peer sent.
//!
//! The same message and arrival time give the same answer, byte for byte: its control id derives
//! from the message id, its time is the arrival. Fields that name the parties are copied as they
//! stand, so the answer uses the separators and the character set of the message.

use bytes::Bytes;
use hilum_component::{Answer, PeerAnswer, SealedAnswer, Verdict};
use hilum_hl7v2::Message;
use hilum_message::MessageId;

use super::header::{Header, error_location, narrowed};

/// What answers say where the message does not.
const VERSION: &[u8] = b"2.5.1";

/// Characters of MSH-10 that every version allows.
const CONTROL_ID_MAX: usize = 20;

pub(super) fn build(answer: &Answer<'_>) -> SealedAnswer {
    let text = answer.received.text();
    let narrow = narrowed(text);
    let bytes = narrow.as_deref().unwrap_or(text);
    let header = Header::read(bytes);
    let mut writer = Writer::new(header.as_ref(), narrow.is_some());
    writer.header(answer);
    writer.acknowledgement(answer);
    let bytes = Bytes::from(writer.out);
    match answer.verdict {
        Verdict::Accept => SealedAnswer::positive(bytes),
        Verdict::Error { .. } | Verdict::Refuse { .. } => SealedAnswer::negative(bytes),
    }
}

struct Writer<'h, 'b> {
    header: Option<&'h Header<'b>>,
    separator: u8,
    component: u8,
    repetition: u8,
    escape: u8,
    subcomponent: u8,
    wide: bool,
    out: Vec<u8>,
}

impl<'h, 'b> Writer<'h, 'b> {
    fn new(header: Option<&'h Header<'b>>, wide: bool) -> Self {
        let separator = header.map_or(b'|', |header| header.separator);
        let standard = *b"^~\\&";
        let [component, repetition, escape, subcomponent] =
            header.map_or(standard, Header::separators);
        let out = Vec::with_capacity(256);
        Self {
            header,
            separator,
            component,
            repetition,
            escape,
            subcomponent,
            wide,
            out,
        }
    }

    fn field(&self, n: usize) -> &'b [u8] {
        self.header.map_or(&[], |header| header.field(n))
    }

    fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A separator and a field as it stands in the message.
    fn copy(&mut self, n: usize) {
        let field = self.field(n);
        self.put(&[self.separator]);
        self.put(field);
    }

    /// A separator and a field of our own.
    fn own(&mut self, text: &[u8]) {
        self.put(&[self.separator]);
        self.put(text);
    }

    fn header(&mut self, answer: &Answer<'_>) {
        self.put(b"MSH");
        let encoding = self.field(2);
        self.own(if encoding.is_empty() {
            b"^~\\&"
        } else {
            encoding
        });
        self.copy(5);
        self.copy(6);
        self.copy(3);
        self.copy(4);
        self.own(&time(answer.at_ms));
        self.own(b"");
        self.own(b"ACK");
        let trigger = self
            .header
            .map_or(&b""[..], |header| header.component(9, 2));
        if !trigger.is_empty() {
            let component = self.component;
            self.put(&[component]);
            self.put(trigger);
            if self.version() >= (2, 3, 1) {
                self.put(&[component]);
                self.put(b"ACK");
            }
        }
        self.own(control_id(answer.message, answer.commit).as_bytes());
        let processing = self.field(11);
        self.own(if processing.is_empty() {
            b"P"
        } else {
            processing
        });
        let version = self.field(12);
        self.own(if version.is_empty() { VERSION } else { version });
        let charset = if self.wide {
            b"UNICODE UTF-8"
        } else {
            self.field(18)
        };
        if !charset.is_empty() {
            let separator = self.separator;
            self.put(&[separator; 5]);
            self.own(charset);
        }
        self.put(b"\r");
    }

    fn acknowledgement(&mut self, answer: &Answer<'_>) {
        let (code, refusal) = match (&answer.verdict, answer.commit) {
            (Verdict::Accept, false) => (b"AA", None),
            (Verdict::Accept, true) => (b"CA", None),
            (Verdict::Error { code, path, text }, commit) => (
                if commit { b"CE" } else { b"AE" },
                Some((*code, *path, *text)),
            ),
            (Verdict::Refuse { code, path, text }, commit) => (
                if commit { b"CR" } else { b"AR" },
                Some((*code, *path, *text)),
            ),
        };
        self.put(b"MSA");
        self.own(code);
        self.copy(10);
        if let Some((code, path, text)) = refusal {
            let text = self.escaped(text);
            self.own(&text);
            self.put(b"\r");
            self.error(code, path, &text);
        }
        self.put(b"\r");
    }

    /// ERR as the version has it: one composite up to 2.4, fields of their own from 2.5.
    fn error(&mut self, code: &str, path: Option<&str>, text: &[u8]) {
        let (table, own) = condition(code);
        self.put(b"ERR");
        let component = char::from(self.component);
        let location = path
            .and_then(|path| error_location(path, component))
            .unwrap_or_default();
        let condition = [table.0.as_bytes(), table.1.as_bytes(), b"HL70357"];
        if self.version() >= (2, 5, 0) {
            self.own(b"");
            self.own(location.as_bytes());
            self.own(&condition.join(&self.component));
            self.own(b"E");
            let own = self.escaped(own.unwrap_or_default());
            self.own(&own);
            self.own(b"");
            self.own(b"");
            self.own(text);
        } else {
            let mut parts: Vec<&[u8]> = location
                .as_bytes()
                .splitn(4, |b| *b == self.component)
                .collect();
            parts.truncate(3);
            parts.resize(3, b"");
            let condition = condition.join(&self.subcomponent);
            parts.push(&condition);
            let code_and_location = parts.join(&self.component);
            self.own(&code_and_location);
        }
    }

    /// The version of the message as numbers; that of [`VERSION`] where it does not say.
    fn version(&self) -> (u32, u32, u32) {
        let field = self
            .header
            .map_or(&b""[..], |header| header.component(12, 1));
        let text = if field.is_empty() { VERSION } else { field };
        let mut numbers = text.split(|byte| *byte == b'.').map(|part| {
            std::str::from_utf8(part)
                .ok()
                .and_then(|part| part.parse().ok())
                .unwrap_or_default()
        });
        let mut next = || numbers.next().unwrap_or_default();
        (next(), next(), next())
    }

    /// A text of ours as it stands in a field; what is not ASCII may not be in the message's set.
    fn escaped(&self, text: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        for c in text.chars() {
            let byte = u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(b'?');
            let letter = match byte {
                b if b == self.escape => b'E',
                b if b == self.separator => b'F',
                b if b == self.component => b'S',
                b if b == self.subcomponent => b'T',
                b if b == self.repetition => b'R',
                b if b < b' ' => b' ',
                _ => 0,
            };
            match letter {
                0 => out.push(byte),
                b' ' => out.push(b' '),
                letter => out.extend_from_slice(&[self.escape, letter, self.escape]),
            }
        }
        out
    }
}

/// The code of table 0357 with its text, and our own code where it is none of the table.
fn condition(code: &str) -> ((&'static str, &'static str), Option<&str>) {
    let table = [
        ("100", "Segment sequence error"),
        ("101", "Required field missing"),
        ("102", "Data type error"),
        ("103", "Table value not found"),
        ("104", "Value too long"),
        ("198", "Non-conformant cardinality"),
        ("199", "Other HL7 error"),
        ("200", "Unsupported message type"),
        ("201", "Unsupported event code"),
        ("202", "Unsupported processing id"),
        ("203", "Unsupported version id"),
        ("204", "Unknown key identifier"),
        ("205", "Duplicate key identifier"),
        ("206", "Application record locked"),
        ("207", "Application error"),
    ];
    match table.into_iter().find(|(known, _)| *known == code) {
        Some(row) => (row, None),
        None => (("207", "Application error"), Some(code)),
    }
}

/// The end of the message id, which differs even between messages of one millisecond; commit and
/// application answers to one message differ in their first letter.
fn control_id(message: MessageId, commit: bool) -> String {
    let id = message.to_string();
    let tail = id.len().saturating_sub(CONTROL_ID_MAX - 1);
    format!(
        "{}{}",
        if commit { 'C' } else { 'A' },
        id.get(tail..).unwrap_or(&id)
    )
}

/// Milliseconds since 1970 as a time stamp in UTC (HL7 v2.5.1 §2A.89).
fn time(ms: u64) -> [u8; 23] {
    let (days, ms_of_day) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = civil(days);
    let (hour, minute) = (ms_of_day / 3_600_000, ms_of_day / 60_000 % 60);
    let (second, ms) = (ms_of_day / 1_000 % 60, ms_of_day % 1_000);
    let mut out = *b"00000000000000.000+0000";
    let mut put = |from: usize, digits: usize, mut value: u64| {
        for slot in out.iter_mut().skip(from).take(digits).rev() {
            // A digit is below 10.
            *slot = b'0' + u8::try_from(value % 10).unwrap_or_default();
            value /= 10;
        }
    };
    put(0, 4, year);
    put(4, 2, month);
    put(6, 2, day);
    put(8, 2, hour);
    put(10, 2, minute);
    put(12, 2, second);
    put(15, 3, ms);
    out
}

/// The date of a day counted from 1970-01-01, by counting from 0000-03-01 so that leap days come
/// last in their year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
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
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Reads a peer's answer.
pub(super) fn read(bytes: &[u8]) -> Result<PeerAnswer, String> {
    let message = Message::parse(Bytes::copy_from_slice(bytes))
        .map_err(|reject| format!("the answer is not readable: {reject}"))?;
    let field = |segment: &str, n: u32| {
        let text = message.field(segment, n)?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    if message.segments_named("MSA").next().is_none() {
        return Err("the answer has no MSA segment".to_owned());
    }
    let code = field("MSA", 1).ok_or("MSA-1 of the answer is empty")?;
    let component = |field: u32, n: u32| {
        message
            .component("ERR", field, n)
            .map(std::borrow::Cow::into_owned)
    };
    // Up to 2.4 one composite says it all.
    let early = component(1, 4).and_then(|code| {
        let code = code.split('&').next().unwrap_or_default().to_owned();
        (!code.is_empty()).then_some(code)
    });
    let late = component(3, 1);
    let texts = [
        field("MSA", 3),
        field("ERR", 8),
        field("ERR", 7),
        component(3, 2),
    ];
    let mut texts: Vec<String> = texts.into_iter().flatten().collect();
    texts.dedup();
    Ok(PeerAnswer {
        code: code.to_ascii_uppercase(),
        control_id: field("MSA", 2),
        error_code: late.or(early),
        severity: field("ERR", 4),
        location: field("ERR", 2).or_else(|| field("ERR", 1)),
        text: (!texts.is_empty()).then(|| texts.join("; ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        for (ms, expected) in [
            (0, "19700101000000.000+0000"),
            (951_782_399_999, "20000228235959.999+0000"),
            (951_782_400_000, "20000229000000.000+0000"),
            (1_709_251_199_000, "20240229235959.000+0000"),
            (4_107_542_400_123, "21000301000000.123+0000"),
        ] {
            assert_eq!(std::str::from_utf8(&time(ms)).unwrap(), expected);
        }
    }
}
