//! Code switching: ISO 2022 escape sequences, and the HL7 escapes `\C..\` and `\M..\` that spell
//! the same switches (HL7 v2.5.1 §2.7.2).

use std::borrow::Cow;
use std::sync::OnceLock;

use encoding_rs::{EUC_JP, EUC_KR, Encoding, GBK, SHIFT_JIS};

use super::Unencodable;

/// Escape, which begins a switch on the wire.
const ESC: u8 = 0x1B;

/// The set that the following bytes belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Iso2022 {
    /// ASCII, or JIS X 0201 Roman, which we read as ASCII.
    Ascii,
    /// Half-width katakana of JIS X 0201.
    Katakana,
    /// JIS X 0208, two bytes.
    JisX0208,
    /// JIS X 0212, two bytes.
    JisX0212,
    /// KS X 1001, two bytes.
    KsX1001,
    /// GB 2312, two bytes.
    Gb2312,
    /// A plane of CNS 11643, two bytes.
    Cns11643(u8),
    /// A single-byte set whose upper half is selected.
    Upper(&'static Encoding),
}

impl Iso2022 {
    /// The set that an escape sequence selects, given the bytes after ESC.
    pub(crate) fn selected(sequence: &[u8]) -> Option<Self> {
        Some(match sequence {
            b"(B" | b"(J" => Self::Ascii,
            b"(I" | b")I" => Self::Katakana,
            b"$@" | b"$B" | b"$(B" | b"$(@" => Self::JisX0208,
            b"$(D" => Self::JisX0212,
            b"$)C" | b"$(C" => Self::KsX1001,
            b"$)A" | b"$A" | b"$(A" => Self::Gb2312,
            b"$)G" | b"$(G" => Self::Cns11643(1),
            b"$*H" | b"$(H" => Self::Cns11643(2),
            b"-A" => Self::Upper(encoding_rs::WINDOWS_1252),
            b"-B" => Self::Upper(encoding_rs::ISO_8859_2),
            b"-C" => Self::Upper(encoding_rs::ISO_8859_3),
            b"-D" => Self::Upper(encoding_rs::ISO_8859_4),
            b"-L" => Self::Upper(encoding_rs::ISO_8859_5),
            b"-G" => Self::Upper(encoding_rs::ISO_8859_6),
            b"-F" => Self::Upper(encoding_rs::ISO_8859_7),
            b"-H" => Self::Upper(encoding_rs::ISO_8859_8),
            b"-M" => Self::Upper(encoding_rs::WINDOWS_1254),
            b"-b" => Self::Upper(encoding_rs::ISO_8859_15),
            _ => return None,
        })
    }

    /// Appends the text of bytes in this set; true if some were not defined.
    pub(crate) fn decode(self, bytes: &[u8], out: &mut String) -> bool {
        let (table, prefix): (&Encoding, &[u8]) = match self {
            Self::Ascii => {
                let (text, bad) = super::decode_utf8(bytes, super::Charset::LATIN_1);
                out.push_str(&text);
                return bad;
            }
            Self::Upper(table) => {
                let (text, bad) = table.decode_without_bom_handling(bytes);
                out.push_str(&text);
                return bad;
            }
            Self::Cns11643(plane) => return super::cns11643::decode_plane(plane, bytes, out),
            Self::Katakana => {
                let upper: Vec<u8> = bytes.iter().map(|byte| byte | 0x80).collect();
                let (text, bad) = SHIFT_JIS.decode_without_bom_handling(&upper);
                out.push_str(&text);
                return bad;
            }
            Self::JisX0208 => (EUC_JP, &[]),
            Self::JisX0212 => (EUC_JP, &[0x8F]),
            Self::KsX1001 => (EUC_KR, &[]),
            Self::Gb2312 => (GBK, &[]),
        };
        let mut extended = Vec::with_capacity(bytes.len().saturating_mul(2));
        let mut rest = bytes;
        while let Some((first, tail)) = rest.split_first() {
            match tail.split_first() {
                // Blanks and controls keep their meaning between two-byte characters.
                Some((second, tail)) if *first > b' ' => {
                    extended.extend_from_slice(prefix);
                    extended.extend_from_slice(&[first | 0x80, second | 0x80]);
                    rest = tail;
                }
                _ => {
                    extended.push(*first);
                    rest = tail;
                }
            }
        }
        let (text, bad) = table.decode_without_bom_handling(&extended);
        out.push_str(&text);
        bad
    }
}

/// The length and meaning of the sequence after an ESC.
fn sequence(after: &[u8]) -> Option<(usize, Iso2022)> {
    [2_usize, 3].into_iter().find_map(|length| {
        let selected = Iso2022::selected(after.get(..length)?)?;
        Some((length, selected))
    })
}

/// Text of bytes that switch sets by ESC sequences, beginning in ASCII.
pub(crate) fn decode(bytes: &[u8]) -> (Cow<'_, str>, bool) {
    if bytes.is_ascii() && memchr::memchr(ESC, bytes).is_none() {
        return super::decode_utf8(bytes, super::Charset::LATIN_1);
    }
    let mut out = String::with_capacity(bytes.len());
    let mut bad = false;
    let mut set = Iso2022::Ascii;
    let mut rest = bytes;
    loop {
        let stop = memchr::memchr(ESC, rest).unwrap_or(rest.len());
        let (run, tail) = rest.split_at_checked(stop).unwrap_or((rest, &[]));
        bad |= set.decode(run, &mut out);
        let Some((_, after)) = tail.split_first() else {
            return (Cow::Owned(out), bad);
        };
        match sequence(after) {
            Some((length, selected)) => {
                set = selected;
                rest = after.get(length..).unwrap_or_default();
            }
            None => {
                out.push(char::from(ESC));
                bad = true;
                rest = after;
            }
        }
    }
}

/// Text with the switches that it needs, in ASCII at its end.
pub(crate) fn encode(text: &str) -> Result<Cow<'_, [u8]>, Unencodable> {
    if text.is_ascii() {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut set = Iso2022::Ascii;
    for c in text.chars() {
        let (next, bytes) = japanese(c).ok_or(Unencodable)?;
        if next != set {
            out.extend_from_slice(switch(next));
            set = next;
        }
        out.extend(bytes.into_iter().filter(|byte| *byte != 0));
    }
    if set != Iso2022::Ascii {
        out.extend_from_slice(switch(Iso2022::Ascii));
    }
    Ok(Cow::Owned(out))
}

/// The sequence for a set that Japanese text needs.
fn switch(set: Iso2022) -> &'static [u8] {
    match set {
        Iso2022::JisX0208 => b"\x1B$B",
        Iso2022::JisX0212 => b"\x1B$(D",
        Iso2022::Katakana => b"\x1B(I",
        Iso2022::Ascii
        | Iso2022::KsX1001
        | Iso2022::Gb2312
        | Iso2022::Cns11643(_)
        | Iso2022::Upper(_) => b"\x1B(B",
    }
}

/// The set of a character, and its bytes there; one-byte sets leave the second 0.
fn japanese(c: char) -> Option<(Iso2022, [u8; 2])> {
    if let Some(byte) = u8::try_from(c).ok().filter(u8::is_ascii) {
        return Some((Iso2022::Ascii, [byte, 0]));
    }
    let mut text = [0; 4];
    let (bytes, _, missing) = EUC_JP.encode(c.encode_utf8(&mut text));
    match bytes.as_ref() {
        _ if missing || EUC_JP.decode_without_bom_handling(&bytes).0.chars().ne([c]) => {}
        [0x8E, byte] => return Some((Iso2022::Katakana, [byte & 0x7F, 0])),
        [row, column] => return Some((Iso2022::JisX0208, [row & 0x7F, column & 0x7F])),
        _ => {}
    }
    let supplement = supplement();
    let at = supplement.binary_search_by_key(&c, |(c, _)| *c).ok()?;
    Some((Iso2022::JisX0212, supplement.get(at)?.1))
}

/// JIS X 0212 by character; the table of EUC-JP can only be read, so that it is turned around.
fn supplement() -> &'static [(char, [u8; 2])] {
    static SUPPLEMENT: OnceLock<Vec<(char, [u8; 2])>> = OnceLock::new();
    SUPPLEMENT.get_or_init(|| {
        let rows = 0x21..=0x7E_u8;
        let places = rows.flat_map(|row| (0x21..=0x7E_u8).map(move |column| [row, column]));
        let mut found: Vec<_> = places
            .filter_map(|[row, column]| {
                let bytes = [0x8F, row | 0x80, column | 0x80];
                let text = EUC_JP.decode_without_bom_handling_and_without_replacement(&bytes)?;
                Some((text.chars().next()?, [row, column]))
            })
            .collect();
        found.sort_unstable();
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_switches_between_sets() {
        let (text, bad) = decode(b"YAMADA^\x1B$B;3ED\x1B(B^\x1B$(D\"/\x1B(B\x1B(I6\x1B(B!");
        assert_eq!((text.as_ref(), bad), ("YAMADA^山田^˘ｶ!", false));
    }

    #[test]
    fn writes_the_switches_that_a_text_needs() {
        let text = "YAMADA^山田^˘ｶ!";
        let written = encode(text).expect("in the sets");
        assert_eq!(
            &*written,
            b"YAMADA^\x1B$B;3ED\x1B(B^\x1B$(D\"/\x1B(I6\x1B(B!"
        );
        assert_eq!(decode(&written), (Cow::Borrowed(text), false));
        assert_eq!(encode("😀"), Err(Unencodable));
    }

    #[test]
    fn keeps_an_unknown_switch_as_text() {
        assert_eq!(decode(b"a\x1B%Gb"), (Cow::Borrowed("a\u{1B}%Gb"), true));
    }
}
