//! Which version of a system an include means for a coding, and what is wrong with that.

use hilum_fhir::{IssueType, Severity};

use super::{Check, Coding, below};
use crate::issue::{Failure, Issue};
use crate::set::Part;
use crate::version;

impl Check<'_> {
    /// The version that an include of a coding's system is looked at in. Versions that differ are
    /// told.
    pub(super) fn version_of(
        &mut self,
        path: &str,
        part: &Part,
        coding: &Coding,
    ) -> Result<Option<String>, Failure> {
        let engine = self.engine;
        let url = part.system.as_deref().unwrap_or_default();
        let of_set = part.version.as_deref();
        let mut asked = engine.options.version(url, of_set).map(str::to_owned);
        let Some(given) = coding.version.as_deref() else {
            return Ok(asked);
        };
        if let Some(pattern) = &asked
            && version::fits_pattern(pattern, given)
        {
            asked = Some(given.to_owned());
        }
        if asked.is_none() {
            let known = engine.terminology.versions(url)?;
            if known.iter().any(|own| version::fits(given, own)) {
                asked = Some(given.to_owned());
            }
        }
        let found = engine.system(url, asked.as_deref())?;
        let Some(found) = found else {
            if asked.as_deref() != Some(given) {
                let asked = asked.as_deref().unwrap_or_default();
                self.tell(mismatch(path, "VALUESET_VALUE_MISMATCH", format!(
                    "The code system '{url}' version '{asked}' in the ValueSet include is different to the one in the value ('{given}')"
                )));
            }
            return Ok(asked);
        };
        let own = found.version.as_deref();
        if own.is_some_and(|own| version::fits(given, own)) {
            return Ok(asked);
        }
        match &asked {
            None => {
                let issue = mismatch(
                    path,
                    "VALUESET_VALUE_MISMATCH_DEFAULT",
                    format!(
                        "The code system '{url}' version '{}' for the versionless include in the ValueSet include is different to the one in the value ('{given}')",
                        own.unwrap_or_default()
                    ),
                );
                if found.version_needed {
                    self.tell(issue);
                } else {
                    self.issue(issue.with(Severity::Warning));
                }
            }
            Some(asked) if Some(asked.as_str()) != of_set => {
                self.tell(mismatch(path, "VALUESET_VALUE_MISMATCH_CHANGED", format!(
                    "The code system '{url}' version '{asked}' resulting from the version '{}' in the ValueSet include is different to the one in the value ('{given}')",
                    of_set.unwrap_or_default()
                )));
            }
            Some(asked) => {
                self.tell(mismatch(path, "VALUESET_VALUE_MISMATCH", format!(
                    "The code system '{url}' version '{asked}' in the ValueSet include is different to the one in the value ('{given}')"
                )));
            }
        }
        if engine.terminology.system(url, Some(given))?.is_none() {
            let known = engine.terminology.versions(url)?;
            self.unknown(format!("{url}|{given}"));
            let issue = crate::issue::unknown_system(url, Some(given), &known);
            self.tell(issue.at(below(path, "system")));
        }
        Ok(asked)
    }
}

fn mismatch(path: &str, id: &'static str, text: String) -> Issue {
    Issue::error(IssueType::Invalid, "vs-invalid", id, text).at(below(path, "version"))
}
