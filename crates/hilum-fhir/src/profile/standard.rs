//! The profiles of the standard, each read and compiled when it is first asked for.

use std::sync::{Arc, OnceLock};

use super::set::BASES_MAX;
use super::{Profile, compile};
use crate::json;
use crate::limits::Limits;
use crate::resource::Resource;

/// One StructureDefinition per line, sorted by URL, which comes first.
static LINES: &str = include_str!("../generated/r4-profiles.ndjson");
const BEFORE_URL: &str = "{\"resourceType\":\"StructureDefinition\",\"url\":\"";

struct Slot {
    url: &'static str,
    line: &'static str,
    profile: OnceLock<Option<Arc<Profile>>>,
}

static SLOTS: OnceLock<Vec<Slot>> = OnceLock::new();

fn slots() -> &'static [Slot] {
    SLOTS.get_or_init(|| {
        let slot = |line: &'static str| {
            let (url, _) = line.strip_prefix(BEFORE_URL)?.split_once('"')?;
            Some(Slot {
                url,
                line,
                profile: OnceLock::new(),
            })
        };
        LINES.lines().filter_map(slot).collect()
    })
}

/// The URLs of all of them.
#[cfg(test)]
pub(super) fn urls() -> impl Iterator<Item = &'static str> {
    slots().iter().map(|slot| slot.url)
}

/// The profile with this URL.
pub(super) fn profile(url: &str) -> Option<Arc<Profile>> {
    lookup(url, 0)
}

/// The StructureDefinition of a profile of the standard, with its differential.
pub(crate) fn resource(url: &str) -> Option<Resource> {
    let slots = slots();
    let at = slots.binary_search_by(|slot| slot.url.cmp(url)).ok()?;
    json::parse(slots.get(at)?.line.as_bytes(), &Limits::default()).ok()
}

fn lookup(url: &str, depth: usize) -> Option<Arc<Profile>> {
    let slots = slots();
    let at = slots.binary_search_by(|slot| slot.url.cmp(url)).ok()?;
    let slot = slots.get(at)?;
    if let Some(known) = slot.profile.get() {
        return known.clone();
    }
    if depth > BASES_MAX {
        return None;
    }
    // Compiled outside of the cell, so that a base that is its own cannot block it.
    let resource = Arc::new(json::parse(slot.line.as_bytes(), &Limits::default()).ok()?);
    let base = resource.root().child_text("baseDefinition");
    let base = base.and_then(|base| lookup(base, depth + 1));
    let profile =
        compile::compile(&resource, base.as_deref(), compile::Stated::Difference).map(Arc::new);
    slot.profile.get_or_init(|| profile).clone()
}
