//! The hazard log, and whether everything that it refers to is there.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::sequence::{Sequence, documents};

/// The log.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) hazards: Vec<Hazard>,
}

/// One hazard. The texts are for people; the runner wants them to be there.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Hazard {
    /// Its stable name in the log.
    pub(crate) hazard: String,
    /// What may happen.
    title: String,
    /// What a patient may suffer from it.
    harm: String,
    /// How bad that is, from `minor` to `catastrophic`, before anything is done against it.
    severity: Severity,
    /// What leads to it.
    cause: String,
    /// How hilum prevents it.
    prevented_by: String,
    /// What is left, and what the site has to do about it.
    left: String,
    /// The sequences that show it.
    #[serde(default)]
    sequences: Vec<String>,
    /// Tests that show it, as `FILE::FUNCTION`.
    #[serde(default)]
    tests: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Severity {
    Minor,
    Significant,
    Considerable,
    Major,
    Catastrophic,
}

/// Reads the log.
pub(crate) fn read(file: &Path) -> anyhow::Result<Log> {
    let first = documents(file)?.into_iter().next().unwrap_or_default();
    Log::deserialize(first).with_context(|| format!("the hazard log {}", file.display()))
}

impl Log {
    /// Everything that the log and the sequences refer to and that is not so.
    pub(crate) fn problems(&self, sequences: &[Sequence], root: &Path) -> Vec<String> {
        let mut problems = Vec::new();
        let mut known = BTreeSet::new();
        for hazard in &self.hazards {
            let id = &hazard.hazard;
            if !known.insert(id.as_str()) {
                problems.push(format!("the hazard {id} is in the log twice"));
            }
            problems.extend(hazard.problems(sequences, root));
        }
        for sequence in sequences {
            for id in &sequence.shows {
                let name = &sequence.sequence;
                let Some(hazard) = self.hazards.iter().find(|one| one.hazard == *id) else {
                    problems.push(format!("{name} shows {id}, which is not in the log"));
                    continue;
                };
                if !hazard.sequences.contains(name) {
                    problems.push(format!("{name} shows {id}, where the log does not name it"));
                }
            }
        }
        problems
    }
}

impl Hazard {
    fn problems(&self, sequences: &[Sequence], root: &Path) -> Vec<String> {
        let id = &self.hazard;
        let mut problems = Vec::new();
        let texts = [
            &self.title,
            &self.harm,
            &self.cause,
            &self.prevented_by,
            &self.left,
        ];
        if texts.iter().any(|text| text.trim().is_empty()) {
            problems.push(format!("a text of {id} is empty"));
        }
        let is_grave = matches!(self.severity, Severity::Major | Severity::Catastrophic);
        if self.sequences.is_empty() && (is_grave || self.tests.is_empty()) {
            problems.push(format!("no sequence shows {id}"));
        }
        for name in &self.sequences {
            let found = sequences.iter().find(|one| one.sequence == *name);
            match found {
                None => problems.push(format!(
                    "{id} names the sequence {name}, which is not there"
                )),
                Some(found) if !found.shows.contains(id) => {
                    problems.push(format!(
                        "{id} names the sequence {name}, which does not show it"
                    ));
                }
                Some(_) => {}
            }
        }
        for test in &self.tests {
            if let Err(error) = exists(test, root) {
                problems.push(format!("{id} names the test {test}: {error:#}"));
            }
        }
        problems
    }
}

/// Whether a test is where the log says, and is one.
fn exists(test: &str, root: &Path) -> anyhow::Result<()> {
    let (file, name) = test.split_once("::").context("write FILE::FUNCTION")?;
    let text = std::fs::read_to_string(root.join(file)).context("the file cannot be read")?;
    let function = format!("fn {name}(");
    let Some((before, _)) = text.split_once(&function) else {
        bail!("the file has no such function");
    };
    let above = before.lines().rev().take(3);
    let attributes = ["#[test]", "#[tokio::test", "proptest"];
    if !above
        .into_iter()
        .any(|line| attributes.iter().any(|one| line.contains(one)))
    {
        bail!("the function is no test");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "crates/hilum-hazards/src/log.rs::a_test_is_found_where_the_log_says";

    fn check(test: &str, is_there: bool) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        assert_eq!(exists(test, &root).is_ok(), is_there, "{test}");
    }

    #[test]
    fn a_test_is_found_where_the_log_says() {
        check(HERE, true);
        check("crates/hilum-hazards/src/log.rs::exists", false);
        check("crates/hilum-hazards/src/log.rs::no_such_test", false);
        check("crates/hilum-hazards/src/none.rs::a_test", false);
    }
}
