//! What is read back.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::content::Apart;
use crate::id::{Pk, ResourceType, Seq};
use crate::query::Cursor;

/// The JSON text of a resource without `meta.versionId` and `meta.lastUpdated`, and the place where
/// these are put in again when it is read.
///
/// At `splice` the reader writes `"versionId":"3","lastUpdated":"2026-11-21T20:00:00.000Z"`. If
/// `wrap` is set there is no `meta` and it writes `"meta":{...}` around it. A comma follows if
/// `comma` is set; so the place is always directly behind a `{` (or, wrapped, behind a complete
/// property and its comma).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Body {
    /// The text.
    pub bytes: Bytes,
    /// Where to splice.
    pub splice: u32,
    /// `meta` itself is missing.
    pub wrap: bool,
    /// Something follows, so a comma is needed.
    pub comma: bool,
    /// What in the text stands for content apart, in ascending order; empty unless it was
    /// [asked for](crate::Store::read_apart).
    pub apart: Vec<Apart>,
    /// What the writer keeps with this version and no reader of the resource sees: the times of its
    /// elements. At most [`BESIDE_BYTES_MAX`].
    pub beside: Bytes,
}

/// The most that a version may have beside it, in bytes.
pub const BESIDE_BYTES_MAX: usize = 1_000_000;

impl Body {
    /// Bytes of the text, with what is apart.
    #[must_use]
    pub fn len(&self) -> u64 {
        let apart = self.apart.iter();
        let span: u64 = apart.clone().map(|apart| u64::from(apart.span)).sum();
        let more: u64 = apart.map(|apart| apart.bytes).sum();
        (self.bytes.len() as u64 + more).saturating_sub(span)
    }

    /// There is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.bytes.len())
    }
}

/// One version of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Which resource.
    pub pk: Pk,
    /// Its type.
    pub resource_type: ResourceType,
    /// Its id.
    pub id: Arc<str>,
    /// The version, from 1.
    pub version: u32,
    /// The number of the change that made this version.
    pub seq: Seq,
    /// When, in milliseconds since 1970 UTC.
    pub updated_ms: i64,
    /// This version made the resource exist (again).
    pub created: bool,
    /// Its content; `None` if this version is a deletion.
    pub body: Option<Body>,
}

impl Stored {
    /// Its content was erased, and its id with it; there is no body.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.id.is_empty()
    }

    /// Bytes of its content, with what is apart.
    pub(crate) fn body_bytes(&self) -> Option<usize> {
        let body = self.body.as_ref()?;
        Some(usize::try_from(body.len()).unwrap_or(usize::MAX))
    }
}

/// Whose history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryScope {
    /// Everything.
    System,
    /// One type.
    Type(ResourceType),
    /// One resource.
    Instance(ResourceType, String),
}

/// Which part of a history a page is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistoryPart {
    /// The newest versions.
    #[default]
    Newest,
    /// The newest ones before this number: what follows the page that ended with it.
    Before(Seq),
    /// The oldest ones behind this number: what precedes the page that began with it.
    Behind(Seq),
}

/// A page of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Whose.
    pub scope: HistoryScope,
    /// Versions made then or later (`_since`), in milliseconds since 1970 UTC.
    pub from_ms: i64,
    /// Versions made before then.
    pub to_ms: i64,
    /// Which of them.
    pub part: HistoryPart,
    /// Versions of a page.
    pub count: u32,
}

/// Versions, newest first.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    /// The versions.
    pub versions: Vec<Stored>,
    /// Where the next page begins, if there is one: versions before this number.
    pub next: Option<Seq>,
    /// Where the page before ends, if there is one: versions behind this number.
    pub prev: Option<Seq>,
}

impl HistoryQuery {
    /// The numbers between which versions are looked for, both left out.
    pub(crate) const fn between(&self) -> (i64, i64) {
        match self.part {
            HistoryPart::Newest => (i64::MIN, i64::MAX),
            HistoryPart::Before(seq) => (i64::MIN, seq.0),
            HistoryPart::Behind(seq) => (seq.0, i64::MAX),
        }
    }

    /// Whether the oldest versions are wanted first.
    pub(crate) const fn is_up(&self) -> bool {
        matches!(self.part, HistoryPart::Behind(_))
    }

    /// The page, of the versions in the order wanted, one more than the page has if there is more.
    pub(crate) fn page(&self, mut versions: Vec<Stored>) -> HistoryPage {
        let more = versions.len() > self.count as usize;
        versions.truncate(self.count as usize);
        if self.is_up() {
            versions.reverse();
        }
        let (first, last) = (versions.first(), versions.last());
        let (first, last) = (first.map(|one| one.seq), last.map(|one| one.seq));
        let (next, prev) = match self.part {
            HistoryPart::Newest => (last.filter(|_| more), None),
            // The version that the number is of is on the other side.
            HistoryPart::Before(seq) => (
                last.filter(|_| more),
                Some(first.unwrap_or(Seq(seq.0.saturating_sub(1).max(0)))),
            ),
            HistoryPart::Behind(seq) => (
                Some(last.unwrap_or(Seq(seq.0.saturating_add(1)))),
                first.filter(|_| more),
            ),
        };
        HistoryPage {
            versions,
            next,
            prev,
        }
    }
}

/// A match of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The resource.
    pub pk: Pk,
    /// Its current version as of the page's snapshot.
    pub stored: Stored,
}

/// One page of a search.
#[derive(Clone, Debug)]
pub struct Page {
    /// The matches in order.
    pub found: Vec<Found>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
    /// Where the page before ends, if there is one.
    pub prev: Option<Cursor>,
    /// How many matches there are altogether, if it was asked for.
    pub total: Option<u64>,
    /// The last change that the page could see.
    pub seq: Seq,
}
