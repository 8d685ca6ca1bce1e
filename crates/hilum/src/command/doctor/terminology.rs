//! The code systems that are loaded (`hilum terminology`).

use std::path::Path;

use hilum_terminology::installed::{FOLDER, Folder, Load};

use super::{Report, size};

/// Looks at what is loaded, and reads all of what is active.
pub(super) fn check(data: &Path, report: &mut Report) {
    if !data.join(FOLDER).is_dir() {
        return;
    }
    let folder = Folder::of(data);
    let remedy = "import the release again; until then what is left answers \
                  (docs/guide/terminology.md)";
    let loads = match folder.loads() {
        Ok(loads) => loads,
        Err(error) => {
            let error = anyhow::Error::new(error);
            report.fail("code systems", format!("{error:#}"), remedy);
            return;
        }
    };
    match folder.open() {
        Ok(opened) => {
            let bytes: usize = opened.loads.iter().map(|load| load.bytes()).sum();
            let active = opened.loads.iter().map(|load| load.load.id.as_str());
            let active: Vec<&str> = active.collect();
            report.ok(
                "code systems",
                format!(
                    "{} loaded ({} of tables), {} active in {} of memory: {}",
                    loads.len(),
                    size(loads.iter().map(bytes_of).sum()),
                    active.len(),
                    size(bytes as u64),
                    active.join(", ")
                ),
            );
            for problem in opened.problems {
                let problem = anyhow::Error::new(problem);
                let text = format!("what is active cannot be used: {problem:#}");
                report.fail("code systems", text, remedy);
            }
        }
        Err(error) => {
            let error = anyhow::Error::new(error);
            report.fail("code systems", format!("{error:#}"), remedy);
        }
    }
    for part in folder.unfinished().unwrap_or_default() {
        report.warn(
            "code systems",
            format!(
                "an import was broken off, or goes on: {}",
                part.path.display()
            ),
            "give the same import again, or remove it with `hilum terminology remove`; \
             `hilum terminology list` shows which go on",
        );
    }
}

fn bytes_of(load: &Load) -> u64 {
    load.systems.iter().map(|system| system.bytes).sum()
}
