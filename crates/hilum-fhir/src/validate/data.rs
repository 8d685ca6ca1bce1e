//! Data types whose parts have to agree with each other.

use super::Check;
use super::bundle::is_absolute;
use crate::definitions::Definitions;
use crate::problem::{IssueType, Severity};
use crate::resource::Node;

/// The profiles for vital signs by their codes (FHIR R4 observation-vitalsigns.html).
const VITAL_SIGNS: &[(&str, &str, &str)] = &[
    ("85353-1", "", "vitalspanel"),
    ("9279-1", "86290005", "resprate"),
    ("8867-4", "364075005", "heartrate"),
    ("2708-6", "431314004", "oxygensat"),
    ("8310-5", "276885007", "bodytemp"),
    ("8302-2", "50373000", "bodyheight"),
    ("9843-4", "363812007", "headcircum"),
    ("29463-7", "27113001", "bodyweight"),
    ("39156-5", "60621009", "bmi"),
    ("85354-9", "75367002", "bp"),
];

/// Whether two displays differ in letter case and white space only.
fn same_words(one: &str, other: &str) -> bool {
    let words =
        |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_lowercase).collect() };
    one == other || words(one) == words(other)
}

/// Hosts that nobody has (RFC 2606 §3).
const EXAMPLE_HOSTS: [&str; 3] = ["example.org", "example.com", "example.net"];

impl Check<'_> {
    /// A URL that is made up leads nowhere.
    pub(super) fn example_url(&mut self, node: Node<'_>, severity: Severity) {
        let rest = node.text().and_then(|text| text.split_once("://"));
        let host = rest.and_then(|(_, rest)| rest.split(['/', ':', '?', '#']).next());
        let stands_for = |host: &str| {
            EXAMPLE_HOSTS.iter().any(|known| {
                let inner = host.strip_suffix(known);
                inner.is_some_and(|inner| inner.is_empty() || inner.ends_with('.'))
            })
        };
        if host.is_some_and(stands_for) {
            let text = "the host of the URL is one of those that stand for examples";
            self.report(severity, IssueType::BusinessRule, node, text);
        }
    }

    /// The size of an Attachment is that of its data.
    pub(super) fn attachment(&mut self, node: Node<'_>) {
        let size = node
            .child_text("size")
            .and_then(|size| size.parse::<usize>().ok());
        let (Some(size), Some(data)) = (size, node.child_text("data")) else {
            return;
        };
        let digits = data
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=');
        let actual = digits.count() * 6 / 8;
        if size != actual {
            let text = format!("size is {size}, the data are {actual} bytes");
            self.error(IssueType::Value, node, text);
        }
    }

    /// The system of a Coding is a code system by an absolute URL, and its display is the one that
    /// belongs to the code.
    pub(super) fn coding_parts(&mut self, node: Node<'_>) {
        let Some(system) = node.child_text("system") else {
            return;
        };
        if !is_absolute(system) {
            let text = "Coding.system has to be an absolute URL";
            self.error(IssueType::Value, node, text);
        } else if system.contains("/ValueSet/") {
            let text = "Coding.system is the URL of a value set";
            self.report(
                self.request.value_set_as_system,
                IssueType::Value,
                node,
                text,
            );
        }
        let (Some(code), Some(display)) = (node.child_text("code"), node.child_text("display"))
        else {
            return;
        };
        let known = self.request.terminology.display(system, code);
        if known.is_some_and(|known| !same_words(known, display)) {
            let text = "the display is not the one of the code";
            self.report(
                self.request.wrong_display,
                IssueType::CodeInvalid,
                node,
                text,
            );
        }
    }

    /// A canonical URL is absolute, or names something inside the resource.
    pub(super) fn canonical(&mut self, node: Node<'_>) {
        if let Some(url) = node.text()
            && !url.starts_with('#')
            && !is_absolute(url)
        {
            let text = "a canonical URL has to be absolute";
            self.error(IssueType::Value, node, text);
        }
    }

    /// Text that looks like markup, where the caller asked to be told.
    pub(super) fn markup(&mut self, node: Node<'_>, severity: Severity) {
        let Some(text) = node.text() else {
            return;
        };
        let mut after = text.split('<').skip(1);
        let tag = |rest: &str| {
            let mut bytes = rest.bytes();
            match bytes.next() {
                Some(b'/' | b'!') => true,
                Some(byte) => byte.is_ascii_alphabetic(),
                None => false,
            }
        };
        if after.any(tag) {
            let text = "the text looks like embedded markup";
            self.report(severity, IssueType::Security, node, text);
        }
    }

    /// An Observation with the code of a vital sign conforms to the profile for it.
    pub(super) fn vital_sign(&mut self, observation: Node<'_>) {
        let codes = observation.children_named("code");
        let mut named = None;
        for coding in codes.flat_map(|code| code.children_named("coding")) {
            let Some(code) = coding.child_text("code") else {
                continue;
            };
            let found = match coding.child_text("system") {
                Some("http://loinc.org") => VITAL_SIGNS.iter().find(|one| one.0 == code),
                Some("http://snomed.info/sct") => VITAL_SIGNS.iter().find(|one| one.1 == code),
                _ => None,
            };
            named = named.or(found.map(|one| one.2));
        }
        let Some(name) = named else {
            return;
        };
        let url = format!("http://hl7.org/fhir/StructureDefinition/{name}");
        let metas = observation.children_named("meta");
        let mut stated = metas.flat_map(|meta| meta.children_named("profile"));
        if !stated.any(|profile| profile.text() == Some(&url))
            && let Some(profile) = self.request.profiles.get(&url)
        {
            self.profile(observation, &profile);
        }
    }

    /// Profiles that guides ask of every resource of a type.
    pub(super) fn global_profiles(&mut self, resource: Node<'_>) {
        let profiles = self.request.profiles;
        let tables = Definitions::r4();
        for (ty, canonical) in profiles.globals() {
            if tables.is_a(resource.type_id(), *ty)
                && let Some(profile) = profiles.get(canonical)
            {
                self.profile(resource, &profile);
            }
        }
    }
}
