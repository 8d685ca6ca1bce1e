//! What is read back.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::id::{Pk, ResourceType, Seq};
use crate::query::Cursor;

/// The JSON text of a resource without `meta.versionId` and `meta.lastUpdated`, and the place where
/// these are put in again when it is read.
///
/// At `splice` the reader writes `"versionId":"3","lastUpdated":"2026-11-21T20:00:00.000Z"`. If
/// `wrap` is set there is no `meta` and it writes `"meta":{...}` around it. A comma follows if
/// `comma` is set; so the place is always directly behind a `{` (or, wrapped, behind a complete
/// property and its comma).
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    /// The text.
    pub bytes: Bytes,
    /// Where to splice.
    pub splice: u32,
    /// `meta` itself is missing.
    pub wrap: bool,
    /// Something follows, so a comma is needed.
    pub comma: bool,
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

    /// Bytes of its content.
    pub(crate) fn body_bytes(&self) -> Option<usize> {
        self.body.as_ref().map(|body| body.bytes.len())
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

/// A page of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Whose.
    pub scope: HistoryScope,
    /// Versions made then or later (`_since`), in milliseconds since 1970 UTC.
    pub from_ms: i64,
    /// Versions made before then.
    pub to_ms: i64,
    /// Versions before this number: where the page before ended.
    pub before: Option<Seq>,
    /// Versions of a page.
    pub count: u32,
}

/// Versions, newest first.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    /// The versions.
    pub versions: Vec<Stored>,
    /// Where the next page begins: versions before this number.
    pub next: Option<Seq>,
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
