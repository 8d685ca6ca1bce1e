//! Stand-ins for a site, a format and blobs.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hilum_message::{BlobRange, DeliveryId, MessageId, Metadata, Payload};

use crate::{
    BlobReader, BoxFuture, BuildContext, Delivery, Document, FhirStores, Format, Identity,
    ParseReject, Site, SystemInfo, Target,
};

/// A site of a folder, with systems and secrets that a test sets.
#[derive(Clone, Debug, Default)]
pub struct FakeSite {
    /// The folder.
    pub folder: PathBuf,
    /// The systems by name.
    pub systems: BTreeMap<String, SystemInfo>,
    /// The secrets by reference.
    pub secrets: BTreeMap<String, String>,
    /// The FHIR stores of the node.
    pub fhir: Option<FhirStores>,
}

impl Site for FakeSite {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        std::fs::read(self.folder.join(path))
            .map(Arc::from)
            .map_err(|error| error.to_string())
    }

    fn secret(&self, reference: &str) -> Result<String, String> {
        self.secrets
            .get(reference)
            .cloned()
            .ok_or_else(|| format!("no secret `{reference}`"))
    }

    fn system(&self, name: &str) -> Option<Arc<SystemInfo>> {
        self.systems.get(name).cloned().map(Arc::new)
    }

    fn system_names(&self) -> Vec<String> {
        self.systems.keys().cloned().collect()
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn production(&self) -> bool {
        false
    }

    fn fhir(&self) -> Option<FhirStores> {
        self.fhir.clone()
    }
}

/// A context to build a component with.
#[must_use]
pub fn build_context<'a>(site: &'a FakeSite, format: &'a Arc<dyn Format>) -> BuildContext<'a> {
    BuildContext {
        channel: "test",
        destination: Some("peer"),
        format,
        original: None,
        site,
        sender: None,
        destinations: &[],
    }
}

/// A format of bytes without structure.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opaque;

impl Opaque {
    /// Shared, as a context wants it.
    #[must_use]
    pub fn shared() -> Arc<dyn Format> {
        Arc::new(Self)
    }
}

impl Format for Opaque {
    fn name(&self) -> &'static str {
        "opaque"
    }

    fn sniff(&self, _start: &[u8]) -> bool {
        false
    }

    fn parse(&self, _payload: &Payload) -> Result<Box<dyn Document>, ParseReject> {
        Err(ParseReject {
            format: self.name(),
            reason: "it has no structure".to_owned(),
        })
    }

    fn identify(&self, _document: &dyn Document) -> Identity {
        Identity::default()
    }

    fn target(&self, path: &str) -> Result<Target, String> {
        Err(format!(
            "there is no place `{path}` in bytes without structure"
        ))
    }
}

/// Blobs in memory by name.
#[derive(Clone, Debug, Default)]
pub struct MemoryBlobs(pub BTreeMap<String, Vec<u8>>);

impl BlobReader for MemoryBlobs {
    fn read<'a>(
        &'a self,
        range: &'a BlobRange,
        offset: u64,
        length: usize,
    ) -> BoxFuture<'a, io::Result<Bytes>> {
        Box::pin(async move {
            let blob = self
                .0
                .get(&*range.blob.name)
                .ok_or(io::ErrorKind::NotFound)?;
            let from = (range.offset + offset) as usize;
            let to = (from + length).min((range.offset + range.length) as usize);
            Ok(Bytes::copy_from_slice(
                blob.get(from..to).unwrap_or_default(),
            ))
        })
    }
}

/// A delivery of inline bytes; the number makes its id.
#[must_use]
pub fn delivery(number: u64, bytes: impl Into<Bytes>) -> Delivery {
    Delivery {
        id: DeliveryId {
            message: MessageId::new(1_767_225_600_000, u128::from(number)),
            ordinal: 0,
        },
        channel: "test".into(),
        attempt: 1,
        payload: Payload::inline(bytes.into()),
        metadata: Metadata::new(),
        arrived_ms: 1_767_225_600_000,
        blobs: Arc::new(MemoryBlobs::default()),
    }
}
