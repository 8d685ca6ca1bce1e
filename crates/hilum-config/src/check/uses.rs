//! What a file uses: the material of `hilum impact` and `hilum docs`.

use serde::Serialize;

use crate::yaml::Span;

/// Something that a channel uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Use {
    /// What it is.
    pub kind: UseKind,
    /// The text as written.
    pub text: String,
    /// The paths of the message that it reads or writes.
    pub paths: Vec<String>,
    /// The keys that lead to it, from the top of the file.
    pub at: Vec<String>,
    /// Where it stands.
    #[serde(skip)]
    pub(crate) span: Span,
}

/// What a channel may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UseKind {
    /// An expression.
    Expression,
    /// A place that is written.
    Path,
    /// A file of the site.
    File,
    /// A system.
    System,
    /// A reference to a secret.
    Secret,
}
