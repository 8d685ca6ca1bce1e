//! Why bytes are no document, and why an edit is not possible.

/// Why bytes are no document; positions are bytes from 0, content is never repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// [`crate::Limits::bytes_max`].
    #[error("longer than {0} bytes")]
    TooLarge(usize),
    /// [`crate::Limits::depth_max`].
    #[error("nested deeper than {0} levels")]
    TooDeep(usize),
    /// [`crate::Limits::nodes_max`].
    #[error("more than {0} values")]
    TooManyNodes(usize),
    /// The bytes are not text of the character set.
    #[error("byte {0} is not text of the character set")]
    NotText(usize),
    /// The character set of the XML declaration is not read here.
    #[error("the character set of the XML declaration is not supported")]
    Encoding,
    /// The grammar expects something else.
    #[error("{what} expected at byte {at}")]
    Expected {
        /// Where.
        at: usize,
        /// What is expected.
        what: &'static str,
    },
    /// Two properties or attributes of one name.
    #[error("a name is repeated at byte {0}")]
    Repeated(usize),
    /// A document type declaration.
    #[error("a document type declaration at byte {0} is refused")]
    Doctype(usize),
    /// A reference to an entity that XML does not define by itself.
    #[error("an unknown entity at byte {0} is refused")]
    Entity(usize),
}

/// Why an edit is not possible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot write {path}: {reason}")]
pub struct EditError {
    /// The place.
    pub path: String,
    /// The reason, without content.
    pub reason: &'static str,
}

impl EditError {
    pub(crate) fn new(path: &str, reason: &'static str) -> Self {
        Self {
            path: path.to_owned(),
            reason,
        }
    }
}
