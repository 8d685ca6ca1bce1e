//! Bundles: what each type of them asks of its entries (FHIR R4 bundle.html).

use super::Check;
use super::reference::relative;
use crate::problem::IssueType;
use crate::resource::Node;

impl Check<'_> {
    /// Checks what the rules of the tables leave open.
    pub(super) fn bundle(&mut self, bundle: Node<'_>) {
        let kind = bundle.child_text("type").unwrap_or_default();
        for entry in bundle.children_named("entry") {
            self.full_url(entry, kind);
            self.request(entry);
        }
        self.links(bundle);
        if kind == "document" {
            self.document(bundle);
        }
        if kind == "document" || kind == "message" {
            self.first_links(bundle);
        }
    }

    fn full_url(&mut self, entry: Node<'_>, kind: &str) {
        let Some(resource) = entry.child("resource") else {
            return;
        };
        let Some(url) = entry.child_text("fullUrl") else {
            let loose = matches!(
                kind,
                "transaction" | "batch" | "transaction-response" | "batch-response"
            );
            if !loose {
                let text = "an entry of this type of Bundle needs a fullUrl";
                self.error(IssueType::Required, entry, text);
            }
            return;
        };
        if !is_absolute(url) {
            self.error(IssueType::Value, entry, "fullUrl is not an absolute URL");
            return;
        }
        let web = url.starts_with("http://") || url.starts_with("https://");
        let id = resource.child_text("id");
        // A URL that ends like one of a server names type and id.
        let mut tail = url.rsplit('/');
        let (last, ty) = (
            tail.next().unwrap_or_default(),
            tail.next().unwrap_or_default(),
        );
        let looks_rest = relative(&format!("{ty}/{last}")).is_some();
        if web && looks_rest {
            let fits = ty == resource.type_name() && id == Some(last);
            if !fits {
                let text = "fullUrl names another type or id than the resource has";
                self.error(IssueType::Value, entry, text);
            }
        }
    }

    /// A Bundle has one link of each of the relations of paging.
    fn links(&mut self, bundle: Node<'_>) {
        let links: Vec<Node<'_>> = bundle.children_named("link").collect();
        for name in ["self", "first", "previous", "prev", "next", "last"] {
            let own = |link: &&Node<'_>| link.child_text("relation") == Some(name);
            if let Some(second) = links.iter().filter(own).nth(1) {
                let text = format!("more than one link {name}");
                self.error(IssueType::BusinessRule, *second, text);
            }
        }
    }

    fn request(&mut self, entry: Node<'_>) {
        let Some(method) = entry.child("request").and_then(|r| r.child_text("method")) else {
            return;
        };
        if matches!(method, "POST" | "PUT") && entry.child("resource").is_none() {
            let text = format!("an entry with {method} needs a resource");
            self.error(IssueType::Required, entry, text);
        }
    }

    /// The Composition of a document refers to resources of the document.
    fn document(&mut self, bundle: Node<'_>) {
        let first = bundle
            .child("entry")
            .and_then(|entry| entry.child("resource"));
        let Some(composition) = first.filter(|first| first.type_name() == "Composition") else {
            return;
        };
        for name in ["subject", "encounter", "author", "custodian"] {
            for reference in composition.children_named(name) {
                self.in_bundle(reference);
            }
        }
        for attester in composition.children_named("attester") {
            for reference in attester.children_named("party") {
                self.in_bundle(reference);
            }
        }
        self.sections(composition);
    }

    fn sections(&mut self, holder: Node<'_>) {
        for section in holder.children_named("section") {
            for name in ["author", "focus", "entry"] {
                for reference in section.children_named(name) {
                    self.in_bundle(reference);
                }
            }
            self.sections(section);
        }
    }

    fn in_bundle(&mut self, reference: Node<'_>) {
        let Some(text) = reference.child_text("reference") else {
            return;
        };
        if text.starts_with('#') {
            return;
        }
        let text = match self.entries.of_bundle(reference, text).len() {
            0 => "the target is not in the Bundle",
            1 => return,
            _ => "the target is in the Bundle more than once",
        };
        self.error(IssueType::NotFound, reference, text);
    }

    /// What the first entry of a message points at with its focus.
    fn first_links(&mut self, bundle: Node<'_>) {
        let first = bundle
            .child("entry")
            .and_then(|entry| entry.child("resource"));
        let Some(header) = first.filter(|first| first.type_name() == "MessageHeader") else {
            return;
        };
        for focus in header.children_named("focus") {
            self.in_bundle(focus);
        }
    }
}

/// A URL with a scheme.
pub(super) fn is_absolute(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once(':') else {
        return false;
    };
    let mut bytes = scheme.bytes();
    let plain = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    plain && !rest.is_empty()
}
