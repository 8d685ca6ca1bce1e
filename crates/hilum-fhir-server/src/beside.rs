//! Large attachments that a channel brings beside the text of a request: they go into the store part
//! by part before the request is done, and the resources that it writes name them there.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hilum_component::FhirApart;
use hilum_fhir::{Base64Check, IssueType};
use hilum_fhir_store::{Apart, Body, Commit, ContentId, Method, PART_BYTES, Store};
use hilum_message::{BlobRange, Tokens};
use http::StatusCode;

use crate::fault::Fault;
use crate::tenant::Tenant;

/// What a request brought beside its text. What no resource came to name is dropped with it.
pub(crate) struct Beside {
    tokens: Tokens,
    /// For each token the content, and its bytes.
    contents: Vec<(ContentId, u64)>,
    store: Store,
}

impl Beside {
    /// Writes attachments into the store of a tenant.
    pub(crate) async fn take(tenant: &Arc<Tenant>, apart: FhirApart) -> Result<Self, Fault> {
        let mut beside = Self {
            contents: Vec::new(),
            store: tenant.store.clone(),
            tokens: apart.tokens.clone(),
        };
        for range in apart.tokens.ranges() {
            let drawn = ContentId::draw();
            let content = drawn.ok_or_else(|| Fault::failed("the system has no randomness"))?;
            // It is dropped from here on, however far it comes.
            beside.contents.push((content, range.length));
            beside.write(content, &apart, range).await?;
        }
        Ok(beside)
    }

    async fn write(
        &self,
        content: ContentId,
        apart: &FhirApart,
        range: &BlobRange,
    ) -> Result<(), Fault> {
        let mut check = Base64Check::default();
        let (mut offset, mut part) = (0, 0);
        while offset < range.length {
            let bytes = read(apart, range, offset).await?;
            offset += bytes.len() as u64;
            // Within a string of JSON there are no control characters.
            let fits = !bytes.iter().any(u8::is_ascii_control) && check.take(&bytes);
            if !fits || (offset >= range.length && !check.holds()) {
                let text = "a large attachment is not base64";
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                return Err(Fault::new(status, IssueType::Value, text));
            }
            self.store.put_part(content, part, &bytes).await?;
            part += 1;
        }
        Ok(())
    }

    /// Says in the bodies of a commit where an attachment belongs.
    pub(crate) fn mark(&self, commit: &mut Commit) {
        for change in &mut commit.changes {
            match &mut change.method {
                Method::Create { body, .. } | Method::Update { body, .. } => self.mark_body(body),
                Method::Delete => {}
            }
        }
    }

    fn mark_body(&self, body: &mut Body) {
        if !body.apart.is_empty() {
            // It is written once more, and names its own content.
            return;
        }
        let found = self.tokens.find(&body.bytes).into_iter();
        body.apart = found
            .filter_map(|token| {
                let (content, bytes) = *self.contents.get(token.index)?;
                Some(Apart {
                    at: u32::try_from(token.at).ok()?,
                    span: u32::try_from(token.length).ok()?,
                    content,
                    bytes,
                })
            })
            .collect();
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let contents: Vec<ContentId> = self.contents.iter().map(|(id, _)| *id).collect();
        let store = self.store.clone();
        // A commit that is on its way comes before it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = store.drop_unused(contents).await {
                    tracing::warn!(%error, "unused attachments stay in a FHIR store until its next start");
                }
            });
        }
    }
}

/// The next part of an attachment.
async fn read(apart: &FhirApart, range: &BlobRange, offset: u64) -> Result<Bytes, Fault> {
    let left = usize::try_from(range.length - offset).unwrap_or(usize::MAX);
    let wanted = left.min(PART_BYTES);
    let mut out = BytesMut::new();
    while out.len() < wanted {
        let at = offset + out.len() as u64;
        let read = apart.blobs.read(range, at, wanted - out.len()).await;
        let read = read.ok().filter(|read| !read.is_empty());
        let read = read.ok_or_else(|| Fault::failed("an attachment cannot be read"))?;
        if out.is_empty() && read.len() == wanted {
            return Ok(read);
        }
        out.extend_from_slice(&read);
    }
    Ok(out.freeze())
}
