//! The code systems of the standard that its package has whole: their codes, and which stand below
//! which.
//!
//! Unpacked when a search first asks for what is above or below a code; validation goes by value
//! sets and does without them.

use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;
use std::sync::OnceLock;

use flate2::read::ZlibDecoder;

static PACKED: &[u8] = include_bytes!("../generated/r4-systems.bin");
/// Stands before each code that a property names as a child.
const MARK: char = '\u{1}';

/// A code in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacedCode {
    /// The code.
    pub code: &'static str,
    /// Levels above it: it is below the last code before it that has fewer.
    pub level: usize,
    /// Other codes that are below it as well, each after a mark.
    below: &'static str,
}

impl PlacedCode {
    /// Codes that are below it although they stand elsewhere.
    pub fn also_below(self) -> impl Iterator<Item = &'static str> {
        self.below.split(MARK).filter(|code| !code.is_empty())
    }
}

struct Systems {
    text: String,
    places: HashMap<String, Range<usize>>,
}

fn systems() -> &'static Systems {
    static SYSTEMS: OnceLock<Systems> = OnceLock::new();
    SYSTEMS.get_or_init(|| {
        let mut text = String::new();
        // The file is part of the program, and a test reads all of it.
        if ZlibDecoder::new(PACKED).read_to_string(&mut text).is_err() {
            text.clear();
        }
        let mut places = HashMap::new();
        let mut open: Option<(String, usize)> = None;
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            if !line.starts_with('\t') {
                if let Some((url, from)) = open.take() {
                    places.insert(url, from..at);
                }
                open = Some((line.trim_end().to_owned(), at + line.len()));
            }
            at += line.len();
        }
        places.extend(open.map(|(url, from)| (url, from..at)));
        Systems { text, places }
    })
}

/// The codes of a code system of FHIR R4 by its URL without version, if the standard has all of
/// them; each code comes before those below it.
#[must_use]
pub fn code_system(url: &str) -> Option<Vec<PlacedCode>> {
    let systems = systems();
    let lines = systems.text.get(systems.places.get(url)?.clone())?;
    let codes = lines.lines().map(|line| {
        let bare = line.trim_start_matches('\t');
        let (code, below) = bare.split_once(MARK).unwrap_or((bare, ""));
        PlacedCode {
            code,
            level: line.len() - bare.len(),
            below,
        }
    });
    Some(codes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_of_the_standard_are_whole() {
        let gender = code_system("http://hl7.org/fhir/administrative-gender").unwrap();
        let codes: Vec<&str> = gender.iter().map(|placed| placed.code).collect();
        assert_eq!(codes, ["male", "female", "other", "unknown"]);
        let clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical";
        let clinical = code_system(clinical).unwrap();
        let levels: Vec<_> = clinical.iter().map(|of| (of.code, of.level)).collect();
        assert_eq!(
            levels[..3],
            [("active", 1), ("recurrence", 2), ("relapse", 2)]
        );
        let flavours = code_system("http://terminology.hl7.org/CodeSystem/v3-NullFlavor").unwrap();
        assert!(flavours.iter().any(|of| of.also_below().next().is_some()));
        assert!(code_system("http://snomed.info/sct").is_none());
        let (mut all, mut codes) = (0, 0);
        for url in systems().places.keys() {
            let placed = code_system(url).unwrap();
            assert!(placed.iter().all(|of| of.level > 0 && !of.code.is_empty()));
            all += 1;
            codes += placed.len();
        }
        assert_eq!((all, codes), (1_054, 20_007));
    }
}
