//! The languages that a client reads, best first (BCP 47, RFC 9110 §12.5.4).

use std::fmt;

/// Languages that one request may name.
pub const LANGUAGES_MAX: usize = 64;

/// The text names no languages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a list of languages such as `de, en;q=0.5`")]
pub struct LanguageError;

/// Languages in the order in which they are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Languages {
    text: String,
    wanted: Vec<String>,
    /// `*; q=0`: no other language will do.
    strict: bool,
}

impl Languages {
    /// Reads a list of languages with optional weights.
    pub fn parse(text: &str) -> Result<Self, LanguageError> {
        let mut wanted: Vec<(u32, String)> = Vec::new();
        let mut strict = false;
        let mut shown = Vec::new();
        for part in text.split(',').take(LANGUAGES_MAX + 1) {
            let mut pieces = part.split(';').map(str::trim);
            let tag = pieces.next().unwrap_or_default();
            if tag.is_empty() && pieces.next().is_none() {
                continue;
            }
            let mut weight = 1_000;
            let mut weighed = String::new();
            for piece in part.split(';').skip(1).map(str::trim) {
                let value = piece.strip_prefix("q=").ok_or(LanguageError)?;
                let number: f64 = value.parse().map_err(|_| LanguageError)?;
                if !(0.0..=1.0).contains(&number) {
                    return Err(LanguageError);
                }
                // Three digits count (RFC 9110 §12.4.2), and the range was checked.
                weight = (number * 1_000.0).round() as u32;
                weighed = format!("; q={value}");
            }
            match tag {
                "*" => strict |= weight == 0,
                tag if !is_tag(tag) => return Err(LanguageError),
                tag if weight > 0 => wanted.push((weight, tag.to_owned())),
                _ => {}
            }
            shown.push(format!("{tag}{weighed}"));
        }
        if shown.is_empty() || shown.len() > LANGUAGES_MAX {
            return Err(LanguageError);
        }
        wanted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        let weighed = shown.iter().any(|part| part.contains(';'));
        Ok(Self {
            text: shown.join(if weighed { ", " } else { "," }),
            wanted: wanted.into_iter().map(|(_, tag)| tag).collect(),
            strict,
        })
    }

    /// The languages, best first; `*` is not among them.
    #[must_use]
    pub fn wanted(&self) -> &[String] {
        &self.wanted
    }

    /// No other language will do.
    #[must_use]
    pub const fn is_strict(&self) -> bool {
        self.strict
    }

    /// Whether a text in this language may be read: in one of the languages, or in none that it
    /// names.
    #[must_use]
    pub fn reads(&self, language: Option<&str>) -> bool {
        match language {
            None => true,
            Some(language) => self.wanted.iter().any(|wanted| covers(wanted, language)),
        }
    }
}

impl fmt::Display for Languages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a text in a language serves who wants one: `de` takes `de-CH`.
#[must_use]
pub(crate) fn covers(wanted: &str, language: &str) -> bool {
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    if same(wanted, language) {
        return true;
    }
    let mut parts = language.split('-');
    wanted
        .split('-')
        .all(|part| parts.next().is_some_and(|own| same(part, own)))
}

fn is_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let first = parts.next().unwrap_or_default();
    let language = (2..=8).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_alphabetic());
    language
        && parts.all(|part| {
            (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_with_their_weights() {
        let of = |text: &str| Languages::parse(text).unwrap();
        assert_eq!(of("de").to_string(), "de");
        assert_eq!(of("de,*; q=0").to_string(), "de, *; q=0");
        assert!(of("de,*; q=0").is_strict());
        assert_eq!(of("en,it,*").to_string(), "en,it,*");
        assert!(!of("en,it,*").is_strict());
        assert_eq!(of("en;q=0.5, de").wanted(), ["de", "en"]);
        for wrong in ["-", "", "d", "de;q=2", "de;x=1", "de--x"] {
            assert!(Languages::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Languages::parse(&vec!["de"; LANGUAGES_MAX].join(",")).is_ok());
        assert!(Languages::parse(&vec!["de"; LANGUAGES_MAX + 1].join(",")).is_err());
    }

    #[test]
    fn a_language_takes_its_regions() {
        assert!(covers("de", "de-CH") && covers("de-ch", "de-CH"));
        assert!(!covers("de-CH", "de") && !covers("de", "den"));
    }
}
