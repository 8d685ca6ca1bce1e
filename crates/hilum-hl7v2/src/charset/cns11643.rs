//! CNS 11643-1992, planes 1 and 2, in the form EUC-TW.
//!
//! Big5 has the same characters in nearly the same order, so that a short list of stretches leads
//! from one to the other, and a list of single characters says where that is not so. Planes 3 to 7
//! hold rare variants that no table here has; they read as undefined.

use std::borrow::Cow;

use encoding_rs::{BIG5, EncoderResult};

use super::Unencodable;

/// Index in a plane of CNS 11643, index in Big5, and for how many characters both go on alike.
type Run = (u16, u16, u16);

/// Plane, row and column, the latter each from 0x21.
type Place = (u8, u8, u8);

/// Columns of a row of CNS 11643, and of Big5.
const COLUMNS: u16 = 94;
const COLUMNS_BIG5: u16 = 157;

/// Announces a plane by its number in the byte that follows.
const SINGLE_SHIFT: u8 = 0x8E;

/// What Big5 lacks, or reads as another character: plane, index in it, first character, how many.
#[rustfmt::skip]
const OTHERS: [(u8, u16, char, u16); 25] = [
    (1, 5, '・', 1),
    (1, 23, '︲', 1),
    (1, 96, '‾', 1),
    (1, 129, '∼', 1),
    (1, 144, '♁', 1),
    (1, 145, '☉', 1),
    (1, 154, '‖', 1),
    (1, 156, '／', 1),
    (1, 157, '＼', 1),
    (1, 158, '∕', 1),
    (1, 159, '﹨', 1),
    (1, 223, '═', 1),
    (1, 224, '╞', 1),
    (1, 225, '╪', 1),
    (1, 226, '╡', 1),
    (1, 470, '①', 10),
    (1, 480, '⑴', 10),
    (1, 490, 'ⅰ', 10),
    (1, 571, '亠', 1),
    (1, 578, '冫', 1),
    (1, 583, '勹', 1),
    (1, 3102, '␀', 32),
    (1, 3134, '␡', 1),
    (1, 8022, '彞', 1),
    (2, 40, '仝', 1),
];

#[rustfmt::skip]
const PLANE_1: [Run; 39] = [
    (0, 0, 5),
    (6, 6, 15),
    (21, 23, 2),
    (24, 22, 1),
    (29, 29, 44),
    (73, 74, 1),
    (74, 73, 1),
    (75, 75, 22),
    (98, 98, 1),
    (100, 100, 27),
    (127, 128, 1),
    (128, 127, 1),
    (129, 129, 19),
    (148, 149, 1),
    (149, 148, 1),
    (150, 150, 4),
    (155, 21, 1),
    (156, 158, 2),
    (158, 158, 76),
    (282, 234, 29),
    (312, 264, 1),
    (314, 266, 142),
    (3290, 471, 1412),
    (4702, 1884, 424),
    (5126, 1883, 1),
    (5127, 2308, 1876),
    (7003, 4571, 1),
    (7004, 4184, 387),
    (7391, 4572, 525),
    (7916, 5286, 1),
    (7917, 5097, 105),
    (8023, 5203, 83),
    (8106, 5287, 84),
    (8190, 5517, 1),
    (8191, 5371, 54),
    (8245, 5426, 1),
    (8246, 5425, 1),
    (8247, 5427, 90),
    (8337, 5518, 354),
];

#[rustfmt::skip]
const PLANE_2: [Run; 49] = [
    (0, 6280, 10),
    (10, 6291, 33),
    (43, 6372, 1),
    (44, 6324, 48),
    (92, 6373, 46),
    (138, 6586, 1),
    (139, 6419, 167),
    (306, 6587, 1840),
    (2146, 9074, 1),
    (2147, 8428, 108),
    (2255, 8537, 537),
    (2792, 8427, 1),
    (2793, 9075, 100),
    (2893, 8536, 1),
    (2894, 9175, 399),
    (3293, 9575, 1637),
    (4930, 11761, 1),
    (4931, 11212, 146),
    (5077, 11899, 1),
    (5078, 11358, 287),
    (5365, 12508, 1),
    (5366, 11645, 116),
    (5482, 11762, 137),
    (5619, 11900, 104),
    (5723, 12425, 1),
    (5724, 12004, 222),
    (5946, 12227, 198),
    (6144, 12426, 82),
    (6226, 12509, 86),
    (6312, 12226, 1),
    (6313, 12595, 8),
    (6321, 12604, 153),
    (6474, 12758, 56),
    (6530, 13114, 1),
    (6531, 12814, 113),
    (6644, 12603, 1),
    (6645, 12927, 142),
    (6787, 12757, 1),
    (6788, 13069, 45),
    (6833, 13115, 71),
    (6904, 13380, 1),
    (6905, 13186, 194),
    (7099, 13381, 490),
    (7589, 13914, 1),
    (7590, 13871, 43),
    (7633, 13915, 1),
    (7634, 13917, 11),
    (7645, 13916, 1),
    (7646, 13928, 4),
];

fn runs(plane: u8) -> &'static [Run] {
    match plane {
        1 => &PLANE_1,
        2 => &PLANE_2,
        _ => &[],
    }
}

/// The character at a row and a column of a plane, each from 0x21.
fn character(plane: u8, row: u8, column: u8) -> Option<char> {
    if !(0x21..=0x7E).contains(&row) || !(0x21..=0x7E).contains(&column) {
        return None;
    }
    let index = u16::from(row - 0x21) * COLUMNS + u16::from(column - 0x21);
    for (of, start, first, length) in OTHERS {
        let offset = index.checked_sub(start).filter(|offset| offset < &length);
        if let Some(offset) = offset.filter(|_| of == plane) {
            return char::from_u32(u32::from(first) + u32::from(offset));
        }
    }
    let runs = runs(plane);
    let after = runs.partition_point(|(start, _, _)| *start <= index);
    let (start, big5, length) = runs.get(after.checked_sub(1)?)?;
    let offset = index.checked_sub(*start).filter(|offset| offset < length)?;
    let bytes = big5_bytes(big5.saturating_add(offset))?;
    let (text, bad) = BIG5.decode_without_bom_handling(&bytes);
    text.chars().next().filter(|_| !bad)
}

/// Plane, row and column of a character.
fn place(c: char) -> Option<Place> {
    for (plane, start, first, length) in OTHERS {
        let offset = u32::from(c).checked_sub(u32::from(first));
        let offset = offset.and_then(|offset| u16::try_from(offset).ok());
        if let Some(offset) = offset.filter(|offset| offset < &length) {
            return at(plane, start + offset);
        }
    }
    let mut bytes = [0; 4];
    let mut encoder = BIG5.new_encoder();
    let text = c.encode_utf8(&mut [0; 4]).to_owned();
    let (result, _, written) =
        encoder.encode_from_utf8_without_replacement(&text, &mut bytes, true);
    let (EncoderResult::InputEmpty, Some([lead, trail])) = (result, bytes.get(..written)) else {
        return None;
    };
    let index = big5_index(*lead, *trail)?;
    let found = [1, 2].into_iter().find_map(|plane| {
        let inside = |run: &&Run| (run.1..run.1.saturating_add(run.2)).contains(&index);
        let (start, big5, _) = runs(plane).iter().find(inside)?;
        at(plane, start.saturating_add(index.saturating_sub(*big5)))
    })?;
    // A place that holds another character after all.
    (character(found.0, found.1, found.2) == Some(c)).then_some(found)
}

/// Plane, row and column of an index.
fn at(plane: u8, index: u16) -> Option<Place> {
    let number = |n: u16| u8::try_from(n).ok()?.checked_add(0x21);
    Some((plane, number(index / COLUMNS)?, number(index % COLUMNS)?))
}

fn big5_bytes(index: u16) -> Option<[u8; 2]> {
    let lead = u8::try_from(index / COLUMNS_BIG5).ok()?.checked_add(0xA1)?;
    let trail = u8::try_from(index % COLUMNS_BIG5).ok()?;
    let base = if trail < 63 { 0x40 } else { 0xA1 - 63 };
    Some([lead, trail.checked_add(base)?])
}

fn big5_index(lead: u8, trail: u8) -> Option<u16> {
    let row = u16::from(lead.checked_sub(0xA1)?);
    let column = match trail {
        0x40..=0x7E => trail - 0x40,
        0xA1..=0xFE => trail - 0xA1 + 63,
        _ => return None,
    };
    Some(row * COLUMNS_BIG5 + u16::from(column))
}

/// Text of EUC-TW, and whether some bytes were not defined.
pub(super) fn decode(bytes: &[u8]) -> (Cow<'_, str>, bool) {
    if let (true, Ok(text)) = (bytes.is_ascii(), std::str::from_utf8(bytes)) {
        return (Cow::Borrowed(text), false);
    }
    let mut out = String::with_capacity(bytes.len());
    let mut bad = false;
    let mut rest = bytes;
    loop {
        let (found, after) = match rest {
            [] => return (Cow::Owned(out), bad),
            [byte, after @ ..] if byte.is_ascii() => (Some(char::from(*byte)), after),
            [SINGLE_SHIFT, plane, row, column, after @ ..] if *plane > 0xA0 => {
                (character(plane & 0x0F, row & 0x7F, column & 0x7F), after)
            }
            [row, column, after @ ..] if *row > 0xA0 && *column > 0xA0 => {
                (character(1, row & 0x7F, column & 0x7F), after)
            }
            [_, after @ ..] => (None, after),
        };
        bad |= found.is_none();
        out.push(found.unwrap_or(char::REPLACEMENT_CHARACTER));
        rest = after;
    }
}

/// Text of pairs of bytes in one plane, as an escape sequence announces it.
pub(super) fn decode_plane(plane: u8, bytes: &[u8], out: &mut String) -> bool {
    let mut bad = false;
    let mut rest = bytes;
    loop {
        rest = match rest {
            [] => return bad,
            [row, column, after @ ..] if *row > b' ' => {
                let found = character(plane, row & 0x7F, column & 0x7F);
                bad |= found.is_none();
                out.push(found.unwrap_or(char::REPLACEMENT_CHARACTER));
                after
            }
            // Blanks and controls keep their meaning between two-byte characters.
            [byte, after @ ..] => {
                out.push(char::from(*byte));
                after
            }
        };
    }
}

/// EUC-TW, or that the set lacks a character.
pub(super) fn encode(text: &str) -> Result<Cow<'_, [u8]>, Unencodable> {
    if text.is_ascii() {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(c).ok().filter(u8::is_ascii) {
            Some(byte) => out.push(byte),
            None => match place(c).ok_or(Unencodable)? {
                (1, row, column) => out.extend([row | 0x80, column | 0x80]),
                (plane, row, column) => {
                    out.extend([SINGLE_SHIFT, plane | 0xA0, row | 0x80, column | 0x80]);
                }
            },
        }
    }
    Ok(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The characters of both planes with their places, as iconv has them.
    fn of_iconv() -> Option<Vec<(Place, char)>> {
        use std::process::{Command, Stdio};
        let characters = || (0x80..=0xFFFF).filter_map(char::from_u32);
        let lines: String = characters().flat_map(|c| [c, '\n']).collect();
        let file = tempfile::NamedTempFile::new().ok()?;
        std::fs::write(file.path(), lines).ok()?;
        let mut command = Command::new("iconv");
        // `-c` leaves out what the set lacks, so that its line is empty.
        command.args(["-c", "-f", "UTF-8", "-t", "EUC-TW"]);
        let output = command.arg(file.path()).stderr(Stdio::null()).output();
        let output = output.ok()?.stdout;
        let places = output
            .split(|byte| *byte == b'\n')
            .map(|bytes| match bytes {
                [row, column] => Some((1, row & 0x7F, column & 0x7F)),
                [SINGLE_SHIFT, 0xA2, row, column] => Some((2, row & 0x7F, column & 0x7F)),
                _ => None,
            });
        Some(
            characters()
                .zip(places)
                .filter_map(|(c, place)| Some((place?, c)))
                .collect(),
        )
    }

    #[test]
    fn both_planes_are_as_the_system_has_them() {
        let known = of_iconv().filter(|known| !known.is_empty());
        let Some(known) = known else {
            println!("not run: both_planes_are_as_the_system_has_them (no iconv)");
            return;
        };
        assert!(known.len() > 13_500, "{}", known.len());
        for (found, c) in known {
            let (plane, row, column) = found;
            let own = (character(plane, row, column), place(c));
            assert_eq!(own, (Some(c), Some(found)), "{c}");
        }
    }

    #[test]
    fn text_is_read_and_written_in_either_plane() {
        let bytes = b"a\xC4\xA1|\x8E\xA2\xA1\xA1\x8E\xA1\xC4\xA1";
        let (text, bad) = decode(bytes);
        assert_eq!((text.as_ref(), bad), ("a一|乂一", false));
        let written = encode("a一|乂").expect("in the set");
        assert_eq!(&*written, b"a\xC4\xA1|\x8E\xA2\xA1\xA1");
        assert!(encode("ü").is_err() && decode(b"\x8E\xA3\xA1\xA1").1 && decode(b"\xC4").1);
    }
}
