//! What a request says beside its codes.

use crate::language::Languages;
use crate::version;

/// What a rule about the version of a system means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// The version where nobody names one (`system-version`).
    Default,
    /// The version that it has to be (`check-system-version`).
    Check,
    /// The version whatever anybody names (`force-system-version`).
    Force,
}

/// A rule about the version of a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it means.
    pub kind: RuleKind,
    /// The URL of the system.
    pub url: String,
    /// The version, or a pattern of it.
    pub version: String,
}

impl Rule {
    /// The rule of a parameter `URL|VERSION`; `None` without a version.
    #[must_use]
    pub fn of(kind: RuleKind, canonical: &str) -> Option<Self> {
        let (url, version) = version::split(canonical);
        Some(Self {
            kind,
            url: url.to_owned(),
            version: version?.to_owned(),
        })
    }

    /// As the parameter says it.
    #[must_use]
    pub fn canonical(&self) -> String {
        version::joined(&self.url, Some(&self.version))
    }
}

/// What is taken into account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Languages of the parameter `displayLanguage`.
    pub display_language: Option<Languages>,
    /// Languages of the header `Accept-Language`.
    pub accept_language: Option<Languages>,
    /// Versions of systems.
    pub rules: Vec<Rule>,
    /// Versions of value sets that are named without one: URL and version.
    pub value_set_versions: Vec<(String, String)>,
    /// Supplements that have to be used.
    pub supplements: Vec<String>,
    /// Inactive codes do not count.
    pub active_only: Option<bool>,
    /// Abstract codes count (they do unless the request says that they do not).
    pub abstract_counts: Option<bool>,
    /// The system may be found out from the code.
    pub infer_system: bool,
    /// A wrong display is a warning only.
    pub lenient_display: bool,
    /// Only whether a code is in the value set is asked.
    pub membership_only: bool,
}

impl Options {
    /// The languages that count.
    #[must_use]
    pub fn languages(&self) -> Option<&Languages> {
        self.display_language
            .as_ref()
            .or(self.accept_language.as_ref())
    }

    /// The version of a system that counts where this one is named.
    #[must_use]
    pub fn version<'o>(&'o self, url: &str, named: Option<&'o str>) -> Option<&'o str> {
        let rule = |kind: RuleKind| {
            let mut rules = self.rules.iter();
            rules
                .find(|rule| rule.kind == kind && rule.url == url)
                .map(|rule| rule.version.as_str())
        };
        rule(RuleKind::Force)
            .or(named)
            .or_else(|| rule(RuleKind::Default))
            .or_else(|| rule(RuleKind::Check))
    }

    /// The version that a system has to have and does not.
    #[must_use]
    pub fn disallows(&self, url: &str, version: Option<&str>) -> Option<&str> {
        let mut rules = self.rules.iter();
        let rule = rules.find(|rule| rule.kind == RuleKind::Check && rule.url == url)?;
        let fits = version.is_some_and(|version| version::fits(&rule.version, version));
        (!fits).then_some(rule.version.as_str())
    }

    /// The canonical URL of a value set with the version that counts.
    #[must_use]
    pub fn pinned(&self, canonical: &str) -> String {
        let (url, named) = version::split(canonical);
        let mut pinned = self.value_set_versions.iter();
        let pinned = pinned.find(|(of, _)| of == url).map(|(_, version)| version);
        let version = named.or(pinned.map(String::as_str));
        version::joined(url, version)
    }

    pub(crate) fn counts_abstract(&self) -> bool {
        self.abstract_counts.unwrap_or(true)
    }
}
