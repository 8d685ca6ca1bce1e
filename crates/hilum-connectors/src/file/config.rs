//! What a user writes for folders.

use hilum_component::{Millis, Size, SystemName};
use schemars::JsonSchema;
use serde::Deserialize;

/// Takes the files of a folder.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct SourceConfig {
    /// The system that writes the files.
    pub(super) system: Option<SystemName>,
    /// The folder, absolute or relative to the site's folder.
    pub(super) folder: String,
    /// Only files whose names match this pattern (`*.hl7`). Names that begin with a dot never do.
    #[serde(rename = "match", default = "everything")]
    pub(super) matching: String,
    /// Whether a file is noticed when it is closed, besides the regular looks.
    #[serde(default = "yes")]
    pub(super) watch: bool,
    /// How often the folder is looked at.
    #[serde(default = "every")]
    pub(super) every: Millis,
    /// Which file is taken first.
    #[serde(default)]
    pub(super) order: FileOrder,
    /// A file whose size and time have not changed for so long is complete; 0s for writers that
    /// rename complete files into the folder.
    #[serde(default = "stable_for")]
    pub(super) stable_for: Millis,
    /// Where files go whose message was taken.
    pub(super) done: Option<String>,
    /// Delete files whose message was taken, instead of `done`.
    #[serde(default)]
    pub(super) delete: bool,
    /// Where files go whose message was refused; a file beside each says why.
    pub(super) error: String,
    /// The largest file.
    #[serde(default = "file_bytes_max")]
    pub(super) file_bytes_max: Size,
}

/// Which file is taken first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FileOrder {
    /// By name.
    #[default]
    Name,
    /// By the time of the last change, then by name.
    Time,
}

/// Writes messages to files.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct DestinationConfig {
    /// The system that reads the files.
    pub(super) system: Option<SystemName>,
    /// The folder, absolute or relative to the site's folder.
    pub(super) folder: String,
    /// The name, with `{id}` (of the delivery), `{control-id}`, `{channel}`, `{date}` and `{time}`
    /// (of arrival, in UTC), `{meta.NAME}`. Other characters than letters, digits, dot, hyphen and
    /// underscore in a value become an underscore.
    #[serde(default = "by_id")]
    pub(super) name: String,
    /// What happens if there is a file of that name.
    #[serde(default)]
    pub(super) exists: Exists,
    /// Add to the file instead of making one for each message.
    #[serde(default)]
    pub(super) append: bool,
    /// What ends each message in a file that is added to.
    #[serde(default = "line_end")]
    pub(super) separator: String,
}

/// What happens if there is a file of that name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Exists {
    /// The new one gets a number. A file that an earlier attempt of the same delivery wrote is
    /// recognised by its content.
    #[default]
    Number,
    /// The new one takes its place.
    Replace,
    /// The message is rejected.
    Reject,
}

fn everything() -> String {
    "*".to_owned()
}

const fn yes() -> bool {
    true
}

const fn every() -> Millis {
    Millis(10_000)
}

const fn stable_for() -> Millis {
    Millis(1_000)
}

const fn file_bytes_max() -> Size {
    Size(128_000_000)
}

fn by_id() -> String {
    "{id}.msg".to_owned()
}

fn line_end() -> String {
    "\n".to_owned()
}
