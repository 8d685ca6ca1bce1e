//! Whether the display of a coding is one of its concept.

use hilum_fhir::{IssueType, Severity};

use super::{Check, Coding, Found, below};
use crate::issue::{Issue, alternatives};
use crate::language::Languages;
use crate::system::{Concept, Name, preferred};
use crate::table::Use;

/// Every name of what was found: of the code system, of supplements, and of the include.
fn names<'f>(concept: &'f Concept, found: &'f Found) -> Vec<Name<'f>> {
    let mut names: Vec<Name<'f>> = concept.names().collect();
    let Some((set, at, place)) = &found.listed else {
        return names;
    };
    let part = set.include.get(*at);
    let Some(chosen) = part.and_then(|part| part.concepts.get(*place)) else {
        return names;
    };
    names.extend(chosen.display.as_deref().map(|value| Name {
        language: set.language.as_deref(),
        usage: None,
        value,
        is_display: false,
        source: None,
        extensions: None,
    }));
    names.extend(chosen.designations.iter().map(|of| Name {
        language: of.language.as_deref(),
        usage: of.usage.as_ref().map(|[system, code, display]| Use {
            system,
            code,
            display,
        }),
        value: &of.value,
        is_display: false,
        source: None,
        extensions: of.extensions.as_deref(),
    }));
    names
}

/// How a text compares with names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Likeness {
    /// It is one of them; case does not matter.
    Same,
    /// It is one of them but for white space.
    Spaced,
    Other,
}

fn likeness<'n>(names: impl Iterator<Item = &'n str>, given: &str) -> Likeness {
    let words = |text: &str| {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        words.join(" ")
    };
    let (plain, spaced) = (given.to_lowercase(), words(given));
    let mut best = Likeness::Other;
    for name in names {
        if name.to_lowercase() == plain {
            return Likeness::Same;
        }
        if words(name) == spaced {
            best = Likeness::Spaced;
        }
    }
    best
}

/// A name may be read by who reads these languages.
fn reads(languages: Option<&Languages>, name: &Name<'_>) -> bool {
    languages.is_none_or(|languages| {
        name.language.is_none() || languages.wanted().is_empty() || languages.reads(name.language)
    })
}

/// Names for a message: `'Display 1' (en) or 'Anzeige 1' (de)`.
fn listed(names: &[&Name<'_>]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for name in names {
        let text = match name.language {
            Some(language) => format!("'{}' ({language})", name.value),
            None => format!("'{}'", name.value),
        };
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    alternatives(&texts)
}

impl Check<'_> {
    fn display_severity(&self) -> Severity {
        if self.engine.options.lenient_display {
            Severity::Warning
        } else {
            Severity::Error
        }
    }

    fn languages_shown(&self) -> String {
        let languages = self.engine.options.languages();
        languages.map_or_else(
            || "--".to_owned(),
            |languages| languages.to_string().replace(", ", ",").replace(',', ", "),
        )
    }

    /// What people are to read for what was found.
    pub(super) fn shown_display(&self, found: &Found) -> Option<String> {
        let concept = found.concept.as_ref()?;
        let names = names(concept, found);
        let languages = self.engine.options.languages();
        let best = preferred(&names, languages).or_else(|| preferred(&names, None));
        best.map(|name| name.value.to_owned())
    }

    /// The display of a coding that is in the value set.
    pub(super) fn check_display(&mut self, path: &str, coding: &Coding, found: &Found) {
        let (Some(given), Some(concept)) = (coding.display.as_deref(), &found.concept) else {
            return;
        };
        let names = names(concept, found);
        if names.is_empty() {
            return;
        }
        let languages = self.engine.options.languages();
        let readable: Vec<&Name<'_>> = names.iter().filter(|name| reads(languages, name)).collect();
        let like = likeness(readable.iter().map(|name| name.value), given);
        let (system, code) = (&concept.system().url, concept.code());
        if like == Likeness::Same {
            self.check_withdrawn(path, code, given, &readable);
            return;
        }
        let mut issue = if readable.is_empty() {
            self.none_readable(&names, system, code, given, found)
        } else {
            self.wrong_display(like, &readable, system, code, given)
        };
        issue.place = Some(below(path, "display"));
        self.tell(issue);
    }

    fn wrong_display(
        &self,
        like: Likeness,
        readable: &[&Name<'_>],
        system: &str,
        code: &str,
        given: &str,
    ) -> Issue {
        let (id, wrong) = match like {
            Likeness::Spaced => (
                "Display_Name_WS_for__should_be_one_of__instead_of",
                "Wrong whitespace in Display Name",
            ),
            _ => (
                "Display_Name_for__should_be_one_of__instead_of",
                "Wrong Display Name",
            ),
        };
        // Names for other uses are accepted, but nobody is sent to them.
        let shown: Vec<&Name<'_>> = readable
            .iter()
            .copied()
            .filter(|name| name.usage.is_none_or(|of| of.code == "display"))
            .collect();
        let readable = if shown.is_empty() { readable } else { &shown };
        let mut distinct: Vec<(&str, Option<&str>)> = Vec::new();
        for name in readable {
            if !distinct.contains(&(name.value, name.language)) {
                distinct.push((name.value, name.language));
            }
        }
        let valid = match distinct.len() {
            1 => "Valid display is".to_owned(),
            count => format!("Valid display is one of {count} choices:"),
        };
        let text = format!(
            "{wrong} '{given}' for {system}#{code}. {valid} {} (for the language(s) '{}')",
            listed(readable),
            self.languages_shown()
        );
        let issue = Issue::error(IssueType::Invalid, "invalid-display", id, text);
        issue.with(self.display_severity())
    }

    /// There is no name in the languages that are asked for.
    fn none_readable(
        &self,
        names: &[Name<'_>],
        system: &str,
        code: &str,
        given: &str,
        found: &Found,
    ) -> Issue {
        let asked = self.languages_shown();
        let own = found.language.as_deref();
        let in_default = names
            .iter()
            .filter(|name| name.is_display || name.language == own)
            .map(|name| name.value);
        let about = "invalid-display";
        if likeness(in_default, given) == Likeness::Same {
            let text = format!(
                "There are no valid display names found for the code {system}#{code} for language(s) '{asked}'. The display is '{given}' which is a valid display for the default language"
            );
            let id = "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_OK";
            return Issue::error(IssueType::Invalid, about, id, text).with(Severity::Information);
        }
        let Some(default) = preferred(names, None) else {
            let text = format!(
                "Cannot validate display Name '{given}' for {system}#{code}: No displays are known"
            );
            let issue = Issue::error(IssueType::Invalid, about, "NO_VALID_DISPLAY_AT_ALL", text);
            return issue.with(Severity::Warning);
        };
        let text = format!(
            "Wrong Display Name '{given}' for {system}#{code}. There are no valid display names found for language(s) '{asked}'. Default display is '{}'",
            default.value
        );
        let id = "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_ERR";
        Issue::error(IssueType::Invalid, about, id, text).with(self.display_severity())
    }

    /// A name that was taken back is told.
    fn check_withdrawn(&mut self, path: &str, code: &str, given: &str, readable: &[&Name<'_>]) {
        let mut same = readable
            .iter()
            .filter(|name| likeness(std::iter::once(name.value), given) == Likeness::Same);
        if !same.clone().all(|name| name.is_withdrawn()) || same.next().is_none() {
            return;
        }
        let current: Vec<&Name<'_>> = readable
            .iter()
            .copied()
            .filter(|name| !name.is_withdrawn())
            .collect();
        let text = format!(
            "'{given}' is no longer considered a correct display for code '{code}' (status = withdrawn). The correct display is one of {}",
            listed(&current)
        );
        let id = "INACTIVE_DISPLAY_FOUND";
        let issue = Issue::error(IssueType::Invalid, "display-comment", id, text);
        self.issue(
            issue
                .with(self.display_severity())
                .at(below(path, "display")),
        );
    }

    /// The display of a coding that is not in the value set.
    pub(super) fn check_unlisted_display(&mut self, path: &str, coding: &Coding, found: &Found) {
        let (Some(given), Some(concept)) = (coding.display.as_deref(), &found.concept) else {
            return;
        };
        let names = names(concept, found);
        let languages = self.engine.options.languages();
        let own = concept.system().language.as_deref();
        let readable: Vec<&Name<'_>> = names
            .iter()
            .filter(|name| reads(languages, name) || name.language == own)
            .collect();
        if readable.is_empty() {
            return;
        }
        let like = likeness(readable.iter().map(|name| name.value), given);
        if like != Likeness::Same {
            let (system, code) = (&concept.system().url, concept.code());
            let mut issue = self.wrong_display(like, &readable, system, code, given);
            issue.place = Some(below(path, "display"));
            self.tell(issue);
        }
    }
}
