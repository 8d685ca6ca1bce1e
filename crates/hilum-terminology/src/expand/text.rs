//! The text that the names of wanted codes have to fit: of half a million names each is looked at,
//! so that no name is copied for it.

/// A text that is looked for.
#[derive(Debug)]
pub(super) struct Wanted {
    whole: String,
    words: Vec<String>,
}

impl Wanted {
    pub(super) fn new(text: &str) -> Self {
        Self {
            whole: text.trim().to_lowercase(),
            words: words(text).map(str::to_lowercase).collect(),
        }
    }

    /// Whether every word begins a word of one of these names, or one of them begins with the whole
    /// text.
    pub(super) fn takes<'n>(&self, names: impl Iterator<Item = &'n str>) -> bool {
        // As many words as there are bits are told apart; what is behind them does not count.
        let all = u64::MAX >> (64 - self.words.len().clamp(1, 64));
        let mut begun = 0_u64;
        for name in names {
            if begins(name, &self.whole) {
                return true;
            }
            for word in words(name) {
                for (at, wanted) in self.words.iter().take(64).enumerate() {
                    if begins(word, wanted) {
                        begun |= 1 << at;
                    }
                }
            }
        }
        !self.words.is_empty() && begun == all
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(|c: char| !c.is_alphanumeric());
    parts.filter(|part| !part.is_empty())
}

/// Whether a text begins with another one that is in lower case.
fn begins(text: &str, lower: &str) -> bool {
    let mut own = text.chars().flat_map(char::to_lowercase);
    lower.chars().all(|c| own.next() == Some(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_words_in_any_order() {
        for (wanted, name, expected) in [
            ("sod ser", "Sodium in Serum", true),
            ("ser sod", "Sodium in Serum", true),
            ("dium", "Sodium in Serum", false),
            ("sodium in s", "Sodium in Serum", true),
            ("ÄRZT", "Ärztlicher Bericht", true),
            ("serum x", "Sodium in Serum", false),
            ("", "anything", true),
            ("-", "anything", false),
        ] {
            assert_eq!(
                Wanted::new(wanted).takes([name].into_iter()),
                expected,
                "{wanted}"
            );
        }
        let many = "a ".repeat(70);
        assert!(Wanted::new(&many).takes(["A thing"].into_iter()));
    }
}
