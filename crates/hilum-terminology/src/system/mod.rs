//! A code system: what is said about it, and its concepts.

mod concept;
mod read;

use std::sync::Arc;

use crate::table::{Table, ValueKind};

pub use concept::{Concept, Name};
pub(crate) use concept::{PREFERRED, preferred};
pub use read::ReadError;
pub(crate) use read::{extension_value, kept_extensions};

/// UCUM (FHIR R4 ucum.html).
pub const UCUM: &str = "http://unitsofmeasure.org";

/// What of a code system is here (FHIR R4 valueset-codesystem-content-mode.html).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// None of its concepts.
    NotPresent,
    /// A few, to show what it looks like.
    Example,
    /// Some that go together.
    Fragment,
    /// All.
    Complete,
    /// Names and properties for the concepts of another.
    Supplement,
}

impl Content {
    /// The content with this code.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        Some(match code {
            "not-present" => Self::NotPresent,
            "example" => Self::Example,
            "fragment" => Self::Fragment,
            "complete" => Self::Complete,
            "supplement" => Self::Supplement,
            _ => return None,
        })
    }

    /// Whether codes are looked up in it.
    #[must_use]
    pub const fn answers(self) -> bool {
        matches!(self, Self::Complete | Self::Fragment)
    }
}

/// How far along a definition is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// `draft`, `active`, `retired`, `unknown`.
    pub status: Box<str>,
    /// The standards status, where it says one (`deprecated`, `withdrawn`, `draft`).
    pub standards: Option<Box<str>>,
    /// For tests and teaching.
    pub experimental: bool,
}

/// A property that a code system declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyDef {
    /// Its code.
    pub code: Box<str>,
    /// What it means.
    pub uri: Option<Box<str>>,
    /// The type of its values.
    pub kind: ValueKind,
}

/// The concepts of a system.
#[derive(Clone, Debug)]
pub enum Body {
    /// A list.
    Table(Arc<Table>),
    /// Every code that the grammar of UCUM makes.
    Ucum,
}

/// A code system in one version. It never changes.
#[derive(Clone, Debug)]
pub struct System {
    /// Its canonical URL.
    pub url: Box<str>,
    /// Its version.
    pub version: Option<Box<str>>,
    /// Its name for programs.
    pub name: Option<Box<str>>,
    /// Its name for people.
    pub title: Option<Box<str>>,
    /// The language of its displays.
    pub language: Option<Box<str>>,
    /// How far along it is.
    pub standing: Standing,
    /// What of it is here.
    pub content: Content,
    /// Codes of another version may mean something else.
    pub version_needed: bool,
    /// Of a supplement, the system that it adds to, with a version where it names one.
    pub supplements: Option<Box<str>>,
    /// The properties it declares.
    pub properties: Vec<PropertyDef>,
    /// Its concepts.
    pub body: Body,
}

impl System {
    /// UCUM.
    #[must_use]
    pub fn ucum() -> Self {
        Self {
            url: UCUM.into(),
            version: None,
            name: Some("UCUM".into()),
            title: Some("Unified Code for Units of Measure (UCUM)".into()),
            language: Some("en".into()),
            standing: Standing {
                status: "active".into(),
                ..Standing::default()
            },
            content: Content::Complete,
            version_needed: false,
            supplements: None,
            properties: Vec::new(),
            body: Body::Ucum,
        }
    }

    /// URL and version.
    #[must_use]
    pub fn canonical(&self) -> String {
        crate::version::joined(&self.url, self.version.as_deref())
    }

    /// Its list of concepts, if it is one.
    #[must_use]
    pub fn table(&self) -> Option<&Arc<Table>> {
        match &self.body {
            Body::Table(table) => Some(table),
            Body::Ucum => None,
        }
    }

    /// The concept with a code.
    #[must_use]
    pub fn find(self: &Arc<Self>, code: &str) -> Option<Concept> {
        Concept::find(self, code)
    }

    /// The property with this code or this URI.
    #[must_use]
    pub fn declared(&self, name: &str) -> Option<&PropertyDef> {
        let of_uri = |def: &&PropertyDef| def.uri.as_deref() == Some(name);
        let mut all = self.properties.iter();
        all.clone()
            .find(|def| *def.code == *name)
            .or_else(|| all.find(of_uri))
    }

    /// Whether this supplement is for a system in a version.
    #[must_use]
    pub fn is_for(&self, url: &str, version: Option<&str>) -> bool {
        let Some(of) = self.supplements.as_deref() else {
            return false;
        };
        let (own, asked) = crate::version::split(of);
        let fits = match (asked, version) {
            (Some(asked), Some(version)) => crate::version::fits(asked, version),
            _ => true,
        };
        own == url && fits
    }
}
