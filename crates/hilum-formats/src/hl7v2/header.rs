//! The header of a message without parsing the rest of it: what an answer is made from.

use hilum_hl7v2::{Message, Path};

/// The first segment: its separator, its encoding characters, and its fields as they stand.
#[derive(Clone, Debug)]
pub(super) struct Header<'b> {
    pub(super) separator: u8,
    /// MSH-1 is at 0.
    fields: Vec<&'b [u8]>,
}

/// Fields that an answer may need: up to MSH-21.
const FIELDS_MAX: usize = 21;

impl<'b> Header<'b> {
    /// Reads the header of a message, or of a batch.
    pub(super) fn read(bytes: &'b [u8]) -> Option<Self> {
        let start = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let blank = start
            .iter()
            .take_while(|b| b.is_ascii_whitespace() || **b == 0x0B)
            .count();
        let line = start.get(blank..)?;
        let (id, rest) = line.split_at_checked(3)?;
        if ![b"MSH", b"FHS", b"BHS"].contains(&<&[u8; 3]>::try_from(id).ok()?) && id != b"msh" {
            return None;
        }
        let (&separator, rest) = rest.split_first()?;
        if !separator.is_ascii_punctuation() {
            return None;
        }
        let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let rest = rest.get(..end)?;
        let mut fields: Vec<&[u8]> = Vec::with_capacity(FIELDS_MAX);
        fields.push(line.get(3..4)?);
        fields.extend(rest.split(|byte| *byte == separator).take(FIELDS_MAX - 1));
        Some(Self { separator, fields })
    }

    /// A field as it stands; empty where the header is shorter.
    pub(super) fn field(&self, n: usize) -> &'b [u8] {
        n.checked_sub(1)
            .and_then(|at| self.fields.get(at))
            .copied()
            .unwrap_or_default()
    }

    fn encoding(&self, at: usize, standard: u8) -> u8 {
        let byte = self.field(2).get(at).copied().unwrap_or(standard);
        if byte.is_ascii_punctuation() && byte != self.separator {
            byte
        } else {
            standard
        }
    }

    /// Component, repetition, escape and subcomponent separator.
    pub(super) fn separators(&self) -> [u8; 4] {
        [
            self.encoding(0, b'^'),
            self.encoding(1, b'~'),
            self.encoding(2, b'\\'),
            self.encoding(3, b'&'),
        ]
    }

    /// A component of a field, from 1, as it stands.
    pub(super) fn component(&self, field: usize, n: usize) -> &'b [u8] {
        let [component, ..] = self.separators();
        let mut parts = self.field(field).split(|byte| *byte == component);
        parts.nth(n.saturating_sub(1)).unwrap_or_default()
    }
}

/// Spans of the times (MSH-7, FHS-7, BHS-7) of all headers in a payload: a message that is sent
/// again differs in nothing else.
pub(super) fn times(bytes: &[u8], mut visit: impl FnMut(std::ops::Range<usize>)) {
    let mut from = 0;
    while let Some(line) = bytes.get(from..).filter(|rest| !rest.is_empty()) {
        let end = memchr::memchr2(b'\r', b'\n', line).unwrap_or(line.len());
        let header = line.get(..4).filter(|start| {
            [b"MSH", b"FHS", b"BHS"]
                .iter()
                .any(|id| start.starts_with(*id))
        });
        if let Some(&[_, _, _, separator]) = header {
            let line = line.get(..end).unwrap_or_default();
            let mut places = memchr::memchr_iter(separator, line).skip(5);
            if let Some(start) = places.next() {
                let stop = places.next().unwrap_or(line.len());
                visit(from + start + 1..from + stop);
            }
        }
        from += end + 1;
        if !line.get(..4).is_some_and(|start| start.starts_with(b"MSH")) {
            continue;
        }
        // Only what may begin another message is looked at further.
        let rest = bytes.get(from..).unwrap_or_default();
        match next_header(rest) {
            Some(at) => from += at,
            None => return,
        }
    }
}

/// Where the next header line begins.
pub(super) fn next_header(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let at = memchr::memmem::find(rest, b"HS")
            .into_iter()
            .chain(memchr::memmem::find(rest, b"SH"))
            .min()?;
        let start = (from + at).checked_sub(1);
        if let Some(start) = start
            && let Some([a, b, c, separator]) = bytes.get(start..start + 4)
            && [b"MSH", b"FHS", b"BHS"].contains(&&[*a, *b, *c])
            && separator.is_ascii_punctuation()
            && start
                .checked_sub(1)
                .is_none_or(|before| matches!(bytes.get(before), Some(b'\r' | b'\n' | 0x0B | 0x1C)))
        {
            return Some(start);
        }
        from += at + 1;
    }
}

/// The place of a path in the words of ERR-2: segment, number, field, repetition, component,
/// subcomponent.
pub(super) fn error_location(path: &str, component: char) -> Option<String> {
    let path = Path::parse(path).ok()?;
    let number = |which| match which {
        hilum_hl7v2::path::Which::Nth(n) => n,
        hilum_hl7v2::path::Which::Unsaid | hilum_hl7v2::path::Which::All => 1,
    };
    let mut out = format!("{}{component}{}", path.segment(), number(path.occurrence()));
    if let Some(field) = path.field() {
        out.push_str(&format!(
            "{component}{}{component}{}",
            field.field,
            number(field.repetition)
        ));
        if field.component > 0 {
            out.push_str(&format!("{component}{}", field.component));
        }
        if field.subcomponent > 0 {
            out.push_str(&format!("{component}{}", field.subcomponent));
        }
    }
    Some(out)
}

/// The bytes of a message in a wide character set as UTF-8, so that its header can be read.
pub(super) fn narrowed(bytes: &bytes::Bytes) -> Option<Vec<u8>> {
    let wide = bytes.get(..4)?;
    if !wide.contains(&0) && !wide.starts_with(b"\xFF\xFE") && !wide.starts_with(b"\xFE\xFF") {
        return None;
    }
    let message = Message::parse(bytes.clone()).ok()?;
    Some(message.segment(0)?.raw().to_vec())
}
