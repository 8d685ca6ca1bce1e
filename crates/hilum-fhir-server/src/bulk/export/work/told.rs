//! How far an export is.

use std::path::PathBuf;

use hilum_fhir_store::{Query, Total};

use super::{LISTED_BYTES, Level, Step, Work, list_path};
use crate::jobs::{Halt, blocking};

impl Work {
    pub(super) fn text(&self, done: u64, total: Option<u64>) -> String {
        let of = total.map_or_else(String::new, |total| format!(" of {total}"));
        let (steps, types) = (self.made.steps, self.asked.types.len());
        let part = match steps.checked_sub(types) {
            None | Some(0) => format!("{steps} of {types} types done"),
            Some(steps) => format!("deletions of {steps} of {types} types done"),
        };
        format!("{done}{of} resources exported, {part}")
    }

    /// About how many resources there are to export, where the store knows without looking at them:
    /// whole types are counted there, and what was searched is listed. What changed within a time,
    /// and who all patients' resources are, is seen only on the way.
    pub(super) async fn total(&self, steps: &[Step]) -> Result<Option<u64>, Halt> {
        let limited = self.asked.since_ms.is_some() || self.asked.until_ms.is_some();
        let (listed, whole): (Vec<&Step>, Vec<&Step>) =
            steps.iter().partition(|step| self.listed(step));
        if limited || (self.asked.level != Level::System && !whole.is_empty()) {
            return Ok(None);
        }
        let (files, folder) = (self.running.files(), self.running.folder());
        let lists = listed.iter().map(|step| list_path(&folder, &step.name));
        let lists: Vec<PathBuf> = lists.collect();
        let bytes = blocking(move || {
            let lengths = lists.iter().map(|path| files.len(path));
            lengths.sum::<std::io::Result<Option<u64>>>()
        });
        let mut total = bytes.await?.unwrap_or_default() / LISTED_BYTES;
        if !whole.is_empty() {
            let query = Query {
                types: whole.iter().map(|step| step.resource_type).collect(),
                count: 1,
                total: Total::Estimate,
                ..Query::default()
            };
            let page = self.running.tenant.store.search(query).await?;
            total += page.total.unwrap_or_default();
        }
        Ok(Some(total))
    }
}
