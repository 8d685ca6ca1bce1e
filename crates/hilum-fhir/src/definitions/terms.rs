//! Value sets as far as their codes can be listed.

/// A code of a value set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Concept {
    /// The code.
    pub code: &'static str,
    /// The system it is from.
    pub system: &'static str,
    /// What people read.
    pub display: &'static str,
}

/// Whether a code is in a value set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Membership {
    /// It is.
    In,
    /// It is not.
    Out,
    /// The part of the value set that decides is not listed here.
    Unknown,
}

/// A value set with the codes that can be listed.
#[derive(Debug)]
pub struct ValueSetDef {
    /// Its canonical URL without version.
    pub url: &'static str,
    /// Its codes, sorted by code and system.
    pub concepts: Vec<Concept>,
    /// Systems of which it has codes that are not listed (SNOMED CT, LOINC, UCUM).
    pub open_systems: Vec<&'static str>,
    /// It includes something of which not even the system is known.
    pub open: bool,
}

impl ValueSetDef {
    /// Whether a code is in it; without a system every system counts.
    #[must_use]
    pub fn contains(&self, system: Option<&str>, code: &str) -> Membership {
        let from = self.concepts.partition_point(|known| known.code < code);
        let same = self.concepts.iter().skip(from);
        let mut same = same.take_while(|known| known.code == code);
        if same.any(|known| system.is_none_or(|system| system == known.system)) {
            return Membership::In;
        }
        let may_be_open = match system {
            Some(system) => self.open_systems.contains(&system),
            None => !self.open_systems.is_empty(),
        };
        if self.open || may_be_open {
            Membership::Unknown
        } else {
            Membership::Out
        }
    }

    /// Every code of it is listed.
    #[must_use]
    pub fn is_enumerated(&self) -> bool {
        !self.open && self.open_systems.is_empty()
    }

    /// What people read for a code.
    #[must_use]
    pub fn display(&self, system: &str, code: &str) -> Option<&'static str> {
        let found = self
            .concepts
            .binary_search_by(|known| (known.code, known.system).cmp(&(code, system)));
        let concept = self.concepts.get(found.ok()?)?;
        Some(concept.display)
    }
}
