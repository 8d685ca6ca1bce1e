//! Concept maps: codes of one system as codes of another (FHIR R4 conceptmap.html).

mod read;
mod translate;

use hilum_fhir::IssueType;

use crate::system::Standing;

pub use translate::{Ask, Match, TARGETS_MAX, Translated};

/// How far two codes mean the same, seen from the target
/// (FHIR R4 valueset-concept-map-equivalence.html).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Equivalence {
    /// They are related somehow.
    RelatedTo,
    /// They mean the same.
    Equivalent,
    /// They are the same.
    Equal,
    /// The target is wider.
    Wider,
    /// The target subsumes the source.
    Subsumes,
    /// The target is narrower.
    Narrower,
    /// The target is a kind of the source.
    Specializes,
    /// They overlap.
    Inexact,
    /// There is no target.
    Unmatched,
    /// They mean something else.
    Disjoint,
}

impl Equivalence {
    const ALL: [Self; 10] = [
        Self::RelatedTo,
        Self::Equivalent,
        Self::Equal,
        Self::Wider,
        Self::Subsumes,
        Self::Narrower,
        Self::Specializes,
        Self::Inexact,
        Self::Unmatched,
        Self::Disjoint,
    ];

    /// Its code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::RelatedTo => "relatedto",
            Self::Equivalent => "equivalent",
            Self::Equal => "equal",
            Self::Wider => "wider",
            Self::Subsumes => "subsumes",
            Self::Narrower => "narrower",
            Self::Specializes => "specializes",
            Self::Inexact => "inexact",
            Self::Unmatched => "unmatched",
            Self::Disjoint => "disjoint",
        }
    }

    /// The one with this code.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }

    /// The target says something about the source: there is a translation.
    #[must_use]
    pub const fn is_match(self) -> bool {
        !matches!(self, Self::Unmatched | Self::Disjoint)
    }

    /// The same seen from the other side.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Wider => Self::Narrower,
            Self::Narrower => Self::Wider,
            Self::Subsumes => Self::Specializes,
            Self::Specializes => Self::Subsumes,
            same => same,
        }
    }
}

/// Something else that a translation depends on, or that comes with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Other {
    /// What it is: a URI.
    pub property: Box<str>,
    /// The system of its value.
    pub system: Option<Box<str>>,
    /// Its value.
    pub value: Box<str>,
    /// What people read of its value.
    pub display: Option<Box<str>>,
}

/// A code that another is translated to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The code; none where the source is unmatched.
    pub code: Option<Box<str>>,
    /// What people read.
    pub display: Option<Box<str>>,
    /// How far they mean the same.
    pub equivalence: Equivalence,
    /// A remark.
    pub comment: Option<Box<str>>,
    /// What has to be so as well.
    pub depends_on: Vec<Other>,
    /// What comes with it.
    pub product: Vec<Other>,
}

/// A code that is translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The code.
    pub code: Box<str>,
    /// What people read.
    pub display: Option<Box<str>>,
    /// What it is translated to.
    pub targets: Vec<Target>,
}

/// What becomes of codes that are not listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmapped {
    /// They stay as they are.
    Provided,
    /// They all become one code.
    Fixed(Option<Box<str>>, Option<Box<str>>),
    /// Another map says it.
    Other(Box<str>),
}

/// The codes of one system as codes of another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The system of the codes.
    pub source: Option<Box<str>>,
    /// Its version.
    pub source_version: Option<Box<str>>,
    /// The system that they are translated to.
    pub target: Option<Box<str>>,
    /// Its version.
    pub target_version: Option<Box<str>>,
    /// The codes.
    pub elements: Vec<Element>,
    /// What becomes of others.
    pub unmapped: Option<Unmapped>,
    /// Places in `elements` in the order of codes.
    by_code: Vec<u32>,
    /// Elements and targets in the order of the targets' codes.
    by_target: Vec<(u32, u32)>,
}

/// A concept map in one version. It never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConceptMap {
    /// Its canonical URL.
    pub url: Option<Box<str>>,
    /// Its version.
    pub version: Option<Box<str>>,
    /// How far along it is.
    pub standing: Standing,
    /// The value set that its sources are from.
    pub source: Option<Box<str>>,
    /// The value set that its targets are from.
    pub target: Option<Box<str>>,
    /// Its groups.
    pub groups: Vec<Group>,
}

impl ConceptMap {
    /// URL and version.
    #[must_use]
    pub fn canonical(&self) -> String {
        let url = self.url.as_deref().unwrap_or_default();
        crate::version::joined(url, self.version.as_deref())
    }
}

impl Group {
    /// A group of codes.
    #[must_use]
    pub fn new(source: Option<&str>, target: Option<&str>, elements: Vec<Element>) -> Self {
        let mut group = Self {
            source: source.map(Into::into),
            target: target.map(Into::into),
            elements,
            ..Self::default()
        };
        group.index();
        group
    }

    fn index(&mut self) {
        // A map has fewer codes than fit in a u32.
        let mut order: Vec<u32> = (0..self.elements.len() as u32).collect();
        let code = |at: &u32| self.elements.get(*at as usize).map(|element| &element.code);
        order.sort_by(|a, b| code(a).cmp(&code(b)));
        let mut targets: Vec<(u32, u32)> = Vec::new();
        for (at, element) in self.elements.iter().enumerate() {
            for (row, target) in element.targets.iter().enumerate() {
                if target.code.is_some() {
                    targets.push((at as u32, row as u32));
                }
            }
        }
        let target = |at: &(u32, u32)| {
            let element = self.elements.get(at.0 as usize)?;
            element.targets.get(at.1 as usize)?.code.as_deref()
        };
        targets.sort_by(|a, b| target(a).cmp(&target(b)).then(a.cmp(b)));
        self.by_code = order;
        self.by_target = targets;
    }

    /// The element with a code. Where a map lists a code several times its elements follow one
    /// another.
    fn with_code<'g>(&'g self, code: &'g str) -> impl Iterator<Item = &'g Element> {
        let element = |at: &u32| self.elements.get(*at as usize);
        let start = self
            .by_code
            .partition_point(|at| element(at).is_some_and(|one| *one.code < *code));
        let rest = self.by_code.get(start..).unwrap_or_default().iter();
        rest.filter_map(element)
            .take_while(move |one| *one.code == *code)
    }

    /// The elements that are translated to a code, each with the target.
    fn with_target<'g>(&'g self, code: &'g str) -> impl Iterator<Item = (&'g Element, &'g Target)> {
        let pair = |at: &(u32, u32)| {
            let element = self.elements.get(at.0 as usize)?;
            Some((element, element.targets.get(at.1 as usize)?))
        };
        let own = move |at: &(u32, u32)| pair(at).and_then(|(_, target)| target.code.as_deref());
        let start = self.by_target.partition_point(|at| own(at) < Some(code));
        let rest = self.by_target.get(start..).unwrap_or_default().iter();
        rest.filter_map(pair)
            .take_while(move |(_, target)| target.code.as_deref() == Some(code))
    }
}

/// What a map that cannot be found is called in answers.
pub(crate) fn unknown_map(canonical: &str) -> crate::issue::Issue {
    let text = format!("A definition for the concept map '{canonical}' could not be found");
    crate::issue::Issue::error(IssueType::NotFound, "not-found", "UNKNOWN_CONCEPTMAP", text)
}
