//! Descriptions of SNOMED CT: which one is shown, and what the others are for.

use super::error::ImportError;
use super::parts::Saved;
use crate::table::{At, Damaged, Reader, TableBuilder, Use, Writer};

const FULL_NAME: &str = "900000000000003001";
const SYNONYM: &str = "900000000000013009";
const DEFINITION: &str = "900000000000550004";
const PREFERRED: &str = "900000000000548007";
const ACCEPTABLE: &str = "900000000000549004";
/// Reference sets of English, whose preferred names are shown: American before British.
const ENGLISH: [&str; 2] = ["900000000000509007", "900000000000508004"];
const SYSTEM: &str = "http://snomed.info/sct";
/// FHIR's own use for the name that is best in a language.
const TERM_USES: &str = "http://terminology.hl7.org/CodeSystem/hl7TermMaintInfra";

/// Whether a name is the one to use in a language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acceptability {
    Preferred,
    Acceptable,
}

impl Acceptability {
    pub(super) fn of(id: &str) -> Option<Self> {
        match id {
            PREFERRED => Some(Self::Preferred),
            ACCEPTABLE => Some(Self::Acceptable),
            _ => None,
        }
    }
}

/// How good a name is as display: 0 is none at all.
const OTHER: u8 = 1;
const FULL: u8 = 2;
const ANY_PREFERRED: u8 = 3;
const BRITISH: u8 = 4;
const AMERICAN: u8 = 5;

/// What language reference sets say, and the best name of each concept so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Descriptions that are preferred somewhere, with how good that makes them.
    preferred: Vec<(u64, u8)>,
    /// By place of the concept.
    best: Vec<(u8, Box<str>)>,
    /// The concepts have their names.
    is_finished: bool,
}

impl Names {
    pub(super) fn accept(&mut self, description: u64, set: &str, how: Acceptability) {
        if how == Acceptability::Acceptable {
            return;
        }
        let rank = match ENGLISH.iter().position(|own| *own == set) {
            Some(0) => AMERICAN,
            Some(_) => BRITISH,
            None => ANY_PREFERRED,
        };
        self.preferred.push((description, rank));
    }

    pub(super) fn sort(&mut self) {
        // The best of one description comes last, and is what is kept.
        self.preferred.sort_unstable();
        self.preferred.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 = later.1;
            }
            same
        });
    }

    /// Adds a name or a definition.
    pub(super) fn describe(
        &mut self,
        table: &mut TableBuilder,
        at: At,
        id: u64,
        language: &str,
        kind: &str,
        term: &str,
    ) -> Result<(), ImportError> {
        let found = self
            .preferred
            .binary_search_by_key(&id, |(known, _)| *known);
        let rank = found
            .ok()
            .and_then(|at| self.preferred.get(at))
            .map(|(_, rank)| *rank);
        let (code, display) = match kind {
            FULL_NAME => (FULL_NAME, "Fully specified name"),
            DEFINITION => (DEFINITION, "Definition"),
            _ => (SYNONYM, "Synonym"),
        };
        let usage = match rank {
            Some(_) if code == SYNONYM => Use {
                system: TERM_USES,
                code: "preferredForLanguage",
                display: "Preferred For Language",
            },
            _ => Use {
                system: SYSTEM,
                code,
                display,
            },
        };
        table.designation(at, Some(language), Some(usage), term, None)?;
        let rank = match (code, rank) {
            (DEFINITION, _) => return Ok(()),
            (FULL_NAME, _) => FULL,
            (_, Some(rank)) => rank,
            (_, None) => OTHER,
        };
        if self.best.len() <= at.index() {
            self.best.resize(at.index() + 1, (0, Box::default()));
        }
        if let Some(best) = self.best.get_mut(at.index())
            && best.0 < rank
        {
            *best = (rank, term.into());
        }
        Ok(())
    }

    /// Gives every concept its best name, once.
    pub(super) fn finish(&mut self, table: &mut TableBuilder) -> Result<(), ImportError> {
        if std::mem::replace(&mut self.is_finished, true) {
            return Ok(());
        }
        let best = std::mem::take(&mut self.best);
        table.displays(best.into_iter().map(|(_, term)| term))?;
        self.preferred = Vec::new();
        Ok(())
    }
}

impl Saved for Names {
    fn save(&self, out: &mut Writer) {
        let mut preferred = Vec::with_capacity(self.preferred.len() * 9);
        for (description, rank) in &self.preferred {
            preferred.extend_from_slice(&description.to_le_bytes());
            preferred.push(*rank);
        }
        out.bytes(&preferred);
        let ranks: Vec<u8> = self.best.iter().map(|(rank, _)| *rank).collect();
        out.bytes(&ranks);
        for (_, name) in &self.best {
            out.text(name);
        }
        out.bytes(&[u8::from(self.is_finished)]);
    }

    fn restore(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let (rows, _) = from.bytes()?.as_chunks::<9>();
        let preferred = rows.iter().map(|[a, b, c, d, e, f, g, h, rank]| {
            (u64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), *rank)
        });
        let preferred = preferred.collect();
        let mut best = Vec::new();
        for rank in from.bytes()? {
            best.push((*rank, from.text()?.into()));
        }
        Ok(Self {
            preferred,
            best,
            is_finished: from.bytes()? == [1],
        })
    }
}
