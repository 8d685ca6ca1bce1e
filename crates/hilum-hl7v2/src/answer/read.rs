//! A peer's answer.

use bytes::Bytes;

use super::codes::AckCode;
use crate::message::{Message, Part, Segment};
use crate::warning::Reject;

/// Why bytes are not an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// Not a message at all.
    #[error("the answer is no message: {0}")]
    Rejected(Reject),
    /// A message without MSA.
    #[error("the answer has no MSA")]
    NoMsa,
    /// MSA-1 is empty.
    #[error("the answer has no code in MSA-1")]
    NoCode,
}

/// What a peer answered. Prints without texts, which may hold content.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PeerAnswer {
    /// MSA-1 in capitals.
    pub code: String,
    /// MSA-1 if it is a code of table 0008.
    pub known: Option<AckCode>,
    /// MSA-2.
    pub control_id: Option<String>,
    /// MSA-3, ERR-8 and ERR-7, each once, else the text of the error code; may hold content.
    pub text: Option<String>,
    /// ERR-2 or ERR-1 as a path, `PID[1]-3[2].1`.
    pub error_location: Option<String>,
    /// ERR-3.1, up to 2.4 ERR-1.4.1.
    pub error_code: Option<String>,
    /// ERR-4.
    pub error_severity: Option<String>,
}

impl std::fmt::Debug for PeerAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerAnswer")
            .field("known", &self.known)
            .field("error_code", &self.error_code)
            .finish_non_exhaustive()
    }
}

/// Reads an answer of either mode; of several errors the first.
pub fn read_answer(bytes: impl Into<Bytes>) -> Result<PeerAnswer, AnswerError> {
    let message = Message::parse(bytes).map_err(AnswerError::Rejected)?;
    let msa = message
        .segments_named("MSA")
        .next()
        .ok_or(AnswerError::NoMsa)?;
    let code = text(msa.field(1))
        .ok_or(AnswerError::NoCode)?
        .to_ascii_uppercase();
    let mut found = PeerAnswer {
        known: AckCode::named(&code),
        code,
        control_id: text(msa.field(2)),
        text: text(msa.field(3)),
        ..PeerAnswer::default()
    };
    if let Some(err) = message.segments_named("ERR").next() {
        read_error(err, &mut found);
    }
    Ok(found)
}

fn read_error(err: Segment<'_>, found: &mut PeerAnswer) {
    let first = |field: u32| err.field(field).and_then(|field| field.nth(1));
    let code = first(3);
    let old = first(1);
    let old_code = old.and_then(|eld| eld.nth(4));
    found.error_code =
        text(code.and_then(|c| c.nth(1))).or_else(|| text(old_code.and_then(|c| c.nth(1))));
    found.error_severity = text(err.field(4));
    found.error_location = first(2)
        .filter(|erl| !erl.is_blank())
        .and_then(location)
        .or_else(|| old.and_then(|eld| location_of(eld, &[1, 2, 3])));
    let mut texts: Vec<String> = found.text.take().into_iter().collect();
    for said in [err.field(8), err.field(7)] {
        texts.extend(text(said).filter(|said| !texts.contains(said)));
    }
    found.text = if texts.is_empty() {
        text(code.and_then(|c| c.nth(2))).or_else(|| text(old_code.and_then(|c| c.nth(2))))
    } else {
        Some(texts.join("; "))
    };
}

fn location(erl: Part<'_>) -> Option<String> {
    location_of(erl, &[1, 2, 3, 4, 5, 6])
}

/// Segment, sequence, field, repetition, component, subcomponent, as far as given.
fn location_of(part: Part<'_>, components: &[u32]) -> Option<String> {
    let mut values = components.iter().map(|n| text(part.nth(*n)));
    let mut out = values.next().flatten()?;
    let mut next = || {
        values
            .next()
            .flatten()
            .filter(|n| n.bytes().all(|b| b.is_ascii_digit()))
    };
    let bracketed = |n: Option<String>| n.map(|n| format!("[{n}]")).unwrap_or_default();
    out.push_str(&bracketed(next()));
    let Some(field) = next() else {
        return Some(out);
    };
    out.push_str(&format!("-{field}"));
    out.push_str(&bracketed(next()));
    for _ in 0..2 {
        let Some(n) = next() else { break };
        out.push_str(&format!(".{n}"));
    }
    Some(out)
}

fn text(part: Option<Part<'_>>) -> Option<String> {
    let text = part?.text();
    let trimmed = text.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}
