//! What a store held at a moment that is named by a change number: since versions are written once
//! and never changed, reading page by page gives one consistent state, however long it takes.

use std::time::Duration;

use crate::id::{Pk, ResourceType, Seq};
use crate::stored::Stored;

/// Bytes of bodies after which a page ends.
pub(crate) const PAGE_BYTES: u32 = 16 << 20;
/// Longest listing of all matches of some searches.
pub(crate) const LISTING_TIME: Duration = Duration::from_secs(600);

/// Which of the versions of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Resources that were there.
    Present,
    /// Deletions. What was erased is not among them: nothing of it has a name any more.
    Deleted,
}

/// A page of the resources of a type as they were at a moment, in the order of their last change
/// before it.
#[derive(Clone, Copy, Debug)]
pub struct MomentQuery {
    /// The type.
    pub resource_type: ResourceType,
    /// Which ones.
    pub kept: Kept,
    /// Only those whose last change comes after this one; where the page before ended.
    pub after: Seq,
    /// The moment: changes up to this one count.
    pub to: Seq,
    /// Versions of a page.
    pub count: u32,
}

/// Such a page; it may hold fewer versions than asked for, even none, before the last one.
#[derive(Clone, Debug)]
pub struct MomentPage {
    /// The versions.
    pub versions: Vec<Stored>,
    /// Where the next page begins; `None` behind the last one.
    pub next: Option<Seq>,
}

/// All matches of several searches, from one snapshot.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The last change that the snapshot holds.
    pub seq: Seq,
    /// The matches of each search.
    pub matches: Vec<Vec<Pk>>,
}

/// The first of some changes, which are given by number and bytes: at most `max`, and as many as
/// their bytes allow, but one at least.
pub(crate) fn first_changes(mut found: Vec<(i64, i64)>, max: usize) -> Vec<i64> {
    found.sort_unstable();
    let mut bytes = 0_i64;
    let small = found.into_iter().take(max).take_while(|(_, size)| {
        let before = bytes;
        bytes = bytes.saturating_add(*size);
        before < i64::from(PAGE_BYTES)
    });
    small.map(|(seq, _)| seq).collect()
}
