//! What a site does, as documents for people: `hilum docs` and `hilum impact`.
//!
//! Documents are made from the summary of a loaded site, that is from its files alone; they hold
//! no message, and of a secret only its reference.

mod blocks;
mod html;
mod impact;
mod markdown;

pub use blocks::Block;
pub use impact::{Impact, ImpactChannel, Role, impact};

use crate::plan::SiteSummary;
use crate::site::Folder;

/// The form of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One page that needs nothing else.
    Html,
    /// For repositories and wikis.
    Markdown,
}

/// A document in a form; the title is that of a page of HTML.
#[must_use]
pub fn rendered(title: &str, blocks: &[Block], form: Form) -> String {
    match form {
        Form::Html => html::render(title, blocks),
        Form::Markdown => markdown::render(blocks),
    }
}

/// The mapping documentation of a site: for each channel where messages come from, what is read,
/// by which rule it is written, with which table, and where messages go.
#[must_use]
pub fn document(site: &SiteSummary, folder: &Folder, form: Form) -> String {
    let blocks = blocks::blocks(site, folder);
    rendered(&site.name, &blocks, form)
}
