//! Laying a differential over the tree of its base.

use std::collections::BTreeSet;

use super::choice::{choice, in_order_of_types, is_by_type, one_type_only, only_type, well_named};
use super::element::{Element, TypeUse};
use super::parts::{items, member};
use super::tree::{Node, nth};
use super::{Maker, SnapshotError};
use crate::definitions::{Definitions, TypeKind};

const CORE: &str = "http://hl7.org/fhir/StructureDefinition/";
/// Slices of extensions.
const BY_URL: &str =
    r#"{"discriminator":[{"type":"value","path":"url"}],"ordered":false,"rules":"open"}"#;
/// Slices by type, as a name such as `valueQuantity` makes them.
const BY_TYPE: &str =
    r#"{"discriminator":[{"type":"type","path":"$this"}],"ordered":false,"rules":"open"}"#;

/// One differential on its way over a base.
pub(super) struct Layer<'m> {
    pub(super) maker: &'m Maker<'m>,
    /// The base as it was, for content references.
    pub(super) whole: Node,
    /// New elements are allowed.
    pub(super) specialization: bool,
}

impl Layer<'_> {
    /// Lays what is said of an element, and of those below it, over the base's.
    pub(super) fn lay(&self, into: &mut Node, own: &Node, path: &str) -> Result<(), SnapshotError> {
        self.may(&into.element, &own.element, path)?;
        self.describe(&mut into.element, &own.element)?;
        into.element.lay(&own.element);
        if let [only] = into.element.types().as_slice()
            && only.code == "Extension"
        {
            into.element.remove("binding");
        }
        if own.children.is_empty() {
            return Ok(());
        }
        if into.children.is_empty() {
            self.grow(into, path)?;
        }
        let named = |child: &&Node| only_type(into, &child.name).is_some();
        let in_place: Vec<&str> = own
            .children
            .iter()
            .filter(named)
            .map(|child| child.name.as_str())
            .collect();
        let mut done: Vec<&str> = Vec::new();
        for child in &own.children {
            if done.contains(&child.name.as_str()) {
                continue;
            }
            done.push(&child.name);
            let same = own.children.iter().filter(|other| other.name == child.name);
            let path = format!("{path}.{}", child.name);
            let same = same.collect::<Vec<_>>();
            match only_type(into, &child.name) {
                Some(at) if in_place.contains(&child.name.as_str()) => {
                    for own in same {
                        self.lay(nth(&mut into.children, at), own, &path)?;
                    }
                }
                _ => self.group(into, &child.name, &same, &path)?,
            }
        }
        Ok(())
    }

    /// Everything that is said of the children of one name.
    fn group(
        &self,
        parent: &mut Node,
        name: &str,
        all: &[&Node],
        path: &str,
    ) -> Result<(), SnapshotError> {
        let unsliced = |child: &Node| child.name == name && child.slice.is_none();
        let Some(at) = parent.children.iter().position(unsliced) else {
            return match choice(parent, name) {
                Some((at, ty)) => self.by_type(parent, at, &ty, all, path),
                None if self.specialization => {
                    parent.children.extend(all.iter().map(|own| (*own).clone()));
                    Ok(())
                }
                None => Err(SnapshotError::Path(path.to_owned())),
            };
        };
        // A new slice begins as the base has it, not as this profile does.
        let before = nth(&mut parent.children, at).clone();
        for own in all {
            match &own.slice {
                None => self.lay(nth(&mut parent.children, at), own, path)?,
                Some(slice) => {
                    let unsliced = nth(&mut parent.children, at);
                    if is_by_type(&unsliced.element) {
                        well_named(name, slice, &own.element, path)?;
                    }
                    let at = self.slice(parent, &before, slice, &own.element);
                    let place = format!("{path}:{slice}");
                    self.lay(nth(&mut parent.children, at), own, &place)?;
                    self.described(nth(&mut parent.children, at), &own.element)?;
                }
            }
        }
        self.sliced(parent, &before, path)?;
        one_type_only(parent, name, all, path)
    }

    /// Says of the element itself what its slices say together.
    fn sliced(&self, parent: &mut Node, before: &Node, path: &str) -> Result<(), SnapshotError> {
        let name = &before.name;
        let slices = parent.children.iter().filter(|child| child.name == *name);
        let slices: Vec<&Node> = slices.filter(|child| child.slice.is_some()).collect();
        if slices.is_empty() {
            return Ok(());
        }
        let number = |node: &Node, name: &str| node.element.text(name).and_then(|n| n.parse().ok());
        let least = |node: &Node| number(node, "min").unwrap_or(0);
        let outermost = slices
            .iter()
            .filter(|one| one.slice.as_ref().is_some_and(|slice| !slice.contains('/')));
        let together: u32 = outermost.map(|one| least(one)).sum();
        let types = |node: &Node| -> BTreeSet<String> {
            node.element
                .types()
                .into_iter()
                .map(|one| one.code)
                .collect()
        };
        let demanded = slices
            .iter()
            .find(|one| least(one) > 0)
            .map(|one| types(one));
        let of_slices: BTreeSet<String> = slices.iter().flat_map(|one| types(one)).collect();
        let in_extension = parent.name.ends_with("xtension");
        let unsliced = |child: &Node| child.name == *name && child.slice.is_none();
        let Some(at) = parent.children.iter().position(unsliced) else {
            return Ok(());
        };
        let node = nth(&mut parent.children, at);
        if number(node, "max").is_some_and(|max| together > max) {
            return Err(SnapshotError::TooMany(path.to_owned()));
        }
        if !name.ends_with("[x]") {
            if name.ends_with("xtension") && node.element.raw("slicing").is_none() {
                node.element.set("slicing", BY_URL);
            }
            return Ok(());
        }
        let only = match demanded {
            Some(types) => {
                node.element.set("min", "1");
                Some(types)
            }
            None if in_extension || types(node) == of_slices => Some(of_slices),
            None => None,
        };
        let was_closed = before
            .element
            .raw("slicing")
            .is_some_and(|s| s.contains("\"closed\""));
        let stated = node.element.raw("slicing").unwrap_or_default();
        let closed = only.is_some() || was_closed || stated.contains("\"closed\"");
        if let Some(only) = &only {
            let list = node.element.raw("type").map(items).unwrap_or_default();
            let kept = list
                .into_iter()
                .filter(|one| member(one, "code").is_some_and(|code| only.contains(&code)));
            let kept: Vec<&str> = kept.collect();
            let types = format!("[{}]", kept.join(","));
            node.element.set("type", types);
        }
        let slicing = if closed {
            BY_TYPE.replace("open", "closed")
        } else {
            BY_TYPE.to_owned()
        };
        node.element.set("slicing", slicing);
        Ok(())
    }

    /// The place of a slice, made behind the others where it is new.
    fn slice(&self, parent: &mut Node, before: &Node, slice: &str, own: &Element) -> usize {
        let name = &before.name;
        let known = |child: &Node| child.name == *name && child.slice.as_deref() == Some(slice);
        if let Some(at) = parent.children.iter().position(known) {
            return at;
        }
        // A slice of a slice begins as that one.
        let outer = slice.rsplit_once('/').map(|(outer, _)| outer);
        let outer = outer.and_then(|outer| {
            let known =
                |child: &&Node| child.name == *name && child.slice.as_deref() == Some(outer);
            parent.children.iter().find(known)
        });
        let mut made = outer.unwrap_or(before).clone();
        made.slice = Some(slice.to_owned());
        made.element.remove("slicing");
        made.element.remove("sliceName");
        // Where there is but one type, what has to be there has to be of that type.
        let only = name.ends_with("[x]") && before.element.types().len() == 1;
        if own.raw("min").is_none() && !only {
            made.element.set("min", "0");
        }
        let last = parent
            .children
            .iter()
            .rposition(|child| child.name == *name);
        let at = last.map_or(parent.children.len(), |last| last + 1);
        let at = in_order_of_types(parent, before, own, slice).unwrap_or(at);
        parent.children.insert(at, made);
        at
    }

    /// `valueQuantity` is the slice of `value[x]` with that type.
    fn by_type(
        &self,
        parent: &mut Node,
        at: usize,
        ty: &str,
        all: &[&Node],
        path: &str,
    ) -> Result<(), SnapshotError> {
        let before = nth(&mut parent.children, at).clone();
        let Some(first) = all.first() else {
            return Ok(());
        };
        let slice = first.slice.clone().unwrap_or_else(|| first.name.clone());
        if !slice.contains('/') && slice != first.name {
            return Err(SnapshotError::SliceName {
                path: path.to_owned(),
                slice,
            });
        }
        let place = self.slice(parent, &before, &slice, &first.element);
        let made = nth(&mut parent.children, place);
        made.element.set_text("sliceName", &slice);
        let list = before.element.raw("type").map(items).unwrap_or_default();
        let own = list
            .into_iter()
            .find(|one| member(one, "code").as_deref() == Some(ty));
        if let Some(own) = own {
            made.element.set("type", format!("[{own}]"));
        }
        for own in all {
            self.lay(nth(&mut parent.children, place), own, path)?;
        }
        self.sliced(parent, &before, path)
    }

    /// Gives an element the children of its type, of its profile or of what it refers to.
    fn grow(&self, node: &mut Node, path: &str) -> Result<(), SnapshotError> {
        if let Some(reference) = node.element.text("contentReference") {
            let target = reference.rsplit('#').next().unwrap_or_default();
            // What is referred to is the element of the type, and not what a profile says of it.
            let standard = format!("{CORE}{}", self.whole.name);
            let standard = super::base::elements(&standard)
                .map(|list| Node::of(list, &self.whole.name))
                .transpose()?;
            let whole = standard.as_ref().unwrap_or(&self.whole);
            let found = find(whole, target).ok_or(SnapshotError::Path(target.to_owned()))?;
            node.children.clone_from(&found.children);
            node.element.remove("contentReference");
            if let Some(ty) = found.element.raw("type") {
                let ty = ty.to_owned();
                node.element.set("type", ty);
            }
            return Ok(());
        }
        let types = node.element.types();
        let canonical = match types.as_slice() {
            [only] => type_url(only, path)?,
            [] => return Err(SnapshotError::Path(path.to_owned())),
            several
                if several
                    .iter()
                    .all(|one| one.code == several.first().map_or("", |first| &first.code)) =>
            {
                format!(
                    "{CORE}{}",
                    several.first().map_or("", |first| first.code.as_str())
                )
            }
            // Whatever the type is, it is an element.
            _ if node.name.ends_with("[x]") => format!("{CORE}Element"),
            _ => return Err(SnapshotError::Ambiguous(path.to_owned())),
        };
        let tree = match self.maker.named(&canonical) {
            // A profile that is not at hand leaves the type itself.
            Err(SnapshotError::Unknown(_))
                if types.first().is_some_and(|one| !one.profiles.is_empty()) =>
            {
                let code = types.first().map_or("", |one| one.code.as_str());
                self.maker.named(&format!("{CORE}{code}"))?
            }
            other => other?,
        };
        node.children = tree.children;
        Ok(())
    }

    /// What a profile that an extension is of says about itself describes the extension.
    fn describe(&self, into: &mut Element, own: &Element) -> Result<(), SnapshotError> {
        let Some(tree) = self.extension(own)? else {
            return Ok(());
        };
        for name in ["short", "definition", "comment", "requirements", "alias"] {
            match tree.element.raw(name) {
                Some(text) => into.set(name, text),
                None => into.remove(name),
            }
        }
        for name in ["isModifier", "isModifierReason"] {
            if let Some(text) = tree.element.raw(name) {
                into.set(name, text);
            }
        }
        Ok(())
    }

    /// How often a new slice may be there is what its profile says, unless it is said here.
    fn described(&self, slice: &mut Node, own: &Element) -> Result<(), SnapshotError> {
        if own.raw("max").is_some() {
            return Ok(());
        }
        if let Some(tree) = self.extension(own)?
            && let Some(max) = tree.element.raw("max").filter(|max| *max != "\"*\"")
        {
            slice.element.set("max", max);
        }
        Ok(())
    }

    /// What an element of the type Extension is described by, where that is at hand.
    fn extension(&self, own: &Element) -> Result<Option<Node>, SnapshotError> {
        let types = own.types();
        let [only] = types.as_slice() else {
            return Ok(None);
        };
        let [profile] = only.profiles.as_slice() else {
            return Ok(None);
        };
        if only.code != "Extension" {
            return Ok(None);
        }
        match self.maker.named(profile) {
            Ok(tree) => Ok(Some(tree)),
            // An extension may have itself inside.
            Err(SnapshotError::Unknown(_) | SnapshotError::Circle(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the types and values are such as the base allows.
    fn may(&self, base: &Element, own: &Element, path: &str) -> Result<(), SnapshotError> {
        let allowed = base.types();
        let anything = |one: &TypeUse| {
            matches!(
                one.code.as_str(),
                "Element" | "Resource" | "*" | "DomainResource"
            ) || one.code.contains("System.")
        };
        let types = own.types();
        let resource = |one: &TypeUse| matches!(one.code.as_str(), "Resource" | "DomainResource");
        let open = |one: &TypeUse| anything(one) && !resource(one);
        if !allowed.is_empty() && !allowed.iter().any(open) && !self.specialization {
            let resources = allowed.iter().any(resource);
            let known = |ty: &TypeUse| {
                let same = allowed.iter().any(|one| one.code == ty.code);
                same || resources && !is_data_type(&ty.code)
            };
            if let Some(wrong) = types.iter().find(|ty| !known(ty) && !ty.code.is_empty()) {
                return Err(SnapshotError::Type {
                    path: path.to_owned(),
                    ty: wrong.code.clone(),
                });
            }
        }
        // One resource among others is said by its type, not by its definition in the place of a
        // profile.
        let as_profile = |ty: &TypeUse| ty.profiles.iter().find_map(|url| other_resource(ty, url));
        if let Some(ty) = types.iter().find_map(as_profile) {
            let path = path.to_owned();
            return Err(SnapshotError::Type { path, ty });
        }
        let types = if types.is_empty() { allowed } else { types };
        for kind in ["fixed", "pattern"] {
            let Some((ty, _)) = own.typed(kind) else {
                continue;
            };
            let fits = |one: &TypeUse| one.code.eq_ignore_ascii_case(ty) || anything(one);
            if !types.is_empty() && !types.iter().any(fits) {
                return Err(SnapshotError::Value {
                    path: path.to_owned(),
                    ty: ty.to_owned(),
                });
            }
        }
        if base.raw("mustSupport") == Some("true") && own.raw("mustSupport") == Some("false") {
            return Err(SnapshotError::Loosened(path.to_owned()));
        }
        if own.text("path").is_some_and(|path| path.contains("..")) {
            return Err(SnapshotError::Path(path.to_owned()));
        }
        Ok(())
    }
}

/// Whether a name is that of a data type, which no resource is.
fn is_data_type(code: &str) -> bool {
    let tables = Definitions::r4();
    let ty = tables.type_named(code);
    ty.is_some_and(|ty| tables.type_def(ty).kind != TypeKind::Resource)
}

/// The type of resource that stands in the place of a profile of any resource.
fn other_resource(ty: &TypeUse, profile: &str) -> Option<String> {
    let tables = Definitions::r4();
    let found = tables.type_def(tables.type_at(profile)?);
    let any = matches!(ty.code.as_str(), "Resource" | "DomainResource");
    (any && found.name != ty.code).then(|| found.name.to_owned())
}

/// Where the children of a type are described.
fn type_url(only: &TypeUse, path: &str) -> Result<String, SnapshotError> {
    match only.profiles.as_slice() {
        [profile] => Ok(profile.clone()),
        _ if only.code.contains("System.") => Err(SnapshotError::Path(path.to_owned())),
        _ if only.code.starts_with("http") => Ok(only.code.clone()),
        _ => Ok(format!("{CORE}{}", only.code)),
    }
}

/// The element with an id.
fn find<'n>(tree: &'n Node, id: &str) -> Option<&'n Node> {
    let mut parts = id.split('.');
    if parts.next()? != tree.name {
        return None;
    }
    let mut place = tree;
    for part in parts {
        let name = part.split(':').next().unwrap_or(part);
        let known = |child: &&Node| child.name == name && child.slice.is_none();
        place = place.children.iter().find(known)?;
    }
    Some(place)
}
