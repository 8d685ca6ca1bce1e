//! Candidates for a code by the similarity of texts.
//!
//! Two texts are compared by their words (what a laboratory abbreviates or writes in another
//! language is brought to one form first) and by their groups of three letters, which forgive
//! spelling. The result depends on the texts alone. It is a suggestion for a person: a similar text
//! can stand for another quantity, specimen or method, so nothing here is ever used by itself.

use std::collections::{BTreeSet, HashMap};

/// What could stand for a code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Candidate {
    /// Its code system.
    pub system: String,
    /// Its code.
    pub code: String,
    /// Its text.
    pub display: String,
}

/// A candidate for a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Match<'c> {
    /// The candidate.
    pub candidate: &'c Candidate,
    /// How similar the texts are, in hundredths: 100 for the same words.
    pub score: u32,
    /// The words that both have, in alphabetical order.
    pub words: Vec<String>,
}

/// Share of the words in the score, in hundredths; the groups of letters have the rest.
const WORDS_SHARE: u64 = 60;
/// Candidates with a lower score are not offered.
const SCORE_MIN: u32 = 35;

/// Texts to choose from, ready to be asked.
#[derive(Debug, Default)]
pub struct Candidates {
    all: Vec<Candidate>,
    sizes: Vec<(u32, u32)>,
    by_word: HashMap<String, Vec<u32>>,
    by_letters: HashMap<[char; 3], Vec<u32>>,
}

impl Candidates {
    /// From a list; what has neither code nor text is left out, and so is what is there twice.
    #[must_use]
    pub fn new(list: impl IntoIterator<Item = Candidate>) -> Self {
        let unique: BTreeSet<Candidate> = list
            .into_iter()
            .filter(|candidate| !candidate.code.is_empty() && !candidate.display.is_empty())
            .collect();
        let mut found = Self::default();
        for (candidate, number) in unique.into_iter().zip(0_u32..) {
            let words = words(&candidate.display);
            let letters = letters(&words);
            found.sizes.push((count(words.len()), count(letters.len())));
            for word in words {
                found.by_word.entry(word).or_default().push(number);
            }
            for group in letters {
                found.by_letters.entry(group).or_default().push(number);
            }
            found.all.push(candidate);
        }
        found
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The best candidates for a text, the best first, at most `limit`.
    #[must_use]
    pub fn best(&self, text: &str, limit: usize) -> Vec<Match<'_>> {
        let words = words(text);
        let letters = letters(&words);
        let mut shared: HashMap<u32, (u32, u32)> = HashMap::new();
        for word in &words {
            for &number in self.by_word.get(word).into_iter().flatten() {
                shared.entry(number).or_default().0 += 1;
            }
        }
        for group in &letters {
            for &number in self.by_letters.get(group).into_iter().flatten() {
                shared.entry(number).or_default().1 += 1;
            }
        }
        let own = (count(words.len()), count(letters.len()));
        let mut scored: Vec<(u32, u32)> = shared
            .into_iter()
            .filter_map(|(number, (of_words, of_letters))| {
                let size = self.sizes.get(number as usize)?;
                let score = (WORDS_SHARE * dice(of_words, own.0, size.0)
                    + (100 - WORDS_SHARE) * dice(of_letters, own.1, size.1))
                    / 100;
                let score = u32::try_from(score).unwrap_or(0);
                (score >= SCORE_MIN).then_some((score, number))
            })
            .collect();
        // The list is in the order of system and code, so that equal scores have one order.
        scored.sort_by_key(|&(score, number)| (std::cmp::Reverse(score), number));
        scored
            .into_iter()
            .take(limit)
            .filter_map(|(score, number)| {
                let candidate = self.all.get(number as usize)?;
                let theirs = self::words(&candidate.display);
                Some(Match {
                    candidate,
                    score,
                    words: words.intersection(&theirs).cloned().collect(),
                })
            })
            .collect()
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Dice's coefficient in hundredths.
fn dice(shared: u32, one: u32, two: u32) -> u64 {
    let sum = u64::from(one) + u64::from(two);
    if sum == 0 {
        return 0;
    }
    200 * u64::from(shared) / sum
}

/// The words of a text in their one form; words that say nothing are left out.
fn words(text: &str) -> BTreeSet<String> {
    let folded: String = text
        .chars()
        .flat_map(char::to_lowercase)
        .map(plain)
        .collect();
    let mut words = BTreeSet::new();
    for word in folded.split(|c: char| !c.is_alphanumeric()) {
        let word = word.replace("ae", "e").replace("oe", "e");
        if word.is_empty() || SILENT.contains(&word.as_str()) {
            continue;
        }
        match FORMS
            .iter()
            .find(|(_, forms)| forms.contains(&word.as_str()))
        {
            Some((one, _)) => words.extend(one.split(' ').map(str::to_owned)),
            None => {
                words.insert(word);
            }
        }
    }
    words
}

/// A letter without its mark.
const fn plain(c: char) -> char {
    match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => 'a',
        'è' | 'é' | 'ê' | 'ë' | 'œ' | 'æ' => 'e',
        'ì' | 'í' | 'î' | 'ï' => 'i',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => 'o',
        'ù' | 'ú' | 'û' | 'ü' => 'u',
        'ç' => 'c',
        'ñ' => 'n',
        'µ' | 'μ' => 'u',
        'ß' => 's',
        other => other,
    }
}

/// Groups of three letters of each word, its ends marked.
fn letters(words: &BTreeSet<String>) -> BTreeSet<[char; 3]> {
    let mut groups = BTreeSet::new();
    for word in words {
        let marked: Vec<char> = std::iter::once(' ')
            .chain(word.chars())
            .chain(std::iter::once(' '))
            .collect();
        for group in marked.windows(3) {
            if let [a, b, c] = group {
                groups.insert([*a, *b, *c]);
            }
        }
    }
    groups
}

/// Words that every second name has, and those by which LOINC names kinds of quantities: a local
/// name does not say them, so that they only tell longer names from shorter ones.
const SILENT: &[&str] = &[
    "in",
    "or",
    "of",
    "and",
    "the",
    "by",
    "im",
    "und",
    "der",
    "von",
    "et",
    "de",
    "i",
    "volume",
    "mass",
    "moles",
    "enzymatic",
    "activity",
    "presence",
];

/// What laboratories write (abbreviations, German, British spelling without its `a`), and the one
/// form that it is compared in.
const FORMS: &[(&str, &[&str])] = &[
    ("potassium", &["kalium", "potass"]),
    ("sodium", &["natrium", "sod"]),
    ("chloride", &["chlorid"]),
    ("calcium", &["kalzium", "calc"]),
    ("magnesium", &["magn"]),
    ("phosphate", &["phosphat", "phos"]),
    ("iron", &["eisen"]),
    ("glucose", &["glukose", "gluc", "glu", "glc"]),
    ("creatinine", &["kreatinin", "creatinin", "crea", "creat"]),
    ("urea", &["harnstoff"]),
    ("urate", &["harnsaure", "harnseure"]),
    ("bilirubin", &["bili", "bil"]),
    ("protein", &["eiweis", "eiweiss", "prot"]),
    ("albumin", &["alb"]),
    ("cholesterol", &["cholesterin", "chol"]),
    (
        "triglyceride",
        &["triglycerides", "triglyceride", "triglyzeride", "trig"],
    ),
    ("hemoglobin", &["hb", "hgb", "hemoglobine"]),
    ("hematocrit", &["hkt", "hct", "hematokrit"]),
    (
        "leukocytes",
        &["wbc", "leukozyten", "leucocytes", "leukocyte", "leuko"],
    ),
    (
        "erythrocytes",
        &["rbc", "erythrozyten", "erythrocyte", "ery"],
    ),
    (
        "platelets",
        &["plt", "thrombozyten", "thrombocytes", "platelet"],
    ),
    ("lymphocytes", &["lymphozyten", "lymphs", "lymphocyte"]),
    ("thyrotropin", &["tsh"]),
    ("thyroxine", &["thyroxin"]),
    ("cobalamin", &["b12"]),
    ("folate", &["folsaure", "folseure", "folic"]),
    ("troponin", &["trop"]),
    ("c reactive protein", &["crp"]),
    ("prostate specific ag", &["psa"]),
    ("alanine aminotransferase", &["alt", "alat", "gpt", "sgpt"]),
    (
        "aspartate aminotransferase",
        &["ast", "asat", "got", "sgot"],
    ),
    ("gamma glutamyl transferase", &["ggt"]),
    ("alkaline phosphatase", &["alp"]),
    ("lactate dehydrogenase", &["ldh"]),
    ("serum", &["ser", "s"]),
    ("plasma", &["plas", "pl"]),
    ("blood", &["bld", "blut", "vollblut"]),
    ("urine", &["urin", "ur"]),
    (
        "ab",
        &["antibody", "antibodies", "antikorper", "antikerper"],
    ),
    ("ag", &["antigen"]),
    ("total", &["gesamt", "tot"]),
    ("free", &["frei", "freies"]),
    ("direct", &["direkt"]),
    ("count", &["anzahl"]),
    ("micro", &["u"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates() -> Candidates {
        let list = [
            ("2823-3", "Potassium [Moles/volume] in Serum or Plasma"),
            ("2951-2", "Sodium [Moles/volume] in Serum or Plasma"),
            ("718-7", "Hemoglobin [Mass/volume] in Blood"),
            ("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
            ("14682-9", "Creatinine [Moles/volume] in Serum or Plasma"),
            (
                "1742-6",
                "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma",
            ),
            (
                "1920-8",
                "Aspartate aminotransferase [Enzymatic activity/volume] in Serum or Plasma",
            ),
        ];
        Candidates::new(list.map(|(code, display)| Candidate {
            system: "LN".to_owned(),
            code: code.to_owned(),
            display: display.to_owned(),
        }))
    }

    fn best(text: &str) -> Vec<String> {
        let all = candidates();
        let found = all.best(text, 2);
        found
            .iter()
            .map(|found| found.candidate.code.clone())
            .collect()
    }

    #[test]
    fn other_words_for_the_same_are_found() {
        for (text, code) in [
            ("Kalium i.S.", "2823-3"),
            ("Haemoglobin", "718-7"),
            ("Hb, Blood", "718-7"),
            ("Kreatinin (Serum)", "14682-9"),
            ("ALT/GPT Plasma", "1742-6"),
            ("SODIUM SERUM", "2951-2"),
            ("Potasium, plasma", "2823-3"),
        ] {
            assert_eq!(best(text).first().map(String::as_str), Some(code), "{text}");
        }
    }

    #[test]
    fn what_is_not_similar_is_not_offered() {
        assert!(best("Ward round").is_empty() && best("").is_empty() && best("---").is_empty());
    }

    #[test]
    fn the_same_words_give_a_hundred_and_the_words_are_told() {
        let all = candidates();
        let found = all.best("HB (blood)", 1);
        assert_eq!(found[0].score, 100);
        assert_eq!(found[0].words, ["blood", "hemoglobin"]);
    }

    #[test]
    fn equal_scores_are_in_the_order_of_codes() {
        let twin = |code: &str| Candidate {
            system: String::new(),
            code: code.to_owned(),
            display: "Lactate".to_owned(),
        };
        let all = Candidates::new([twin("B"), twin("A"), twin("A"), twin("")]);
        assert_eq!(all.len(), 2);
        let found = all.best("lactate", 5);
        let codes: Vec<_> = found.iter().map(|found| &*found.candidate.code).collect();
        assert_eq!(codes, ["A", "B"]);
    }
}
