//! Text as PostgreSQL takes it: without NUL, short enough for an index, and full text in words.
//!
//! Words are made here and not by PostgreSQL, whose parser keeps what FTS5 separates (hosts, paths,
//! numbers with signs): runs of letters and digits, folded as strings are. So both places find the
//! same.

use std::borrow::Cow;
use std::collections::BTreeMap;

use unicode_normalization::char::is_combining_mark;

use crate::normal::fold;

/// Bytes of a text in `word`; what follows is compared beside the resource.
const WORD_BYTES_MAX: usize = 1_900;
/// Bytes of a word of full text; what follows is cut off.
const LEXEME_BYTES_MAX: usize = 200;
/// The last place of a word that PostgreSQL tells apart from the next one.
const PLACE_MAX: usize = 16_383;
/// Places of one word that PostgreSQL keeps.
const PLACES_MAX: usize = 255;
/// Bytes of the words of one text with their places; PostgreSQL keeps at most a mebibyte. Words
/// behind it are not found.
const TEXT_BYTES_MAX: usize = 900_000;

/// Text without NUL, which PostgreSQL does not keep.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Text as it stands in `word`.
pub(super) fn word_text(text: &str) -> Cow<'_, str> {
    clean(cut(text, WORD_BYTES_MAX))
}

fn cut(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let end = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or(text)
}

fn words(text: &str) -> impl Iterator<Item = String> {
    let inside = |c: char| c.is_alphanumeric() || is_combining_mark(c);
    text.split(move |c| !inside(c))
        .filter(|word| !word.is_empty())
        .map(|word| fold(word, usize::MAX))
        .filter(|word| !word.is_empty())
}

/// A word in quotes; letters and digits need no escape.
fn push_word(out: &mut String, word: &str) {
    out.push('\'');
    out.extend(
        cut(word, LEXEME_BYTES_MAX)
            .chars()
            .filter(|c| !matches!(c, '\'' | '\\')),
    );
    out.push('\'');
}

/// Text as a `tsvector` is written.
pub(super) fn vector_of(text: &str) -> String {
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut bytes = 0;
    for (at, mut word) in words(text).enumerate() {
        word.truncate(cut(&word, LEXEME_BYTES_MAX).len());
        let place = (at + 1).min(PLACE_MAX);
        let known = places.get_mut(&word);
        bytes += known.as_ref().map_or(word.len() + 12, |_| 2);
        if bytes > TEXT_BYTES_MAX {
            break;
        }
        match known {
            Some(known) if known.len() < PLACES_MAX && known.last() != Some(&place) => {
                known.push(place);
            }
            Some(_) => {}
            None => drop(places.insert(word, vec![place])),
        }
    }
    let mut out = String::new();
    for (word, places) in places {
        push_word(&mut out, &word);
        for (n, place) in places.iter().enumerate() {
            out.push(if n == 0 { ':' } else { ',' });
            out.push_str(&place.to_string());
        }
        out.push(' ');
    }
    out
}

/// Phrases as a `tsquery` is written: all of them, the words of each behind each other. `None` if
/// nothing can match.
pub(super) fn query_of(phrases: &[String]) -> Option<String> {
    let mut out = String::new();
    for phrase in phrases {
        let mut before = if out.is_empty() { "(" } else { " & (" };
        for word in words(phrase) {
            out.push_str(before);
            push_word(&mut out, &word);
            before = " <-> ";
        }
        if before != " <-> " {
            return None;
        }
        out.push(')');
    }
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_words_with_their_places() {
        for (text, vector) in [
            (
                "Chronic rénal, failure; RENAL",
                "'chronic':1 'failure':3 'renal':2,4 ",
            ),
            (
                "o'neil@host.example",
                "'example':4 'host':3 'neil':2 'o':1 ",
            ),
            (" \0-- ", ""),
        ] {
            assert_eq!(vector_of(text), vector);
        }
        let long: String = (0..400_000).map(|n| format!("{n} ")).collect();
        assert!(vector_of(&long).len() < 1_500_000);
    }

    #[test]
    fn phrases_become_words_behind_each_other() {
        let query = |phrases: &[&str]| {
            let phrases: Vec<String> = phrases.iter().map(|p| (*p).to_owned()).collect();
            query_of(&phrases)
        };
        assert_eq!(
            query(&["RENAL", "a\" OR b"]).unwrap(),
            "('renal') & ('a' <-> 'or' <-> 'b')"
        );
        assert_eq!(query(&["a", "--"]), None);
    }

    #[test]
    fn long_and_odd_texts_are_cut_between_characters() {
        assert_eq!(cut("aÄb", 2), "a");
        assert_eq!(cut("aÄb", 3), "aÄ");
        assert_eq!(clean("a\0b"), "a\u{fffd}b");
        assert_eq!(word_text(&"Ä".repeat(3000)).len(), WORD_BYTES_MAX);
    }
}
