//! From a scope and a JSON name to an element: one open hash table for all scopes.

use super::{Child, ElementDef, ElementId, TypeDef, TypeId, kind};

/// Every name below every scope, choices spelled out.
#[derive(Debug)]
pub(super) struct NameIndex {
    /// Place in `entries` plus one; zero is free. A power of two, at most half full.
    slots: Vec<u16>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: &'static str,
    parent: ElementId,
    child: Child,
}

impl NameIndex {
    /// Names what the elements hold; the number of names must fit into 15 bits.
    pub(super) fn new(types: &[TypeDef], elements: &[ElementDef]) -> Self {
        let mut entries = Vec::with_capacity(elements.len() * 2);
        for (at, element) in elements.iter().enumerate() {
            let Some(parent) = element.parent else {
                continue;
            };
            #[expect(clippy::cast_possible_truncation, reason = "there are fewer elements")]
            let id = ElementId(at as u16);
            for ty in &element.types {
                let root = types.get(ty.ty.index()).unwrap_or(&kind::NOTHING).root;
                let scope = if element.has_children() {
                    id
                } else {
                    element.content.unwrap_or(root)
                };
                let child = Child {
                    element: id,
                    ty: ty.ty,
                    scope,
                };
                entries.push(Entry {
                    name: ty.json_name,
                    parent,
                    child,
                });
            }
        }
        let mut slots = vec![0_u16; (entries.len() * 2).next_power_of_two()];
        let mask = slots.len() - 1;
        for (at, entry) in entries.iter().enumerate() {
            let mut place = hash(entry.parent, entry.name) & mask;
            while slots.get(place).is_some_and(|slot| *slot != 0) {
                place = (place + 1) & mask;
            }
            if let Some(slot) = slots.get_mut(place) {
                *slot = u16::try_from(at + 1).unwrap_or(0);
            }
        }
        Self { slots, entries }
    }

    /// What a name below a scope means.
    #[inline]
    pub(super) fn child(&self, scope: ElementId, name: &str) -> Option<Child> {
        let mask = self.slots.len() - 1;
        let mut place = hash(scope, name) & mask;
        loop {
            let slot = self.slots.get(place).copied()?;
            let entry = self.entries.get(usize::from(slot).checked_sub(1)?)?;
            if entry.parent == scope && entry.name == name {
                return Some(entry.child);
            }
            place = (place + 1) & mask;
        }
    }

    /// The types are sorted by name.
    pub(super) fn type_named(&self, types: &[TypeDef], name: &str) -> Option<TypeId> {
        let found = types.binary_search_by(|def| def.name.cmp(name)).ok()?;
        Some(TypeId::at(found))
    }
}

/// Length, first, middle and last bytes tell the names of one scope apart well enough; the rest is
/// mixing.
#[inline]
fn hash(scope: ElementId, name: &str) -> usize {
    let bytes = name.as_bytes();
    let head = eight(bytes.get(..8).unwrap_or(bytes));
    let tail = eight(bytes.get(bytes.len().saturating_sub(8)..).unwrap_or(bytes));
    let mut mixed = head ^ tail.rotate_left(21) ^ (bytes.len() as u64) << 56;
    mixed =
        (mixed ^ u64::from(scope.0) << 40 ^ u64::from(scope.0)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^= mixed >> 32;
    #[expect(clippy::cast_possible_truncation, reason = "only low bits are used")]
    let place = mixed as usize;
    place
}

#[inline]
fn eight(bytes: &[u8]) -> u64 {
    if let Ok(whole) = <[u8; 8]>::try_from(bytes) {
        return u64::from_le_bytes(whole);
    }
    bytes
        .iter()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}
