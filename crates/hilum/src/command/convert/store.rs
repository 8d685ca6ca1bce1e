//! Resources that a node's FHIR server finds: the pages of a search, or one that is read.

use std::cell::RefCell;

use anyhow::{anyhow, bail};
use hilum_convert::reverse::Resolver;
use hilum_fhir::{Limits, Resource, json};

use super::loose::key;
use crate::command::fhir::Server;

/// Pages of one search.
const PAGES_MAX: usize = 10_000;

/// A server as the place where references lead.
pub(super) struct Store<'s> {
    server: &'s Server,
    /// The first thing that went wrong with a reference.
    failed: RefCell<Option<anyhow::Error>>,
}

impl<'s> Store<'s> {
    pub(super) const fn new(server: &'s Server) -> Self {
        Self {
            server,
            failed: RefCell::new(None),
        }
    }

    /// What went wrong since the last time.
    pub(super) fn failed(&self) -> anyhow::Result<()> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn read(&self, path: &str) -> anyhow::Result<Option<Resource>> {
        let Some(bytes) = self.server.content(path)? else {
            return Ok(None);
        };
        match json::parse(&bytes, &Limits::default()) {
            Ok(resource) => Ok(Some(resource)),
            Err(problems) => Err(anyhow!("the FHIR server answered no resource: {problems}")),
        }
    }

    /// Gives what a query finds, page by page; each page has what its matches include.
    pub(super) fn pages(
        &self,
        query: &str,
        mut take: impl FnMut(&str, Resource) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut path = format!("/{}", query.trim_start_matches('/'));
        for number in 1..=PAGES_MAX {
            let Some(page) = self.read(&path)? else {
                bail!("the FHIR server has nothing at {query}");
            };
            let next = next(&page).map(str::to_owned);
            let name = match number {
                1 => query.to_owned(),
                _ => format!("{query} (page {number})"),
            };
            take(&name, page)?;
            match next {
                None => return Ok(()),
                Some(url) => path = self.server.path(&url)?.to_owned(),
            }
        }
        bail!("the search has more than {PAGES_MAX} pages; narrow it, or write a larger _count")
    }
}

/// The URL of the page behind this one.
fn next(page: &Resource) -> Option<&str> {
    let root = page.root();
    let mut links = root.children_named("link");
    let next = links.find(|link| link.child_text("relation") == Some("next"))?;
    next.child_text("url")
}

impl Resolver for Store<'_> {
    fn resolve(&self, reference: &str) -> Option<Resource> {
        // A resource of another server is not asked for: its address came with the data.
        let absolute = reference.contains(':');
        let path = match self.server.path(reference) {
            Ok(path) if absolute => path.to_owned(),
            _ if absolute => return None,
            _ => format!("/{}", key(reference)?),
        };
        match self.read(&path) {
            Ok(found) => found,
            Err(error) => {
                self.failed.borrow_mut().get_or_insert(error);
                None
            }
        }
    }
}
