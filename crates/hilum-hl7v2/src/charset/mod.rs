//! Character sets of MSH-18 (table 0211), to text and back.
//!
//! A message is read as UTF-8 where its bytes are valid UTF-8, else as MSH-18 says, else with the
//! channel's default. Reading accepts what senders mean (the bytes 0x80 to 0x9F of `8859/1` are
//! read as Windows-1252), writing keeps to the declared set and refuses what it cannot hold.
//! Of CNS 11643 planes 1 and 2 are converted, which hold what Big5 holds.

mod cns11643;
mod iso2022;

use std::borrow::Cow;

use encoding_rs::{EncoderResult, Encoding};

pub(crate) use iso2022::Iso2022;

/// A character set that this program converts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// Seven bits. Other bytes are read like the channel's default.
    Ascii,
    /// UTF-8.
    Utf8,
    /// UTF-16, little endian.
    Utf16Le,
    /// UTF-16, big endian.
    Utf16Be,
    /// UTF-32, little endian.
    Utf32Le,
    /// UTF-32, big endian.
    Utf32Be,
    /// Japanese by ISO 2022 escape sequences: ISO IR14, IR87 and IR159.
    Iso2022Jp,
    /// CNS 11643-1992 as EUC-TW.
    Cns11643,
    /// A set with a table: 8859/n, GB 18030, Big5, Shift-JIS, KS X 1001, code pages.
    Table(&'static Encoding),
}

/// What a name in MSH-18 stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CharsetName {
    /// Known and converted.
    Known(Charset),
    /// Nothing that we know.
    Unknown,
}

/// A character that the set of a message cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a character is not in the character set of the message")]
pub struct Unencodable;

impl Charset {
    /// The channel default unless a channel says otherwise: 8859/1, read as Windows-1252.
    pub const LATIN_1: Self = Self::Table(encoding_rs::WINDOWS_1252);

    /// Looks a name of table 0211 up, or a common alias of one (`UTF-8`, `ISO-8859-1`, `CP1252`).
    pub fn named(name: &str) -> CharsetName {
        let plain: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_uppercase();
        let charset = match plain.as_str() {
            "ASCII" | "USASCII" | "ISOIR6" => Self::Ascii,
            "UNICODE" | "UNICODEUTF8" | "UTF8" | "ISOIR192" => Self::Utf8,
            "UNICODEUTF16" | "UTF16" | "UTF16BE" => Self::Utf16Be,
            "UTF16LE" => Self::Utf16Le,
            "UNICODEUTF32" | "UTF32" | "UTF32BE" => Self::Utf32Be,
            "UTF32LE" => Self::Utf32Le,
            "ISOIR14" => Self::Table(encoding_rs::SHIFT_JIS),
            "ISOIR87" | "ISOIR159" | "ISO2022IR87" | "ISO2022IR159" | "ISO2022JP" => {
                Self::Iso2022Jp
            }
            "GB180302000" | "GB18030" | "GB2312" | "GBK" => Self::Table(encoding_rs::GB18030),
            "KSX1001" | "EUCKR" | "KSC5601" => Self::Table(encoding_rs::EUC_KR),
            "BIG5" => Self::Table(encoding_rs::BIG5),
            "SJIS" | "SHIFTJIS" => Self::Table(encoding_rs::SHIFT_JIS),
            "CNS116431992" | "CNS11643" | "EUCTW" => Self::Cns11643,
            other => match Self::latin(other).or_else(|| Self::label(name)) {
                Some(charset) => charset,
                None => return CharsetName::Unknown,
            },
        };
        CharsetName::Known(charset)
    }

    /// `8859/n` in its spellings, by the number alone.
    fn latin(plain: &str) -> Option<Self> {
        let part = plain
            .strip_prefix("ISO")
            .unwrap_or(plain)
            .strip_prefix("8859")?;
        let label = format!("iso-8859-{part}");
        Encoding::for_label(label.as_bytes()).map(Self::Table)
    }

    fn label(name: &str) -> Option<Self> {
        let label = name.trim().to_ascii_lowercase();
        let label = match label.strip_prefix("cp") {
            Some(page) => format!("windows-{page}"),
            None => label,
        };
        let found = Encoding::for_label_no_replacement(label.as_bytes())?;
        (found.is_ascii_compatible() && found != encoding_rs::UTF_8).then_some(Self::Table(found))
    }

    /// The name of table 0211, or the usual name where the table has none.
    pub fn hl7_name(self) -> &'static str {
        match self {
            Self::Ascii => "ASCII",
            Self::Utf8 => "UNICODE UTF-8",
            Self::Utf16Le | Self::Utf16Be => "UNICODE UTF-16",
            Self::Utf32Le | Self::Utf32Be => "UNICODE UTF-32",
            Self::Iso2022Jp => "ISO IR87",
            Self::Cns11643 => "CNS 11643-1992",
            Self::Table(table) => match table.name() {
                "windows-1252" => "8859/1",
                "ISO-8859-2" => "8859/2",
                "ISO-8859-3" => "8859/3",
                "ISO-8859-4" => "8859/4",
                "ISO-8859-5" => "8859/5",
                "ISO-8859-6" => "8859/6",
                "ISO-8859-7" => "8859/7",
                "ISO-8859-8" => "8859/8",
                "windows-1254" => "8859/9",
                "ISO-8859-15" => "8859/15",
                "gb18030" | "GBK" => "GB 18030-2000",
                "EUC-KR" => "KS X 1001",
                "Big5" => "BIG-5",
                other => other,
            },
        }
    }

    /// Whether a byte of a character may look like a separator, so that fields may only be split
    /// after decoding.
    pub fn hides_separators(self) -> bool {
        match self {
            Self::Ascii | Self::Utf8 | Self::Cns11643 => false,
            Self::Utf16Le | Self::Utf16Be | Self::Utf32Le | Self::Utf32Be | Self::Iso2022Jp => true,
            Self::Table(table) => {
                table == encoding_rs::BIG5
                    || table == encoding_rs::SHIFT_JIS
                    || table == encoding_rs::GB18030
                    || table == encoding_rs::GBK
            }
        }
    }

    /// Whether the set has more than one byte per ASCII character.
    pub(crate) fn is_wide(self) -> bool {
        matches!(
            self,
            Self::Utf16Le | Self::Utf16Be | Self::Utf32Le | Self::Utf32Be
        )
    }

    /// Text of the bytes, and whether some of them were not defined.
    pub fn decode(self, bytes: &[u8]) -> (Cow<'_, str>, bool) {
        match self {
            Self::Ascii | Self::Utf8 => decode_utf8(bytes, Self::LATIN_1),
            Self::Utf16Le => decode_utf16(bytes, u16::from_le_bytes),
            Self::Utf16Be => decode_utf16(bytes, u16::from_be_bytes),
            Self::Utf32Le => decode_utf32(bytes, u32::from_le_bytes),
            Self::Utf32Be => decode_utf32(bytes, u32::from_be_bytes),
            Self::Iso2022Jp => iso2022::decode(bytes),
            Self::Cns11643 => cns11643::decode(bytes),
            Self::Table(table) => table.decode_without_bom_handling(bytes),
        }
    }

    /// The bytes of a text, or that the set cannot hold it.
    pub fn encode(self, text: &str) -> Result<Cow<'_, [u8]>, Unencodable> {
        match self {
            Self::Ascii if !text.is_ascii() => Err(Unencodable),
            Self::Ascii | Self::Utf8 => Ok(Cow::Borrowed(text.as_bytes())),
            Self::Utf16Le => Ok(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
            Self::Utf16Be => Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            Self::Utf32Le => Ok(text
                .chars()
                .flat_map(|c| u32::from(c).to_le_bytes())
                .collect()),
            Self::Utf32Be => Ok(text
                .chars()
                .flat_map(|c| u32::from(c).to_be_bytes())
                .collect()),
            Self::Iso2022Jp => iso2022::encode(text),
            Self::Cns11643 => cns11643::encode(text),
            Self::Table(table) => encode_table(table, text),
        }
    }
}

/// UTF-8, with stray bytes read in the fallback set instead of being lost.
pub(crate) fn decode_utf8(bytes: &[u8], fallback: Charset) -> (Cow<'_, str>, bool) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Cow::Borrowed(text), false),
        Err(_) => {
            let mut out = String::with_capacity(bytes.len());
            for chunk in bytes.utf8_chunks() {
                out.push_str(chunk.valid());
                match fallback {
                    Charset::Table(table) => {
                        out.push_str(&table.decode_without_bom_handling(chunk.invalid()).0);
                    }
                    Charset::Ascii
                    | Charset::Utf8
                    | Charset::Utf16Le
                    | Charset::Utf16Be
                    | Charset::Utf32Le
                    | Charset::Utf32Be
                    | Charset::Cns11643
                    | Charset::Iso2022Jp => {
                        out.extend(chunk.invalid().iter().map(|b| char::from(*b)))
                    }
                }
            }
            (Cow::Owned(out), true)
        }
    }
}

fn decode_utf16(bytes: &[u8], read: fn([u8; 2]) -> u16) -> (Cow<'_, str>, bool) {
    let (units, rest) = bytes.as_chunks::<2>();
    let mut bad = !rest.is_empty();
    let text = char::decode_utf16(units.iter().map(|unit| read(*unit)))
        .map(|unit| {
            unit.unwrap_or_else(|_| {
                bad = true;
                char::REPLACEMENT_CHARACTER
            })
        })
        .collect::<String>();
    (Cow::Owned(text), bad)
}

fn decode_utf32(bytes: &[u8], read: fn([u8; 4]) -> u32) -> (Cow<'_, str>, bool) {
    let (units, rest) = bytes.as_chunks::<4>();
    let mut bad = !rest.is_empty();
    let text = units
        .iter()
        .map(|unit| {
            char::from_u32(read(*unit)).unwrap_or_else(|| {
                bad = true;
                char::REPLACEMENT_CHARACTER
            })
        })
        .collect::<String>();
    (Cow::Owned(text), bad)
}

fn encode_table<'t>(table: &'static Encoding, text: &'t str) -> Result<Cow<'t, [u8]>, Unencodable> {
    if text.is_ascii() {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let mut encoder = table.new_encoder();
    let room = encoder.max_buffer_length_from_utf8_without_replacement(text.len());
    let mut out = Vec::with_capacity(room.unwrap_or(text.len()).saturating_add(16));
    match encoder.encode_from_utf8_to_vec_without_replacement(text, &mut out, true) {
        (EncoderResult::InputEmpty, _) => {}
        (EncoderResult::OutputFull | EncoderResult::Unmappable(_), _) => return Err(Unencodable),
    }
    // 8859/1 and 8859/9 are read through their Windows supersets but must not be written so.
    let superset = table == encoding_rs::WINDOWS_1252 || table == encoding_rs::WINDOWS_1254;
    if superset && out.iter().any(|byte| (0x80..0xA0).contains(byte)) {
        return Err(Unencodable);
    }
    // Some tables write look-alikes (`¥` as a backslash): what would be read back as another
    // character is refused.
    match table.decode_without_bom_handling(&out) {
        (read, false) if read == text => Ok(Cow::Owned(out)),
        _ => Err(Unencodable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, bytes: &[u8], text: &str) {
        let CharsetName::Known(charset) = Charset::named(name) else {
            panic!("{name} is unknown")
        };
        assert_eq!(
            charset.decode(bytes),
            (Cow::Borrowed(text), false),
            "{name}"
        );
        assert_eq!(charset.encode(text).as_deref(), Ok(bytes), "{name}");
    }

    #[test]
    fn reads_and_writes_the_sets_of_table_0211() {
        check("ASCII", b"Doe", "Doe");
        check("8859/1", b"M\xFCller", "Müller");
        check("8859/2", b"\xA3\xF3d\xBC", "Łódź");
        check("8859/3", b"\xA6", "Ĥ");
        check("8859/4", b"\xB3", "ŗ");
        check("8859/5", b"\xB8\xD2\xD0\xDD", "Иван");
        check("8859/6", b"\xE5", "م");
        check("8859/7", b"\xC1", "Α");
        check("8859/8", b"\xE0", "א");
        check("8859/9", b"\xDD", "İ");
        check("8859/15", b"\xA4", "€");
        check("UNICODE UTF-8", "张".as_bytes(), "张");
        check("UNICODE UTF-16", &[0x5F, 0x20], "张");
        check("UNICODE UTF-32", &[0, 0, 0x5F, 0x20], "张");
        check("GB 18030-2000", b"\xD5\xC5", "张");
        check("BIG-5", b"\xB3\x5C", "許");
        check("KS X 1001", b"\xB1\xE8", "김");
        check("ISO IR14", b"\xD4\xCF", "ﾔﾏ");
        check("ISO IR6", b"Doe", "Doe");
        check("ISO IR87", b"\x1B$B;3ED\x1B(B", "山田");
        check("ISO IR159", b"\x1B$(D\"/\x1B(B", "˘");
        check("CNS 11643-1992", b"\xC4\xA1\x8E\xA2\xA1\xA1", "一乂");
        check("UNICODE", "张".as_bytes(), "张");
        check("utf-8", "é".as_bytes(), "é");
        check("CP1250", b"\xEC", "ě");
    }

    /// Table 0211 as the standard names its rows.
    const TABLE_0211: [&str; 23] = [
        "ASCII",
        "8859/1",
        "8859/2",
        "8859/3",
        "8859/4",
        "8859/5",
        "8859/6",
        "8859/7",
        "8859/8",
        "8859/9",
        "8859/15",
        "ISO IR6",
        "ISO IR14",
        "ISO IR87",
        "ISO IR159",
        "GB 18030-2000",
        "KS X 1001",
        "CNS 11643-1992",
        "BIG-5",
        "UNICODE",
        "UNICODE UTF-8",
        "UNICODE UTF-16",
        "UNICODE UTF-32",
    ];

    #[test]
    fn every_set_of_table_0211_gives_back_what_it_takes() {
        for name in TABLE_0211 {
            let CharsetName::Known(charset) = Charset::named(name) else {
                panic!("{name} is unknown")
            };
            let mut taken = 0;
            for c in (0x20..=0xFFFF_u32).step_by(5).filter_map(char::from_u32) {
                let text = format!("a{c}|");
                if let Ok(bytes) = charset.encode(&text) {
                    taken += 1;
                    assert_eq!(
                        charset.decode(&bytes),
                        (Cow::Borrowed(&*text), false),
                        "{name}"
                    );
                }
            }
            assert!(taken >= 19, "{name} takes {taken}");
        }
        assert_eq!(Charset::named("WINDOWS-UNKNOWN"), CharsetName::Unknown);
    }

    #[test]
    fn refuses_to_write_what_the_set_lacks() {
        assert_eq!(Charset::LATIN_1.encode("€"), Err(Unencodable));
        assert_eq!(Charset::LATIN_1.decode(b"\x80").0, "€");
        assert_eq!(Charset::Ascii.encode("é"), Err(Unencodable));
        let look_alike = Charset::Table(encoding_rs::SHIFT_JIS).encode("¥");
        assert_eq!(look_alike, Err(Unencodable));
    }
}
