//! The elements of the types of the standard with their texts.
//!
//! Unpacked when the first snapshot is asked for; validation and search do without them.

use std::collections::HashMap;
use std::io::Read;
use std::sync::OnceLock;

use flate2::read::ZlibDecoder;

use super::element::Element;

static PACKED: &[u8] = include_bytes!("../generated/r4-base.bin");
/// Stands before the number of a text.
const MARK: char = '\u{1}';

struct Base {
    shared: Vec<String>,
    types: HashMap<String, String>,
}

fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let mut text = String::new();
        // The file is part of the program, and a test reads all of it.
        let unpacked = ZlibDecoder::new(PACKED).read_to_string(&mut text);
        let (shared, types) = match unpacked {
            Ok(_) => text.split_once("\n\n").unwrap_or_default(),
            Err(_) => ("", ""),
        };
        let line = |line: &str| {
            let (url, elements) = line.split_once('\t')?;
            Some((url.to_owned(), elements.to_owned()))
        };
        Base {
            shared: shared.lines().map(str::to_owned).collect(),
            types: types.lines().filter_map(line).collect(),
        }
    })
}

/// The elements of the snapshot of a type, by its URL.
pub(super) fn elements(url: &str) -> Option<Vec<Element>> {
    let base = base();
    let mut parts = base.types.get(url)?.split(MARK);
    let mut json = String::from("[");
    json.push_str(parts.next()?);
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        let shared = number
            .parse()
            .ok()
            .and_then(|at: usize| base.shared.get(at));
        json.push_str(shared?);
        json.push_str(rest);
    }
    json.push(']');
    Some(Element::list(&json))
}

/// The URLs of all types.
#[cfg(test)]
pub(super) fn urls() -> impl Iterator<Item = &'static str> {
    base().types.keys().map(String::as_str)
}
