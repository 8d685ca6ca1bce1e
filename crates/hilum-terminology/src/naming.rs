//! The names of systems: URLs, OIDs, UUIDs, and the tables of HL7 v2
//! (FHIR R4 namingsystem.html).

use std::collections::HashMap;

use hilum_fhir::Resource;

/// A kind of name (FHIR R4 valueset-namingsystem-identifier-type.html).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdKind {
    /// An OID, with `urn:oid:` or without.
    Oid,
    /// A UUID.
    Uuid,
    /// A URI.
    Uri,
    /// Anything else: the name of a table or a mnemonic of HL7 v2.
    Other,
}

impl IdKind {
    /// Its code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Oid => "oid",
            Self::Uuid => "uuid",
            Self::Uri => "uri",
            Self::Other => "other",
        }
    }

    /// The kind with this code.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        let all = [Self::Oid, Self::Uuid, Self::Uri, Self::Other];
        all.into_iter().find(|kind| kind.code() == code)
    }
}

/// A system with its names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamingSystem {
    /// Its name.
    pub name: Box<str>,
    /// Its names for programs, each with whether it is preferred of its kind.
    pub ids: Vec<(IdKind, Box<str>, bool)>,
}

impl PartialEq<str> for IdKind {
    fn eq(&self, other: &str) -> bool {
        self.code() == other
    }
}

/// An id without the prefix that only some write.
fn bare(id: &str) -> &str {
    let prefixes = ["urn:oid:", "urn:uuid:"];
    prefixes
        .iter()
        .find_map(|prefix| id.strip_prefix(prefix))
        .unwrap_or(id)
}

impl NamingSystem {
    /// Reads a NamingSystem.
    #[must_use]
    pub fn of(resource: &Resource) -> Self {
        let root = resource.root();
        let ids = root.children_named("uniqueId").filter_map(|of| {
            let kind = IdKind::of(of.child_text("type")?)?;
            let preferred = of.child_text("preferred") == Some("true");
            Some((kind, bare(of.child_text("value")?).into(), preferred))
        });
        Self {
            name: root.child_text("name").unwrap_or_default().into(),
            ids: ids.collect(),
        }
    }

    /// Its best name of a kind.
    #[must_use]
    pub fn best(&self, kind: IdKind) -> Option<&str> {
        let mut all = self.ids.iter().filter(|(own, ..)| *own == kind);
        let preferred = all.clone().find(|(.., preferred)| *preferred);
        preferred.or_else(|| all.next()).map(|(_, id, _)| &**id)
    }
}

/// Systems by each of their names.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    systems: Vec<NamingSystem>,
    places: HashMap<Box<str>, usize>,
}

impl Registry {
    /// Adds a system. Of two that share a name the first keeps it.
    pub fn add(&mut self, system: NamingSystem) {
        let at = self.systems.len();
        for (_, id, _) in &system.ids {
            self.places.entry(id.clone()).or_insert(at);
        }
        self.systems.push(system);
    }

    /// The system with a name: a URL, an OID with or without `urn:oid:`, a table of HL7 v2
    /// (`HL70001`, `0001`).
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&NamingSystem> {
        self.systems.get(*self.places.get(bare(id))?)
    }

    /// How many systems there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.systems.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.systems.is_empty()
    }
}

impl crate::source::Terminology {
    /// The name of a kind for a system by another of its names
    /// (FHIR R4 namingsystem-operation-preferred-id.html).
    #[must_use]
    pub fn preferred_id(&self, id: &str, kind: IdKind) -> Option<String> {
        if let Some(found) = self.registries().find_map(|all| all.find(id)) {
            return found.best(kind).map(str::to_owned);
        }
        crate::standard::name(id, kind)
    }

    /// The canonical URL of a system by any of its names.
    #[must_use]
    pub fn canonical_url(&self, id: &str) -> Option<String> {
        self.preferred_id(id, IdKind::Uri)
    }
}
