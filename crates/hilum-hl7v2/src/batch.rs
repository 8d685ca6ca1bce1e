//! Several messages in one payload: FHS/BHS/BTS/FTS batches, or simply one MSH after another.
//!
//! Splitting looks at the starts of lines only and copies nothing; [`Items`] goes over a payload
//! of any size in one pass. Counts and unclosed envelopes are warnings. UTF-16 and UTF-32
//! payloads are taken as one message.

use std::collections::HashSet;
use std::ops::Range;

use crate::delimiters::Delimiters;
use crate::message::wide;
use crate::warning::{Reject, Warning, WarningCode};

/// After so many messages MSH-10 is no longer compared with those before.
pub const CONTROL_IDS_MAX: usize = 100_000;

/// What a stretch of a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// FHS and what follows it.
    FileHeader,
    /// BHS and what follows it.
    BatchHeader,
    /// MSH up to the next header or trailer.
    Message,
    /// BTS and what follows it.
    BatchTrailer,
    /// FTS and what follows it.
    FileTrailer,
    /// Bytes before the first header.
    Junk,
}

/// A stretch of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// Where it lies.
    pub range: Range<usize>,
}

/// The stretches of a payload, in order and without gaps.
#[derive(Clone, Debug)]
pub struct Items<'b> {
    payload: &'b [u8],
    at: usize,
}

/// The stretches of a payload.
pub fn items(payload: &[u8]) -> Items<'_> {
    Items { payload, at: 0 }
}

impl Iterator for Items<'_> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let rest = self
            .payload
            .get(self.at..)
            .filter(|rest| !rest.is_empty())?;
        let start = self.at;
        let kind = kind_at(rest).unwrap_or(ItemKind::Junk);
        let mut end = self.payload.len();
        for at in memchr::memchr2_iter(b'\r', b'\n', rest) {
            let next = at.saturating_add(1);
            if rest.get(next..).and_then(kind_at).is_some() {
                end = start.saturating_add(next);
                break;
            }
        }
        self.at = end;
        Some(Item {
            kind,
            range: start..end,
        })
    }
}

/// What begins at the start of a line, white space and framing bytes skipped.
fn kind_at(line: &[u8]) -> Option<ItemKind> {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
    let blank = line
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t' | 0x0B | 0x1C))
        .count();
    let [a, b, c, rest @ ..] = line.get(blank..)? else {
        return None;
    };
    let kind = match &[*a, *b, *c] {
        b"MSH" | b"msh" => ItemKind::Message,
        b"FHS" => ItemKind::FileHeader,
        b"BHS" => ItemKind::BatchHeader,
        b"BTS" => ItemKind::BatchTrailer,
        b"FTS" => ItemKind::FileTrailer,
        _ => return None,
    };
    let ends = |byte: &u8| matches!(byte, b'\r' | b'\n');
    match (kind, rest.first()) {
        (ItemKind::BatchTrailer | ItemKind::FileTrailer, None) => Some(kind),
        (ItemKind::BatchTrailer | ItemKind::FileTrailer, Some(byte)) if ends(byte) => Some(kind),
        (_, Some(byte)) if Delimiters::usable(*byte) => Some(kind),
        _ => None,
    }
}

/// Whether a payload is one message and nothing else, told without building anything.
#[must_use]
pub fn is_single(payload: &[u8]) -> bool {
    let mut items = items(payload);
    items
        .next()
        .is_some_and(|item| item.kind == ItemKind::Message)
        && items.next().is_none()
}

/// What a payload holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The messages, each by its range. A lone message has the range of the whole payload.
    pub messages: Vec<Range<usize>>,
    /// There was a file or batch header.
    pub enveloped: bool,
    /// The sum of what BTS-1 says, where it says something.
    pub declared: Option<u64>,
    /// What was odd, each with the index of the message that it concerns best.
    pub warnings: Vec<(usize, Warning)>,
}

impl Batch {
    /// Why there is no message, where there is none.
    pub fn reject(&self, payload: &[u8]) -> Option<Reject> {
        self.messages.is_empty().then(|| {
            if payload.iter().all(u8::is_ascii_whitespace) {
                Reject::Empty
            } else {
                Reject::NoHeader
            }
        })
    }

    fn warn(&mut self, code: WarningCode, text: String) {
        let message = self.messages.len().saturating_sub(1);
        self.warnings.push((message, Warning::new(code, text)));
    }
}

/// Splits a payload into its messages.
pub fn split(payload: &[u8]) -> Batch {
    let mut found = Batch::default();
    if wide(payload).is_some() {
        found.messages.push(0..payload.len());
        return found;
    }
    let mut open = Open::default();
    let mut seen = HashSet::new();
    for Item { kind, range } in items(payload) {
        let text = payload.get(range.clone()).unwrap_or_default();
        match kind {
            ItemKind::Junk => open.junk(&mut found, text),
            ItemKind::FileHeader => open.file(&mut found),
            ItemKind::BatchHeader => open.batch(&mut found),
            ItemKind::BatchTrailer => open.batch_ends(&mut found, declared(text)),
            ItemKind::FileTrailer => open.file_ends(&mut found, declared(text)),
            ItemKind::Message => {
                open.messages = open.messages.saturating_add(1);
                found.messages.push(range);
                note_repeated(&mut found, &mut seen, text);
            }
        }
    }
    open.finish(&mut found);
    if let ([only], false) = (found.messages.as_mut_slice(), found.enveloped)
        && !open.junk_seen
    {
        *only = 0..payload.len();
    }
    found
}

fn note_repeated<'p>(found: &mut Batch, seen: &mut HashSet<&'p [u8]>, text: &'p [u8]) {
    if seen.len() >= CONTROL_IDS_MAX {
        return;
    }
    if let Some(id) = header_field(text, 10).filter(|id| !id.is_empty())
        && !seen.insert(id)
    {
        found.warn(
            WarningCode::ControlIdRepeated,
            "duplicate MSH-10".to_owned(),
        );
    }
}

/// The envelopes that are open.
#[derive(Default)]
struct Open {
    file: bool,
    batch: bool,
    batches: u64,
    messages: u64,
    junk_seen: bool,
}

impl Open {
    fn junk(&mut self, found: &mut Batch, text: &[u8]) {
        let blank = |b: &u8| b.is_ascii_whitespace() || matches!(b, 0x0B | 0x1C | 0);
        if !text.iter().all(blank) {
            self.junk_seen = true;
            let text = format!("{} bytes before the first header", text.len());
            found.warn(WarningCode::JunkBetweenMessages, text);
        }
    }

    fn file(&mut self, found: &mut Batch) {
        self.close_batch(found);
        if self.file {
            found.warn(WarningCode::BatchUnclosed, "FHS without FTS".to_owned());
        }
        found.enveloped = true;
        (self.file, self.batches, self.messages) = (true, 0, 0);
    }

    fn batch(&mut self, found: &mut Batch) {
        self.close_batch(found);
        found.enveloped = true;
        self.batch = true;
        self.batches = self.batches.saturating_add(1);
        self.messages = 0;
    }

    fn close_batch(&mut self, found: &mut Batch) {
        if std::mem::take(&mut self.batch) {
            found.warn(WarningCode::BatchUnclosed, "BHS without BTS".to_owned());
        }
    }

    fn batch_ends(&mut self, found: &mut Batch, declared: Option<u64>) {
        if !std::mem::take(&mut self.batch) {
            found.warn(WarningCode::BatchUnclosed, "BTS without BHS".to_owned());
        }
        let messages = std::mem::take(&mut self.messages);
        found.enveloped = true;
        if let Some(declared) = declared {
            found.declared = Some(found.declared.unwrap_or(0).saturating_add(declared));
            if declared != messages {
                let text = format!("BTS-1 says {declared}, found {messages}");
                found.warn(WarningCode::BatchCount, text);
            }
        }
    }

    fn file_ends(&mut self, found: &mut Batch, declared: Option<u64>) {
        self.close_batch(found);
        if !std::mem::take(&mut self.file) {
            found.warn(WarningCode::BatchUnclosed, "FTS without FHS".to_owned());
        }
        found.enveloped = true;
        let batches = std::mem::take(&mut self.batches);
        if let Some(declared) = declared.filter(|declared| *declared != batches) {
            let text = format!("FTS-1 says {declared}, found {batches}");
            found.warn(WarningCode::BatchCount, text);
        }
    }

    fn finish(&mut self, found: &mut Batch) {
        self.close_batch(found);
        if self.file {
            found.warn(WarningCode::BatchUnclosed, "FHS without FTS".to_owned());
        }
        if found.messages.len() > 1 && !found.enveloped {
            let text = format!("{} messages in one payload", found.messages.len());
            found
                .warnings
                .push((0, Warning::new(WarningCode::SeveralMessages, text)));
        }
    }
}

/// Field `n` of the header segment that a text begins with, not unescaped.
fn header_field(text: &[u8], n: usize) -> Option<&[u8]> {
    let start = text
        .windows(3)
        .position(|id| id.eq_ignore_ascii_case(b"MSH"))?;
    let line = text
        .get(start..)?
        .split(|b| matches!(b, b'\r' | b'\n'))
        .next()?;
    let separator = *line.get(3)?;
    line.split(|b| *b == separator).nth(n.checked_sub(1)?)
}

/// The count in the first field of a trailer.
fn declared(text: &[u8]) -> Option<u64> {
    let start = text.iter().position(|b| b.is_ascii_uppercase())?;
    let digits = text.get(start.saturating_add(4)..)?;
    let end = digits
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(digits.len());
    std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSH: &str = "MSH|^~\\&|A||||||ADT^A01|";

    fn check(payload: &str, messages: usize, warnings: &[&str]) {
        let found = split(payload.as_bytes());
        assert_eq!(found.messages.len(), messages, "{payload:?}");
        let texts: Vec<&str> = found
            .warnings
            .iter()
            .map(|(_, w)| w.text.as_ref())
            .collect();
        assert_eq!(texts, warnings, "{payload:?}");
        let joined: usize = items(payload.as_bytes()).map(|item| item.range.len()).sum();
        assert_eq!(joined, payload.len(), "{payload:?}");
    }

    #[test]
    fn splits_batches_and_counts() {
        let (one, two) = (format!("{MSH}1\rPID|1\r"), format!("{MSH}2\rPID|1\r"));
        check(&one, 1, &[]);
        check(&format!("\r\n{one}\r"), 1, &[]);
        check(&format!("{one}{two}"), 2, &["2 messages in one payload"]);
        check(
            &format!("\u{b}{one}\u{1c}\r\u{b}{two}\u{1c}\r"),
            2,
            &["2 messages in one payload"],
        );
        check(
            &format!("{one}{one}"),
            2,
            &["duplicate MSH-10", "2 messages in one payload"],
        );
        check(
            &format!("FHS|^~\\&\rBHS|^~\\&\r{one}{two}BTS|2\rFTS|1\r"),
            2,
            &[],
        );
        check(
            &format!("BHS|^~\\&\n{one}BTS|2\n"),
            1,
            &["BTS-1 says 2, found 1"],
        );
        check(&format!("BHS|^~\\&\n{one}"), 1, &["BHS without BTS"]);
        check(
            &format!("FHS|^~\\&\r{one}BTS\rFTS|3"),
            1,
            &["BTS without BHS", "FTS-1 says 3, found 0"],
        );
        check(
            &format!("hello\r{one}"),
            1,
            &["6 bytes before the first header"],
        );
        check(
            "GET / HTTP/1.1\r\n",
            0,
            &["16 bytes before the first header"],
        );
        check("", 0, &[]);
    }

    #[test]
    fn a_lone_message_keeps_what_surrounds_it() {
        let payload = format!("\r\n{MSH}1\rPID|1\r\r\n");
        assert_eq!(
            split(payload.as_bytes()).messages.first(),
            Some(&(0..payload.len()))
        );
        assert_eq!(split(b" \r").reject(b" \r"), Some(Reject::Empty));
        assert_eq!(split(b"x").reject(b"x"), Some(Reject::NoHeader));
    }
}
