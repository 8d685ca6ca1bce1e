//! Extensions: known by their URL, allowed where they stand, and as their definitions say.

use hilum_fhirpath::Expression;

use super::Check;
use super::bundle::is_absolute;
use crate::definitions::Definitions;
use crate::problem::{IssueType, Severity};
use crate::profile::{Context, Profile};
use crate::resource::Node;

/// Where extensions of the standard have their URLs.
const OF_HL7: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Hosts that stand for no one; nobody defines their extensions.
const EXAMPLE_HOSTS: &[&str] = &["://example.org", "://acme.com", "://nema.org"];

impl Check<'_> {
    pub(super) fn extension(&mut self, node: Node<'_>) {
        let Some(url) = node.child_text("url") else {
            return;
        };
        let Some(holder) = node.parent() else {
            return;
        };
        if !is_absolute(url) {
            // The parts of an extension have names of its own.
            if !is_extension(holder) {
                let text = "the URL of an extension has to be absolute";
                self.error(IssueType::Extension, node, text);
            }
            return;
        }
        if url.contains('|') {
            let text = "the URL of an extension has no version";
            self.error(IssueType::Extension, node, text);
        }
        let Some(profile) = self.request.profiles.get(url) else {
            let illustrative = EXAMPLE_HOSTS.iter().any(|host| url.contains(host));
            let severity = if illustrative {
                Severity::Information
            } else if url.starts_with(OF_HL7) {
                // The extensions that HL7 adds to R4 come in packages of their own.
                self.request.unknown_extension.max(Severity::Warning)
            } else {
                self.request.unknown_extension
            };
            let text = format!("extension {url} is not known");
            self.report(severity, IssueType::Extension, node, text);
            return;
        };
        self.place(node, holder, &profile);
        self.profile(node, &profile);
    }

    fn place(&mut self, node: Node<'_>, holder: Node<'_>, profile: &Profile) {
        if profile.ty != Definitions::r4().known().extension {
            let text = format!("{} is not the definition of an extension", profile.url);
            self.error(IssueType::Extension, node, text);
            return;
        }
        let fits = |context: &Context| match context {
            Context::Element(path) => is_at(holder, path),
            // The extension itself, or its value.
            Context::Extension(url) => {
                let mut around = std::iter::once(holder).chain(holder.parent());
                around.any(|one| is_extension(one) && one.child_text("url") == Some(url))
            }
            Context::FhirPath(expression) => self.selects(holder, expression),
        };
        if !profile.contexts.is_empty() && !profile.contexts.iter().any(fits) {
            let text = format!("extension {} is not allowed here", profile.url);
            self.error(IssueType::Extension, node, text);
        }
        for rule in &profile.context_rules {
            if !matches!(self.holds(holder, rule), Ok(true)) {
                let text = format!("extension {} is not allowed in this context", profile.url);
                self.error(IssueType::Extension, node, text);
            }
        }
    }

    /// Whether an expression, seen from the resource around a node, selects it.
    fn selects(&self, node: Node<'_>, expression: &Expression) -> bool {
        let resource = node.nearest_resource();
        self.select(resource, expression)
            .is_some_and(|found| found.contains(&node.id()))
    }
}

fn is_extension(node: Node<'_>) -> bool {
    node.type_id() == Definitions::r4().known().extension
}

/// Whether a node is what a path of a context names: a type or one of its bases, an element of its
/// type, or an element as it is reached from a resource or data type.
fn is_at(node: Node<'_>, path: &str) -> bool {
    let tables = Definitions::r4();
    let path = path.split_once('#').map_or(path, |(_, after)| after);
    if let Some(ty) = tables.type_named(path) {
        return tables.is_a(node.type_id(), ty) || path == "Element";
    }
    let plain = |path: &str| path.replace("[x]", "");
    let wanted = plain(path);
    let (first, rest) = wanted.split_once('.').unwrap_or((&wanted, ""));
    let Some(base) = tables.type_named(first) else {
        return false;
    };
    // Every way up from the node that ends at something of the type.
    let mut names = Vec::new();
    let mut at = Some(node);
    while let Some(current) = at {
        if tables.is_a(current.type_id(), base) {
            let way: Vec<&str> = names.iter().rev().copied().collect();
            if way.join(".") == rest {
                return true;
            }
        }
        if current.is_resource() {
            break;
        }
        names.push(current.name());
        at = current.parent();
    }
    plain(node.element().path) == wanted
}
