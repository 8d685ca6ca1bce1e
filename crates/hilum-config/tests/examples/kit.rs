//! Sites in memory, and messages that are processed as channel `a` of them does.

use std::path::Path;
use std::sync::Arc;

use hilum_component::{ChannelPlan, Incoming, ProcessEnvironment, Unlimited};
use hilum_config::{Folder, Loaded, Options, load_folder};
use hilum_fhirpath::NoHost;
use hilum_message::{IndexKey, MessageId, Metadata, Payload};

use super::registry;

/// When every message arrives: 2026-01-01T08:00:00Z.
const ARRIVED_MS: u64 = 1_767_254_400_000;

/// A site of these files.
pub(super) fn loaded<'a>(files: impl IntoIterator<Item = (&'a str, String)>) -> Loaded {
    let bytes = files.into_iter().map(|(path, text)| {
        let bytes: Arc<[u8]> = text.into_bytes().into();
        (path.to_owned(), bytes)
    });
    let folder = Folder::kept(Path::new("/nowhere"), bytes);
    load_folder(&folder, &registry(), &Options::default())
}

/// What `work` makes of a message, a segment a line, in channel `a`.
pub(super) fn in_channel_a<R>(
    site: &Loaded,
    segments: &str,
    work: impl Fn(&ChannelPlan, &mut ProcessEnvironment<'_>, Incoming) -> R,
) -> R {
    let plan = site.plan.as_ref();
    let plan = plan.unwrap_or_else(|| panic!("{:?}", site.diagnostics));
    let payload = Payload::inline(segments.replace('\n', "\r").into());
    let id = MessageId::new(ARRIVED_MS, 7);
    let incoming = Incoming::new(id, ARRIVED_MS, payload, Metadata::new());
    let mut environment = ProcessEnvironment {
        index_key: &IndexKey::new([7; 16]),
        links: &(),
        state: &(),
        meter: &Unlimited,
        host: &NoHost,
        trace: None,
    };
    work(&plan.channels["a"], &mut environment, incoming)
}
