//! Content apart: large runs of a resource's text (the data of an attachment or a Binary) that are
//! kept in parts beside it, so that nobody has to hold them whole.
//!
//! - It is written before the commit, part by part ([`Store::put_part`]); nothing refers to it yet.
//! - A commit whose bodies name it ([`Body::apart`]) uses it from then on, in the same transaction.
//!   What no commit came to use is dropped ([`Store::drop_unused`]); where a program stopped before
//!   that, when the file is opened, and in a database, which others may write, a day later.
//! - It lives as long as a version that names it has its body: erasing the last one removes it.
//!
//! Whoever reads a resource gets it whole, unless it asks for it [apart](Store::read_apart): such a
//! body has a stand-in at the place of each content, and its parts are read one by one.

use bytes::Bytes;
use hilum_db::{DbClass, DbError};
use ring::rand::{SecureRandom, SystemRandom};

use crate::body::{pack_part, unpack_part};
use crate::error::StoreError;
use crate::id::ResourceType;
use crate::store::{Backend, Store};
use crate::stored::{Body, Page, Stored};

/// Bytes of a part, but for the last one of a content.
pub const PART_BYTES: usize = 1 << 20;
/// How long content that no version names may still be on its way into a database.
pub(crate) const UNUSED_MS: i64 = 24 * 3600 * 1000;

/// The number of a content, drawn by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId(pub(crate) i64);

impl ContentId {
    /// A new one; `None` if the system has no randomness.
    #[must_use]
    pub fn draw() -> Option<Self> {
        let mut bytes = [0; 8];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Self(i64::from_le_bytes(bytes) & i64::MAX))
    }
}

/// A run of a body's text that stands for content apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apart {
    /// The first byte of the stand-in in [`Body::bytes`].
    pub at: u32,
    /// Its length in bytes.
    pub span: u32,
    /// What it stands for.
    pub content: ContentId,
    /// The bytes of that.
    pub bytes: u64,
}

/// A step of the work on contents.
#[derive(Clone, Debug)]
pub(crate) enum ContentStep {
    /// Writes a part, packed.
    Put {
        content: i64,
        part: i64,
        codec: i64,
        len: i64,
        bytes: Vec<u8>,
    },
    /// Drops those that no version names.
    Drop(Vec<i64>),
}

impl Store {
    /// Writes a part of a content, from 0; durable when it returns. All parts but the last have
    /// [`PART_BYTES`].
    ///
    /// # Errors
    /// As the place fails.
    pub async fn put_part(
        &self,
        content: ContentId,
        part: u32,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let name = &self.shared().name;
        let failed = |error| DbError::io("pack a part for", name.as_ref().as_ref(), error);
        let (codec, packed) = pack_part(bytes).map_err(failed)?;
        let step = ContentStep::Put {
            content: content.0,
            part: i64::from(part),
            codec,
            len: bytes.len() as i64,
            bytes: packed,
        };
        self.content_step(step).await
    }

    /// Drops those of some contents that no version names.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn drop_unused(&self, contents: Vec<ContentId>) -> Result<(), StoreError> {
        let contents = contents.into_iter().map(|content| content.0).collect();
        self.content_step(ContentStep::Drop(contents)).await
    }

    async fn content_step(&self, step: ContentStep) -> Result<(), StoreError> {
        match &*self.inner {
            Backend::Sqlite(at) => at.content(step).await,
            Backend::Postgres(at) => at.content(step).await,
        }
    }

    /// A part of a content; empty behind the last one.
    ///
    /// # Errors
    /// If it was erased meanwhile, or as the place fails.
    pub async fn part(&self, of: &Apart, part: u32) -> Result<Bytes, StoreError> {
        if u64::from(part) * PART_BYTES as u64 >= of.bytes {
            return Ok(Bytes::new());
        }
        let key = (of.content.0, i64::from(part));
        let found = match &*self.inner {
            Backend::Sqlite(at) => at.part(key).await?,
            Backend::Postgres(at) => at.part(key).await?,
        };
        let name = &self.shared().name;
        let damaged = || DbError::new(DbClass::Corrupt, "read content of", name.clone());
        let (codec, len, bytes) = found.ok_or(StoreError::Invalid("the content was erased"))?;
        let part = unpack_part(codec, len, bytes).map_err(|_| damaged())?;
        if part.is_empty() {
            return Err(damaged().into());
        }
        Ok(part)
    }

    /// As [`Store::read`], with content apart where it is.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn read_apart(
        &self,
        of: ResourceType,
        id: &str,
    ) -> Result<Option<Stored>, StoreError> {
        match &*self.inner {
            Backend::Sqlite(at) => at.read(of, id).await,
            Backend::Postgres(at) => at.read(of, id).await,
        }
    }

    /// As [`Store::vread`], with content apart where it is.
    ///
    /// # Errors
    /// As [`Store::vread`].
    pub async fn vread_apart(
        &self,
        of: ResourceType,
        id: &str,
        version: u32,
    ) -> Result<Option<Stored>, StoreError> {
        match &*self.inner {
            Backend::Sqlite(at) => at.vread(of, id, version).await,
            Backend::Postgres(at) => at.vread(of, id, version).await,
        }
    }

    /// Puts what is apart into the body: the resource as it was before it was stored.
    ///
    /// # Errors
    /// As [`Store::part`].
    pub async fn whole(&self, mut stored: Stored) -> Result<Stored, StoreError> {
        if let Some(body) = stored.body.take() {
            stored.body = Some(self.whole_body(body).await?);
        }
        Ok(stored)
    }

    async fn whole_body(&self, body: Body) -> Result<Body, StoreError> {
        if body.apart.is_empty() {
            return Ok(body);
        }
        let mut out = Vec::with_capacity(usize::try_from(body.len()).unwrap_or_default());
        let (mut from, mut splice) = (0, u64::from(body.splice));
        for apart in &body.apart {
            let at = apart.at as usize;
            out.extend_from_slice(body.bytes.get(from..at).unwrap_or_default());
            from = at + apart.span as usize;
            if apart.at < body.splice {
                splice = splice + apart.bytes - u64::from(apart.span);
            }
            for part in 0.. {
                let bytes = self.part(apart, part).await?;
                if bytes.is_empty() {
                    break;
                }
                out.extend_from_slice(&bytes);
            }
        }
        out.extend_from_slice(body.bytes.get(from..).unwrap_or_default());
        Ok(Body {
            bytes: out.into(),
            splice: u32::try_from(splice).unwrap_or(u32::MAX),
            apart: Vec::new(),
            ..body
        })
    }

    pub(crate) async fn whole_one(
        &self,
        stored: Option<Stored>,
    ) -> Result<Option<Stored>, StoreError> {
        match stored {
            Some(stored) => Ok(Some(self.whole(stored).await?)),
            None => Ok(None),
        }
    }

    pub(crate) async fn whole_all(&self, mut all: Vec<Stored>) -> Result<Vec<Stored>, StoreError> {
        for stored in &mut all {
            self.whole_in(stored).await?;
        }
        Ok(all)
    }

    pub(crate) async fn whole_page(&self, mut page: Page) -> Result<Page, StoreError> {
        for found in &mut page.found {
            self.whole_in(&mut found.stored).await?;
        }
        Ok(page)
    }

    pub(crate) async fn whole_in(&self, stored: &mut Stored) -> Result<(), StoreError> {
        let is_apart = |body: &Body| !body.apart.is_empty();
        if stored.body.as_ref().is_some_and(is_apart)
            && let Some(body) = stored.body.take()
        {
            stored.body = Some(self.whole_body(body).await?);
        }
        Ok(())
    }
}
