//! The tokens of JSON.

use crate::definitions::Definitions;
use crate::lexical::number_length;
use crate::limits::Limits;
use crate::problem::IssueType;
use crate::report::{Report, Stop};
use crate::resource::Builder;

/// A string without its quotes.
#[derive(Clone, Copy)]
pub(super) struct Text<'s> {
    pub(super) raw: &'s str,
    pub(super) start: usize,
    /// It has no escapes.
    pub(super) plain: bool,
}

/// The state of reading.
pub(super) struct Reader<'s> {
    pub(super) text: &'s str,
    pub(super) source: &'s [u8],
    pub(super) at: usize,
    pub(super) limits: &'s Limits,
    pub(super) definitions: &'static Definitions,
    pub(super) builder: Builder,
    pub(super) report: Report<'s>,
    /// The properties of the open objects, innermost last.
    pub(super) seen: Vec<super::parse::Seen>,
    /// Bytes that were looked at before their turn.
    pub(super) ahead: usize,
}

/// Repeats a byte eight times.
const fn eight(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The first byte from `at` that a string does not just go on with: a quote, a backslash, a control
/// character. Eight bytes at a time; a set high bit in `stop` marks such a byte, and the lowest one
/// is never set in error.
fn string_run(source: &[u8], mut at: usize) -> usize {
    const LOW: u64 = eight(0x01);
    const HIGH: u64 = eight(0x80);
    while let Some(Ok(bytes)) = source.get(at..at + 8).map(<[u8; 8]>::try_from) {
        let word = u64::from_le_bytes(bytes);
        let (quote, slash) = (word ^ eight(b'"'), word ^ eight(b'\\'));
        let stop = (quote.wrapping_sub(LOW) & !quote)
            | (slash.wrapping_sub(LOW) & !slash)
            | (word.wrapping_sub(eight(0x20)) & !word);
        let stop = stop & HIGH;
        if stop != 0 {
            return at + (stop.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = source.get(at..).unwrap_or_default();
    let run = rest
        .iter()
        .take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1F));
    at + run.count()
}

impl<'s> Reader<'s> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.source.get(self.at).copied()
    }

    /// The bytes are no JSON.
    pub(super) fn expected(&mut self, what: &'static str) -> Stop {
        self.report.fatal(
            IssueType::Structure,
            self.at,
            format!("not JSON: {what} expected"),
        )
    }

    pub(super) fn blank(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' => {
                    // Indentation comes in runs.
                    while self.source.get(self.at..self.at + 8) == Some(b"        ") {
                        self.at += 8;
                    }
                    while self.peek() == Some(b' ') {
                        self.at += 1;
                    }
                }
                b'\n' | b'\r' | b'\t' => self.at += 1,
                _ => return,
            }
        }
    }

    /// Takes a byte that must be next, white space before it aside.
    pub(super) fn take(&mut self, byte: u8, what: &'static str) -> Result<(), Stop> {
        self.blank();
        if self.peek() != Some(byte) {
            return Err(self.expected(what));
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a string; its opening quote is next.
    pub(super) fn string(&mut self) -> Result<Text<'s>, Stop> {
        self.at += 1;
        let start = self.at;
        let mut plain = true;
        loop {
            self.at = string_run(self.source, self.at);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    plain = false;
                    self.escape()?;
                }
                Some(_) => return Err(self.expected("an escaped control character")),
                None => return Err(self.expected("a closing quote")),
            }
        }
        let raw = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        Ok(Text { raw, start, plain })
    }

    fn escape(&mut self) -> Result<(), Stop> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let digits = self.source.get(self.at + 1..self.at + 5);
                if !digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.expected("four hexadecimal digits"));
                }
                self.at += 5;
            }
            _ => return Err(self.expected("an escape")),
        }
        Ok(())
    }

    /// Reads a number; gives where it starts.
    pub(super) fn number(&mut self) -> Result<usize, Stop> {
        let start = self.at;
        let length = number_length(self.source.get(start..).unwrap_or_default());
        if length == 0 {
            return Err(self.expected("a number"));
        }
        self.at += length;
        Ok(start)
    }

    /// Reads `true`, `false` or `null`; gives where it starts.
    pub(super) fn word(&mut self) -> Result<usize, Stop> {
        let start = self.at;
        let rest = self.source.get(start..).unwrap_or_default();
        let words: [&[u8]; 3] = [b"true", b"false", b"null"];
        let Some(word) = words.into_iter().find(|word| rest.starts_with(word)) else {
            return Err(self.expected("true, false or null"));
        };
        self.at += word.len();
        Ok(start)
    }

    /// Passes over a value whose meaning is not known; at most so many levels deep.
    pub(super) fn skip(&mut self, levels: usize) -> Result<(), Stop> {
        self.blank();
        match self.peek() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'-' | b'0'..=b'9') => self.number().map(|_| ()),
            Some(b't' | b'f' | b'n') => self.word().map(|_| ()),
            Some(open @ (b'{' | b'[')) => {
                if levels == 0 {
                    return Err(self.too_deep());
                }
                let close = if open == b'{' { b'}' } else { b']' };
                self.at += 1;
                self.blank();
                if self.peek() == Some(close) {
                    self.at += 1;
                    return Ok(());
                }
                loop {
                    if open == b'{' {
                        self.blank();
                        if self.peek() != Some(b'"') {
                            return Err(self.expected("a property in quotes"));
                        }
                        self.string()?;
                        self.take(b':', "`:`")?;
                    }
                    self.skip(levels - 1)?;
                    if !self.another(close)? {
                        return Ok(());
                    }
                }
            }
            _ => Err(self.expected("a value")),
        }
    }

    /// Whether a comma follows; takes it, or the closing bracket.
    pub(super) fn another(&mut self, close: u8) -> Result<bool, Stop> {
        self.blank();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.expected("`,` or the closing bracket")),
        }
    }

    pub(super) fn too_deep(&mut self) -> Stop {
        let text = format!("nested deeper than {} levels", self.limits.depth_max);
        self.report.fatal(IssueType::TooLong, self.at, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_at_the_first_byte_that_is_special_wherever_it_stands() {
        for special in [b'"', b'\\', 0x00, 0x1F, b'\n'] {
            for at in 0..40 {
                let mut text = "é23!~\u{7f}ÿ€#[]0".repeat(6).into_bytes();
                text[at] = special;
                text[at + 3] = b'"';
                assert_eq!(string_run(&text, 0), at, "{special} at {at}");
            }
        }
        assert_eq!(string_run(b"abcdefghijk", 2), 11);
    }
}
