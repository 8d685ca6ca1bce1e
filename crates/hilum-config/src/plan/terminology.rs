//! The code systems that the steps of a site see.
//!
//! They lie in the data folder and not in that of the site, so whoever loads the site opens them, and
//! only if a step asks. What was active is kept with the plan like a file of the site: another
//! release is another plan, and a plan of then is made with the releases of then.

use std::fmt;
use std::sync::{Arc, OnceLock};

use hilum_component::Terminology;

use crate::site::Folder;

/// The name under which the state of the code systems is kept among the files of a plan.
pub(crate) const STATE: &str = ".terminology";

type Open = dyn Fn(Option<&str>) -> Result<Arc<dyn Terminology>, String> + Send + Sync;

/// Opens the code systems for the steps of a site.
#[derive(Clone, Default)]
pub struct OpenTerminology(Option<Arc<Open>>);

impl OpenTerminology {
    /// Opens them by `open`, which gets the state that was kept with a plan, or `None` for what is
    /// active now. The error says why they cannot be used.
    pub fn new(
        open: impl Fn(Option<&str>) -> Result<Arc<dyn Terminology>, String> + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(open)))
    }
}

impl fmt::Debug for OpenTerminology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_there = self.0.is_some();
        write!(f, "OpenTerminology({is_there})")
    }
}

/// The code systems of one load of a site: opened once, when a step first asks.
pub(crate) struct Opened<'a> {
    open: &'a OpenTerminology,
    opened: OnceLock<Result<Arc<dyn Terminology>, String>>,
}

impl<'a> Opened<'a> {
    pub(crate) const fn new(open: &'a OpenTerminology) -> Self {
        Self {
            open,
            opened: OnceLock::new(),
        }
    }

    /// What steps see; from now on its state is among the files of the site.
    pub(crate) fn get(&self, folder: &Folder) -> Result<Arc<dyn Terminology>, String> {
        let opened = self.opened.get_or_init(|| {
            let open = self.open.0.as_ref();
            let open = open.ok_or("no code systems are at hand here")?;
            let kept = folder.kept_file(STATE);
            let kept = kept.as_deref().map(String::from_utf8_lossy);
            let opened = open(kept.as_deref())?;
            folder.add(STATE, opened.state().as_bytes().into());
            Ok(opened)
        });
        opened.clone()
    }
}
