//! Where segments and fields lie in the bytes.
//!
//! One pass finds segments, one finds field separators; everything below a field is found when
//! it is asked for. Nothing here decides what an oddity means, it only notes it.

use memchr::{memchr, memchr_iter, memchr2_iter};

use crate::warning::{Warning, WarningCode};

/// One segment: where its bytes are read from, and what is written when it is untouched.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seg {
    /// Span of the text in its source.
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Span in the received bytes, and where the bytes after its terminator begin.
    pub(crate) raw_start: u32,
    pub(crate) raw_end: u32,
    pub(crate) next: u32,
    /// Its field separators in the source's list.
    pub(crate) sep_start: u32,
    pub(crate) sep_end: u32,
    /// 0 is the received buffer, n the overlay n - 1.
    pub(crate) source: u32,
    /// The id, upper case, packed; 0 unless it is three alphanumerics long.
    pub(crate) key: u32,
    pub(crate) state: SegState,
}

/// How a segment came to be as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum SegState {
    /// Its received bytes are written.
    #[default]
    Received,
    /// Edited: its overlay is written, then its received terminator.
    Edited,
    /// Added: its overlay is written, then the message's terminator.
    Added,
}

/// What ends a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Terminator {
    /// Carriage return, as the standard has it.
    #[default]
    Cr,
    /// Line feed.
    Lf,
    /// Both.
    CrLf,
}

impl Terminator {
    /// Its bytes.
    pub fn as_bytes(self) -> &'static [u8] {
        self.as_str().as_bytes()
    }

    /// Its characters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cr => "\r",
            Self::Lf => "\n",
            Self::CrLf => "\r\n",
        }
    }
}

/// A position as the index keeps it; buffers above 4 GB are refused before this is used.
pub(crate) fn pos(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The packed id of a three-character segment name, case ignored.
pub(crate) fn segment_key(id: &[u8]) -> u32 {
    match id {
        [a, b, c]
            if a.is_ascii_alphanumeric()
                && b.is_ascii_alphanumeric()
                && c.is_ascii_alphanumeric() =>
        {
            u32::from_le_bytes([
                a.to_ascii_uppercase(),
                b.to_ascii_uppercase(),
                c.to_ascii_uppercase(),
                1,
            ])
        }
        _ => 0,
    }
}

/// Bytes that make a line count as blank.
fn is_filler(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x00 | 0x1A | 0x1C)
}

/// Collects the lines of a message as segments without separators yet.
struct Lines<'b> {
    buf: &'b [u8],
    segs: Vec<Seg>,
    blank_since: Option<usize>,
    blank_between: bool,
}

impl Lines<'_> {
    fn push(&mut self, start: usize, end: usize, next: usize) {
        let line = self.buf.get(start..end).unwrap_or_default();
        if line.first().is_none_or(|b| is_filler(*b)) && line.iter().all(|b| is_filler(*b)) {
            self.blank_since.get_or_insert(start);
            if let Some(last) = self.segs.last_mut() {
                last.next = pos(next);
            }
            return;
        }
        self.blank_between |= self.blank_since.take().is_some();
        self.segs.push(Seg {
            start: pos(start),
            end: pos(end),
            raw_start: pos(start),
            raw_end: pos(end),
            next: pos(next),
            ..Seg::default()
        });
    }
}

/// The segments of a message that begins at `from`, its terminator, and what was odd.
pub(crate) fn split_segments(
    buf: &[u8],
    from: usize,
    field: u8,
    warnings: &mut Vec<Warning>,
) -> (Vec<Seg>, Terminator) {
    let body = buf.get(from..).unwrap_or_default();
    let mut lines = Lines {
        buf,
        segs: Vec::with_capacity(body.len() / 64 + 4),
        blank_since: None,
        blank_between: false,
    };
    let terminator = match (memchr(b'\n', body), memchr(b'\r', body)) {
        (None, _) => {
            split_single(&mut lines, from, b'\r');
            Terminator::Cr
        }
        (Some(_), None) => {
            split_single(&mut lines, from, b'\n');
            warnings.push(Warning::new(
                WarningCode::TerminatorLf,
                "segment terminator LF",
            ));
            Terminator::Lf
        }
        (Some(_), Some(_)) => split_mixed(&mut lines, from, field, warnings),
    };
    if lines.blank_between {
        warnings.push(Warning::new(
            WarningCode::BlankSegment,
            "empty line between segments",
        ));
    }
    (lines.segs, terminator)
}

fn split_single(lines: &mut Lines<'_>, from: usize, terminator: u8) {
    let buf = lines.buf;
    let mut start = from;
    for at in memchr_iter(terminator, buf.get(from..).unwrap_or_default()) {
        let end = from.saturating_add(at);
        lines.push(start, end, end.saturating_add(1));
        start = end.saturating_add(1);
    }
    if start < buf.len() {
        lines.push(start, buf.len(), buf.len());
    }
}

/// CR and LF both occur: CR, CR LF, and LF before something that looks like a segment split.
fn split_mixed(
    lines: &mut Lines<'_>,
    from: usize,
    field: u8,
    warnings: &mut Vec<Warning>,
) -> Terminator {
    let buf = lines.buf;
    let mut start = from;
    let (mut cr, mut lf, mut crlf, mut data) = (0_usize, 0_usize, 0_usize, 0_usize);
    for at in memchr2_iter(b'\r', b'\n', buf.get(from..).unwrap_or_default()) {
        let end = from.saturating_add(at);
        let after = end.saturating_add(1);
        if end < start {
            continue; // the LF of a CR LF
        }
        if buf.get(end) == Some(&b'\r') {
            let pair = buf.get(after) == Some(&b'\n');
            let next = if pair { after.saturating_add(1) } else { after };
            *(if pair { &mut crlf } else { &mut cr }) += 1;
            lines.push(start, end, next);
            start = next;
        } else if ends_here(buf, start, after, field) {
            lf += 1;
            lines.push(start, end, after);
            start = after;
        } else {
            data += 1;
        }
    }
    if start < buf.len() {
        lines.push(start, buf.len(), buf.len());
    }
    if data > 0 {
        warnings.push(Warning::new(WarningCode::LfInField, "raw LF inside field"));
    }
    match (cr, crlf, lf) {
        (0, 0, _) => Terminator::Lf,
        (_, 0, 0) => Terminator::Cr,
        (0, _, 0) => {
            warnings.push(Warning::new(
                WarningCode::TerminatorCrLf,
                "segment terminator CRLF",
            ));
            Terminator::CrLf
        }
        (cr, crlf, _) => {
            warnings.push(Warning::new(
                WarningCode::TerminatorMixed,
                "segment terminators differ",
            ));
            if crlf > cr {
                Terminator::CrLf
            } else {
                Terminator::Cr
            }
        }
    }
}

/// Whether an LF just before `after` ends a segment although CR occurs in the message.
fn ends_here(buf: &[u8], start: usize, after: usize, field: u8) -> bool {
    let rest = buf.get(after..).unwrap_or_default();
    match rest {
        [] => true,
        [a, b, c, separator, ..] => {
            (*separator == field && a.is_ascii_uppercase() && segment_key(&[*a, *b, *c]) != 0)
                // Blank lines between segments, or at the very end.
                || start.saturating_add(1) == after
                || rest.iter().all(u8::is_ascii_whitespace)
        }
        _ => rest
            .iter()
            .all(|b| b.is_ascii_whitespace() || is_filler(*b)),
    }
}

/// Appends the positions of `separator` in `line`, which starts at `base`.
pub(crate) fn mark_separators(line: &[u8], base: u32, separator: u8, out: &mut Vec<u32>) {
    const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
    let pattern = u64::from_le_bytes([separator; 8]);
    let (words, rest) = line.as_chunks::<8>();
    let mut at = base;
    for word in words {
        let differs = u64::from_le_bytes(*word) ^ pattern;
        // The high bit of each byte is set exactly where the byte equals the separator.
        let mut hits = !(((differs & LOW).wrapping_add(LOW)) | differs | LOW);
        while hits != 0 {
            out.push(at.wrapping_add(hits.trailing_zeros() / 8));
            hits &= hits.wrapping_sub(1);
        }
        at = at.wrapping_add(8);
    }
    for byte in rest {
        if *byte == separator {
            out.push(at);
        }
        at = at.wrapping_add(1);
    }
}

/// Fills in separators and ids of the segments, and notes odd ids.
pub(crate) fn mark_segments(
    buf: &[u8],
    segs: &mut [Seg],
    field: u8,
    warnings: &mut Vec<Warning>,
) -> Vec<u32> {
    let total = segs.last().map_or(0, |seg| seg.end as usize);
    let mut seps = Vec::with_capacity(total / 4 + 16);
    for (at, seg) in segs.iter_mut().enumerate() {
        let line = buf
            .get(seg.start as usize..seg.end as usize)
            .unwrap_or_default();
        seg.sep_start = pos(seps.len());
        mark_separators(line, seg.start, field, &mut seps);
        seg.sep_end = pos(seps.len());
        let id_end = seps
            .get(seg.sep_start as usize)
            .map_or(seg.end, |first| *first);
        let id = buf
            .get(seg.start as usize..id_end as usize)
            .unwrap_or_default();
        seg.key = segment_key(id);
        if let Some(warning) = odd_id(id) {
            warnings.push(warning.at(at));
        }
    }
    seps
}

fn odd_id(id: &[u8]) -> Option<Warning> {
    if let [a, b, c] = id
        && a.is_ascii_uppercase()
        && (b.is_ascii_uppercase() || b.is_ascii_digit())
        && (c.is_ascii_uppercase() || c.is_ascii_digit())
    {
        return None;
    }
    let named = id.iter().all(u8::is_ascii_alphanumeric) && (2..=8).contains(&id.len());
    Some(if !named {
        Warning::new(
            WarningCode::SegmentIdInvalid,
            "a line does not start with a segment id",
        )
    } else if id.len() == 3 && id.iter().any(u8::is_ascii_lowercase) {
        Warning::new(WarningCode::SegmentIdLowerCase, "segment id in lower case")
    } else {
        Warning::new(
            WarningCode::SegmentIdLength,
            "segment id is not three characters long",
        )
    })
}
