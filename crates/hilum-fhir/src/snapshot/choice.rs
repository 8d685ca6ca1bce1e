//! Choices (`value[x]`): what a name with a type means, and slices by type.

use super::SnapshotError;
use super::element::{Element, TypeUse};
use super::parts::{items, member, members};
use super::tree::Node;

/// The place of a choice with one type and without slices, if a name with a type means it: it is
/// constrained where it stands.
pub(super) fn only_type(parent: &Node, name: &str) -> Option<usize> {
    let (at, _) = choice(parent, name)?;
    let node = parent.children.get(at)?;
    let sliced = parent
        .children
        .iter()
        .any(|child| child.name == node.name && child.slice.is_some());
    let one = node.element.types().len() == 1 && node.element.raw("slicing").is_none();
    (one && !sliced).then_some(at)
}

/// Whether the slices of an element are told apart by their type alone.
pub(super) fn is_by_type(element: &Element) -> bool {
    let slicing = element.raw("slicing").map(members).unwrap_or_default();
    let discriminators = slicing
        .into_iter()
        .find(|(name, _)| *name == "discriminator");
    let discriminators = discriminators
        .map(|(_, list)| items(list))
        .unwrap_or_default();
    let [only] = discriminators.as_slice() else {
        return false;
    };
    let is = |name: &str, text: &str| member(only, name).as_deref() == Some(text);
    is("type", "type") && is("path", "$this")
}

/// A slice by type has the name that the element has with this type (FHIR R4
/// profiling.html#slicing).
pub(super) fn well_named(
    name: &str,
    slice: &str,
    own: &Element,
    path: &str,
) -> Result<(), SnapshotError> {
    let types = own.types();
    let (Some(stem), [only]) = (name.strip_suffix("[x]"), types.as_slice()) else {
        return Ok(());
    };
    let ty = slice.strip_prefix(stem).unwrap_or_default();
    if slice.contains('/') || ty.eq_ignore_ascii_case(&only.code) {
        return Ok(());
    }
    Err(SnapshotError::SliceName {
        path: path.to_owned(),
        slice: slice.to_owned(),
    })
}

/// Where one type has to be there, nothing can be said of another one.
pub(super) fn one_type_only(
    parent: &Node,
    name: &str,
    all: &[&Node],
    path: &str,
) -> Result<(), SnapshotError> {
    if !name.ends_with("[x]") {
        return Ok(());
    }
    let slices = all.iter().filter_map(|own| own.slice.as_ref());
    let slices: Vec<&Node> = slices
        .filter_map(|slice| {
            let known = |child: &&Node| child.name == name && child.slice.as_ref() == Some(slice);
            parent.children.iter().find(known)
        })
        .collect();
    let demanded = slices
        .iter()
        .find(|one| one.element.raw("min").is_some_and(|min| min != "0"));
    let Some(demanded) = demanded.map(|one| one.element.types()) else {
        return Ok(());
    };
    let shared = |one: &TypeUse| demanded.iter().any(|ty| ty.code == one.code);
    let contradicts = |one: &&&Node| !one.element.types().iter().any(shared);
    match slices.iter().find(contradicts) {
        Some(_) => Err(SnapshotError::TooMany(path.to_owned())),
        None => Ok(()),
    }
}

/// Before which slice of a choice a new one belongs: they are in the order of the types.
pub(super) fn in_order_of_types(
    parent: &Node,
    before: &Node,
    own: &Element,
    slice: &str,
) -> Option<usize> {
    let stem = before.name.strip_suffix("[x]")?;
    let types = before.element.types();
    let place = |code: &str| {
        types
            .iter()
            .position(|one| one.code.eq_ignore_ascii_case(code))
    };
    let stated = own.types().first().map(|one| one.code.clone());
    let code = stated.or_else(|| slice.strip_prefix(stem).map(str::to_owned))?;
    let place_of_new = place(&code)?;
    parent.children.iter().position(|child| {
        let known = child.element.types();
        child.name == before.name
            && child.slice.is_some()
            && known
                .first()
                .and_then(|one| place(&one.code))
                .is_some_and(|at| at > place_of_new)
    })
}

/// The choice that a name with its type means, and the type.
pub(super) fn choice(parent: &Node, name: &str) -> Option<(usize, String)> {
    parent.children.iter().enumerate().find_map(|(at, child)| {
        let stem = child.name.strip_suffix("[x]")?;
        let ty = name.strip_prefix(stem).filter(|_| child.slice.is_none())?;
        if !ty.starts_with(|c: char| c.is_ascii_uppercase()) {
            return None;
        }
        let types = child.element.types();
        let found = types.iter().find(|one| one.code.eq_ignore_ascii_case(ty))?;
        Some((at, found.code.clone()))
    })
}
