//! What a peer answered, read as far as the common case needs.
//!
//! MSA-1 and MSA-2 are found without building anything; only an answer that is not positive is
//! read by the channel's format.

use memchr::{memchr, memchr2, memmem};

/// MSH-10 of a message; `None` if it has none, or is no HL7 v2.
pub(super) fn control_id(message: &[u8]) -> Option<&[u8]> {
    let separator = header(message)?;
    // MSH-1 is the separator itself, so MSH-10 follows the ninth.
    let mut rest = message.get(3..)?;
    for _ in 0..9 {
        rest = rest.get(memchr(separator, rest)? + 1..)?;
    }
    let line = rest.get(..memchr2(b'\r', b'\n', rest).unwrap_or(rest.len()))?;
    // The ninth separator may only have been found in a later segment.
    let skipped = message.get(..message.len() - rest.len())?;
    if memchr2(b'\r', b'\n', skipped).is_some() {
        return None;
    }
    let id = line
        .get(..memchr(separator, line).unwrap_or(line.len()))?
        .trim_ascii();
    (!id.is_empty()).then_some(id)
}

/// MSA-1 and MSA-2 of an answer.
pub(super) fn verdict(answer: &[u8]) -> Option<(&[u8], &[u8])> {
    let separator = header(answer)?;
    let place = memmem::find_iter(answer, b"MSA")
        .find(|&at| at > 0 && matches!(answer.get(at - 1), Some(b'\r' | b'\n')))?;
    let rest = answer.get(place + 3..)?;
    let line = rest.get(..memchr2(b'\r', b'\n', rest).unwrap_or(rest.len()))?;
    let mut fields = line.split(|&byte| byte == separator).skip(1);
    let code = fields.next()?.trim_ascii();
    Some((code, fields.next().unwrap_or_default().trim_ascii()))
}

fn header(message: &[u8]) -> Option<u8> {
    message
        .starts_with(b"MSH")
        .then(|| message.get(3).copied())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_control_id() {
        let check = |message: &str, expected: Option<&str>| {
            assert_eq!(
                control_id(message.as_bytes()),
                expected.map(str::as_bytes),
                "{message}"
            );
        };
        check(
            "MSH|^~\\&|A|B|C|D|20260101||ADT^A01|id7|P|2.5\rPID|",
            Some("id7"),
        );
        check("MSH|^~\\&|A|B|C|D|20260101||ADT^A01| id7 ", Some("id7"));
        check("MSH#^~\\&#A#B#C#D#E##ADT#x\rPID#", Some("x"));
        check("MSH|^~\\&|A|B|C|D|20260101||ADT^A01||P\r", None);
        check("MSH|^~\\&|A|B\rPID|1|2|3|4|5|6|7\r", None);
        check("MSH", None);
        check("<xml/>", None);
    }

    #[test]
    fn finds_the_verdict() {
        let check = |answer: &str, expected: Option<(&str, &str)>| {
            let found = verdict(answer.as_bytes());
            assert_eq!(
                found,
                expected.map(|(a, b)| (a.as_bytes(), b.as_bytes())),
                "{answer}"
            );
        };
        check("MSH|^~\\&|A\rMSA|AA|id7\r", Some(("AA", "id7")));
        check(
            "MSH|^~\\&|MSA|B\nMSA|AE|id7|text\nERR|",
            Some(("AE", "id7")),
        );
        check("MSH|^~\\&|A\r\nMSA|AA", Some(("AA", "")));
        check("MSH|^~\\&|A\rMSA", None);
        check("MSH|^~\\&|A\r", None);
        check("AA", None);
    }
}
