//! The maps: those of this crate, and a site's beside them.

use std::sync::OnceLock;

use hilum_hl7v2::structure::DictionaryStructures;

use crate::plan::{Plan, compile};
use crate::problem::{Problem, Problems};
use crate::reverse;
use crate::text::MapFile;

/// The map files of this crate: name and text, sorted by name.
static SHIPPED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/maps.rs"));

/// Maps made ready.
#[derive(Debug)]
pub struct Maps {
    pub(crate) plan: Plan,
    pub(crate) reverse: reverse::Plan,
    files: Vec<MapFile>,
    structures: DictionaryStructures,
}

impl Maps {
    /// The map files of this crate: name and text.
    #[must_use]
    pub fn shipped_files() -> &'static [(&'static str, &'static str)] {
        SHIPPED
    }

    /// The maps of this crate, compiled at the first call.
    ///
    /// # Errors
    /// Where the shipped files are wrong, which a test rules out.
    pub fn shipped() -> Result<&'static Self, Problems> {
        static MAPS: OnceLock<Result<Maps, Problems>> = OnceLock::new();
        MAPS.get_or_init(|| Self::with_site(&[]))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// The maps of this crate with the files of a site laid over them.
    ///
    /// # Errors
    /// Every problem of every file.
    pub fn with_site(site: &[(&str, &str)]) -> Result<Self, Problems> {
        let files: Vec<(&str, &str)> = SHIPPED.iter().chain(site).copied().collect();
        Self::of_files(&files)
    }

    /// Maps of these files alone: name and text, later ones over earlier ones.
    ///
    /// # Errors
    /// Every problem of every file.
    pub fn of_files(files: &[(&str, &str)]) -> Result<Self, Problems> {
        let (maps, problems) = Self::read(files);
        if problems.is_empty() {
            Ok(maps)
        } else {
            Err(Problems(problems))
        }
    }

    /// What can be made of these files, with every problem.
    #[must_use]
    pub fn read(files: &[(&str, &str)]) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let read = |(name, text): &(&str, &str)| MapFile::read(name, text, &mut problems);
        let files: Vec<MapFile> = files.iter().map(read).collect();
        let (plan, mut problems) = compile(&files, problems);
        let reverse = reverse::compile(&files, &mut problems);
        let structures = DictionaryStructures::new();
        let maps = Self {
            plan,
            reverse,
            files,
            structures,
        };
        (maps, problems)
    }

    pub(crate) fn structures(&self) -> &DictionaryStructures {
        &self.structures
    }

    /// The files as they were read.
    #[must_use]
    pub fn files(&self) -> &[MapFile] {
        &self.files
    }
}
