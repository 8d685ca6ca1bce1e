//! Definitions as resources: StructureDefinition and SearchParameter, beyond their rules.

use super::Check;
use crate::definitions::{Definitions, SearchParamDef, TypeId, TypeKind};
use crate::problem::IssueType;
use crate::resource::Node;

impl Check<'_> {
    /// Checks a SearchParameter against the one that it is derived from (FHIR R4
    /// searchparameter.html).
    pub(super) fn search_parameter(&mut self, node: Node<'_>) {
        let composite = node.child_text("type") == Some("composite");
        if composite && node.children_named("component").count() < 2 {
            let text = "a composite search parameter has two components or more";
            self.error(IssueType::Required, node, text);
        }
        let Some(url) = node.child_text("derivedFrom") else {
            return;
        };
        let all = Definitions::r4().all_search_params();
        let origins: Vec<&SearchParamDef> = all.iter().filter(|param| param.url == url).collect();
        let Some(origin) = origins.first() else {
            return;
        };
        if node.child_text("type") != Some(origin.kind.code()) {
            let text = "another type than the search parameter it is derived from";
            self.error(IssueType::Value, node, text);
        }
        for base in node.children_named("base") {
            let ty = base
                .text()
                .and_then(|name| Definitions::r4().type_named(name));
            let known = |param: &&SearchParamDef| {
                ty.is_some_and(|ty| Definitions::r4().is_a(ty, param.resource))
            };
            if !origins.iter().any(known) {
                let text = "not a base of the search parameter it is derived from";
                self.error(IssueType::Value, base, text);
            }
        }
    }

    /// Checks that a StructureDefinition speaks of types, elements and profiles that there are.
    pub(super) fn structure_definition(&mut self, node: Node<'_>) {
        let (Some(name), Some(kind)) = (node.child_text("type"), node.child_text("kind")) else {
            return;
        };
        let tables = Definitions::r4();
        let ty = tables.type_named(name);
        if ty.is_none() && !name.contains([':', '/', '.']) {
            let text = "a type that FHIR does not define has to be a URL";
            self.error(IssueType::Value, node, text);
        }
        let base = node.child_text("baseDefinition");
        let derived = node.child_text("derivation") == Some("specialization");
        if derived && kind == "logical" && base == Some(name) {
            let text = "the type is that of the base it specializes";
            self.error(IssueType::Value, node, text);
        }
        for view in ["differential", "snapshot"] {
            for view in node.children_named(view) {
                for element in view.children_named("element") {
                    self.element_path(element, name, ty);
                    self.element_types(element);
                    self.discriminators(element, ty);
                }
            }
        }
        self.fixed_url(node, base);
    }

    fn element_path(&mut self, element: Node<'_>, name: &str, ty: Option<TypeId>) {
        let Some(path) = element.child_text("path") else {
            return;
        };
        let own = name.rsplit('/').next().unwrap_or(name);
        let rest = path.strip_prefix(own);
        if rest.is_none_or(|rest| !rest.is_empty() && !rest.starts_with('.')) {
            let text = "the path does not start with the type";
            self.error(IssueType::Value, element, text);
            return;
        }
        if let Some(ty) = ty
            && !is_element(ty, path)
        {
            let text = "there is no such element in the type";
            self.error(IssueType::NotFound, element, text);
        }
    }

    /// What tells slices apart is an element of what is sliced.
    fn discriminators(&mut self, element: Node<'_>, ty: Option<TypeId>) {
        let (Some(ty), Some(path)) = (ty, element.child_text("path")) else {
            return;
        };
        for slicing in element.children_named("slicing") {
            for discriminator in slicing.children_named("discriminator") {
                let Some(inner) = discriminator.child_text("path") else {
                    continue;
                };
                // Paths with functions leave the element, or start at it.
                if inner.contains(['(', '$']) {
                    continue;
                }
                if is_element(ty, path) && !is_element(ty, &format!("{path}.{inner}")) {
                    let text = "there is no such element in what is sliced";
                    self.error(IssueType::NotFound, discriminator, text);
                }
            }
        }
    }

    /// A profile on a type is for that type.
    fn element_types(&mut self, element: Node<'_>) {
        let tables = Definitions::r4();
        for stated in element.children_named("type") {
            let ty = stated
                .child_text("code")
                .and_then(|code| tables.type_named(code));
            for profile in stated.children_named("profile") {
                let Some(url) = profile.text() else { continue };
                let known = match tables.type_at(url) {
                    Some(known) => Some(known),
                    None => self.request.profiles.get(url).map(|profile| profile.ty),
                };
                if let (Some(ty), Some(known)) = (ty, known)
                    && ty != known
                    && tables.type_def(ty).kind == TypeKind::Complex
                {
                    let text = format!("the profile is for {}", tables.type_def(known).name);
                    self.error(IssueType::Value, profile, text);
                }
            }
        }
    }

    /// An extension that is derived from another keeps the URL that the other fixes.
    fn fixed_url(&mut self, node: Node<'_>, base: Option<&str>) {
        let Some(base) = base.and_then(|base| self.request.profiles.get(base)) else {
            return;
        };
        let fixed = base.root.child("url").and_then(|url| url.given.as_ref());
        let Some(fixed) = fixed.and_then(|given| given.value.node().text()) else {
            return;
        };
        let differential = node.children_named("differential");
        for element in differential.flat_map(|d| d.children_named("element")) {
            let own = element.child("fixed").and_then(Node::text);
            if element.child_text("path") == Some("Extension.url")
                && own.is_some_and(|own| own != fixed)
            {
                let text = "the base fixes another URL";
                self.error(IssueType::Value, element, text);
            }
        }
    }
}

/// Whether a path of a differential names an element; below `Resource` and the like anything may
/// be meant.
fn is_element(ty: TypeId, path: &str) -> bool {
    let tables = Definitions::r4();
    let mut scopes = vec![tables.type_def(ty).root];
    for part in path.split('.').skip(1) {
        let plain = part.strip_suffix("[x]").unwrap_or(part);
        let plain = plain.split(':').next().unwrap_or(plain);
        let mut inner = Vec::new();
        for scope in scopes {
            for id in tables.children(scope) {
                let element = tables.element(id);
                let mut named = element.types.iter().filter(|one| one.json_name == plain);
                if element.name == plain {
                    inner.extend(element.types.iter().map(|one| tables.child_of(id, one.ty)));
                } else if let Some(one) = named.next() {
                    inner.push(tables.child_of(id, one.ty));
                }
            }
        }
        if inner
            .iter()
            .any(|child| child.ty == tables.known().resource)
        {
            return true;
        }
        scopes = inner.iter().map(|child| child.scope).collect();
        if scopes.is_empty() {
            // The value of a primitive is an element of its snapshot.
            return plain == "value" && tables.type_def(ty).primitive().is_some();
        }
    }
    true
}
