//! Answers in the engine's words: `hilum_hl7v2` writes and reads them.
//!
//! The same message and arrival time give the same answer, byte for byte: its control id derives
//! from the message id, its time is the arrival.

use hilum_component::{Answer, PeerAnswer, SealedAnswer, Verdict};
use hilum_hl7v2::Path;
use hilum_hl7v2::answer::{self, AckCode, AckSeverity, AnswerErrorEntry};
use hilum_message::MessageId;

/// Characters of MSH-10 that every version allows.
const CONTROL_ID_MAX: usize = 20;

pub(super) fn build(answer: &Answer<'_>) -> SealedAnswer {
    let (code, refusal) = match (&answer.verdict, answer.commit) {
        (Verdict::Accept, false) => (AckCode::Aa, None),
        (Verdict::Accept, true) => (AckCode::Ca, None),
        (Verdict::Error { code, path, text }, false) => (AckCode::Ae, Some((*code, *path, *text))),
        (Verdict::Error { code, path, text }, true) => (AckCode::Ce, Some((*code, *path, *text))),
        (Verdict::Refuse { code, path, text }, false) => (AckCode::Ar, Some((*code, *path, *text))),
        (Verdict::Refuse { code, path, text }, true) => (AckCode::Cr, Some((*code, *path, *text))),
    };
    let location = refusal.and_then(|(_, path, _)| Path::parse(path?).ok());
    let error = refusal.map(|(code, _, text)| AnswerErrorEntry {
        code,
        location: location.as_ref(),
        severity: AckSeverity::Error,
        text,
    });
    let control_id = control_id(answer.message, answer.commit);
    let bytes = answer::answer(
        answer.received.text(),
        &answer::Answer {
            code,
            control_id: &control_id,
            at_ms: answer.at_ms,
            text: None,
            errors: error.as_slice(),
        },
    );
    if code.is_positive() {
        SealedAnswer::positive(bytes)
    } else {
        SealedAnswer::negative(bytes)
    }
}

/// The end of the message id, which differs even between messages of one millisecond; commit and
/// application answers to one message differ in their first letter.
fn control_id(message: MessageId, commit: bool) -> String {
    let id = message.to_string();
    let tail = id.len().saturating_sub(CONTROL_ID_MAX - 1);
    let mut out = String::with_capacity(CONTROL_ID_MAX);
    out.push(if commit { 'C' } else { 'A' });
    out.push_str(id.get(tail..).unwrap_or(&id));
    out
}

/// Reads a peer's answer.
pub(super) fn read(bytes: &[u8]) -> Result<PeerAnswer, String> {
    let found = answer::read_answer(bytes.to_vec()).map_err(|error| error.to_string())?;
    Ok(PeerAnswer {
        code: found.code,
        control_id: found.control_id,
        error_code: found.error_code,
        severity: found.error_severity,
        location: found.error_location,
        text: found.text,
    })
}
