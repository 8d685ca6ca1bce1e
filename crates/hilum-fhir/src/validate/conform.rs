//! Profiles, applied to nodes.

use super::{Check, Request, given};
use crate::definitions::Definitions;
use crate::problem::{IssueType, Severity};
use crate::profile::{Constraint, Fit, Profile, TypeLimit};
use crate::resource::Node;

/// Profiles within profiles that are followed.
const DEPTH_MAX: usize = 12;

impl Check<'_> {
    /// Checks a resource against the profiles that it names itself.
    pub(super) fn stated_profiles(&mut self, resource: Node<'_>) {
        let meta = resource.children_named("meta");
        for url in meta.flat_map(|meta| meta.children_named("profile")) {
            if let Some(canonical) = url.text() {
                self.against(resource, canonical);
            }
        }
    }

    /// Checks a resource against a profile by its URL.
    pub(super) fn against(&mut self, resource: Node<'_>, canonical: &str) {
        let tables = Definitions::r4();
        let url = canonical.split('|').next().unwrap_or(canonical);
        if let Some(ty) = tables.type_at(url) {
            if !tables.is_a(resource.type_id(), ty) {
                let text = format!(
                    "not a {}, which its profile is for",
                    tables.type_def(ty).name
                );
                self.error(IssueType::Structure, resource, text);
            }
            return;
        }
        match self.request.profiles.get(canonical) {
            Some(profile) => self.profile(resource, &profile),
            None => {
                let text = format!("profile {canonical} is not known, it was not checked");
                self.report(Severity::Warning, IssueType::NotFound, resource, text);
            }
        }
    }

    /// Checks a node against a profile.
    pub(super) fn profile(&mut self, node: Node<'_>, profile: &Profile) {
        let tables = Definitions::r4();
        if !tables.is_a(node.type_id(), profile.ty) {
            let name = tables.type_def(profile.ty).name;
            let text = format!("not a {name}, which {} is for", profile.url);
            self.error(IssueType::Structure, node, text);
            return;
        }
        if self.depth < DEPTH_MAX && !self.is_full() {
            self.depth += 1;
            self.constraint(node, &profile.root, profile);
            self.depth -= 1;
        }
    }

    /// Whether a node conforms to a profile or is of a type; what is not known says nothing.
    pub(super) fn conforms(&self, node: Node<'_>, canonical: &str) -> Option<bool> {
        let tables = Definitions::r4();
        let url = canonical.split('|').next().unwrap_or(canonical);
        if let Some(ty) = tables.type_at(url) {
            return Some(tables.is_a(node.type_id(), ty));
        }
        let profile = self.request.profiles.get(canonical)?;
        let question = (node.index(), canonical.into());
        if let Some(answer) = self.answers.known_or_assumed(&question) {
            return Some(answer);
        }
        let request = Request {
            problems_max: 1,
            ..*self.request
        };
        let mut inner = Check {
            validator: self.validator,
            resource: self.resource,
            request: &request,
            problems: Vec::new(),
            entries: self.entries.clone(),
            answers: self.answers.clone(),
            depth: self.depth,
            errors_only: true,
        };
        inner.profile(node, &profile);
        let answer = inner.problems.is_empty();
        self.answers.set(question, answer);
        Some(answer)
    }

    /// Checks a node against what is asked of its element.
    pub(super) fn constraint(&mut self, node: Node<'_>, asked: &Constraint, profile: &Profile) {
        self.value(node, asked, profile);
        // What is asked of another type says nothing of this one.
        if !asked.types.is_empty() && !self.types(node, &asked.types, profile) {
            return;
        }
        if let Some((strength, value_set)) = &asked.binding {
            self.binding(node, *strength, value_set);
        }
        for rule in &asked.rules {
            let severity = if rule.warning {
                Severity::Warning
            } else {
                Severity::Error
            };
            // What a profile asks of a resource inside of its own is seen from its own.
            let resource = match node.parent() {
                Some(around) if !asked.is_root => around.nearest_resource(),
                _ => node.nearest_resource(),
            };
            let holds = self.holds_in(node, resource, &rule.expression);
            self.judge(node, severity, &rule.key, &rule.human, holds);
        }
        for child in &asked.children {
            self.children(node, child, profile);
        }
    }

    /// Checks the repetitions of one element below a node.
    fn children(&mut self, node: Node<'_>, asked: &Constraint, profile: &Profile) {
        let found: Vec<Node<'_>> = node.children_named(&asked.name).collect();
        self.count(node, found.len(), asked, profile);
        for child in &found {
            self.constraint(*child, asked, profile);
        }
        if !asked.slices.is_empty() || asked.slicing.is_some() {
            self.slices(node, &found, asked, profile);
        }
    }

    /// Compares how many there are with how many there have to be.
    pub(super) fn count(
        &mut self,
        node: Node<'_>,
        count: usize,
        asked: &Constraint,
        profile: &Profile,
    ) {
        let what = match &asked.slice {
            Some(slice) => format!("{}:{slice}", asked.name),
            None => asked.name.clone(),
        };
        let url = &profile.url;
        if let Some(min) = asked.min.filter(|min| count < *min as usize) {
            let text = format!("{what}: {count} of at least {min} (profile {url})");
            self.error(IssueType::Required, node, text);
        }
        if let Some(max) = asked.max.filter(|max| count > *max as usize) {
            let text = format!("{what}: {count} of at most {max} (profile {url})");
            self.error(IssueType::Structure, node, text);
        }
    }

    fn value(&mut self, node: Node<'_>, asked: &Constraint, profile: &Profile) {
        let url = &profile.url;
        if let Some(given) = asked
            .given
            .as_ref()
            .filter(|given| !given::matches(node, given))
        {
            let text = match given.fit {
                Fit::Exactly => format!("not the value that profile {url} fixes"),
                Fit::AtLeast => format!("lacks what the pattern of profile {url} asks for"),
            };
            self.error(IssueType::Value, node, text);
        }
        if let Some(max) = asked.max_length
            && node.text().is_some_and(|text| text.chars().count() > max)
        {
            let text = format!("more than {max} characters (profile {url})");
            self.error(IssueType::TooLong, node, text);
        }
        if let Some(min) = asked.min_length
            && node.text().is_some_and(|text| text.chars().count() < min)
        {
            let text = format!("fewer than {min} characters (profile {url})");
            self.error(IssueType::Value, node, text);
        }
        let bounds = [
            (&asked.min_value, "less than the least", "<"),
            (&asked.max_value, "more than the greatest", ">"),
        ];
        for (bound, words, wrong) in bounds {
            if let Some(bound) = bound
                && super::compare::holds(node, wrong, bound.node())
            {
                let text = format!("{words} value of profile {url}");
                self.error(IssueType::Value, node, text);
            }
        }
    }

    /// Whether a node has one of the types.
    fn types(&mut self, node: Node<'_>, limits: &[TypeLimit], profile: &Profile) -> bool {
        let tables = Definitions::r4();
        let of_type =
            |limit: &&TypeLimit| limit.ty.is_some_and(|ty| tables.is_a(node.type_id(), ty));
        let fitting: Vec<&TypeLimit> = limits.iter().filter(of_type).collect();
        if fitting.is_empty() {
            let text = format!(
                "type {} is not allowed (profile {})",
                node.type_name(),
                profile.url
            );
            self.error(IssueType::Structure, node, text);
            return false;
        }
        if !fitting.iter().any(|limit| limit.profiles.is_empty()) {
            let profiles: Vec<&String> = fitting.iter().flat_map(|l| &l.profiles).collect();
            self.one_of(node, &profiles);
        }
        if node.type_id() == tables.known().reference {
            self.targets(node, &fitting);
        }
        true
    }

    /// One profile is checked for what it says, of several one has to hold.
    fn one_of(&mut self, node: Node<'_>, profiles: &[&String]) {
        match profiles {
            [] => {}
            [one] => {
                if let Some(profile) = self.request.profiles.get(one) {
                    self.profile(node, &profile);
                } else if self.conforms(node, one) == Some(false) {
                    let text = format!("not what {one} is for");
                    self.error(IssueType::Structure, node, text);
                }
            }
            several => {
                let mut answers = several.iter().map(|one| self.conforms(node, one));
                if answers.all(|answer| answer == Some(false)) {
                    let text = format!("none of the {} profiles for it holds", several.len());
                    self.error(IssueType::Structure, node, text);
                }
            }
        }
    }

    fn targets(&mut self, node: Node<'_>, limits: &[&TypeLimit]) {
        let Some(text) = node.child_text("reference") else {
            return;
        };
        if limits.iter().any(|limit| limit.targets.is_empty()) {
            return;
        }
        let target = self.entries.inside(node, text);
        let fits = |url: &String| match target {
            Some(target) => self.conforms(target, url),
            None => self.names_type(text, url),
        };
        let mut urls = limits.iter().flat_map(|limit| &limit.targets);
        if urls.all(|url| fits(url) == Some(false)) {
            let text = "the target of the reference has none of the allowed types and profiles";
            self.error(IssueType::Structure, node, text);
        }
    }

    /// Whether a reference that leads out of the resource can be to something with this profile.
    fn names_type(&self, reference: &str, canonical: &str) -> Option<bool> {
        let tables = Definitions::r4();
        let named = super::reference::named_type(reference)?;
        let url = canonical.split('|').next().unwrap_or(canonical);
        let wanted = match tables.type_at(url) {
            Some(ty) => ty,
            None => self.request.profiles.get(canonical)?.ty,
        };
        if !tables.is_a(named, wanted) {
            return Some(false);
        }
        None
    }
}
