//! The page of figures: the parts of it that runs write.

use std::path::Path;

use anyhow::{Context as _, Result};

/// What stands behind a part that is written.
const END: &str = "<!-- end -->\n";

/// What stands before the part of a command.
fn begin(what: &str) -> String {
    format!("<!-- written by `cargo xtask bench {what} --write`: begin -->\n")
}

/// Puts the report of a command in the place of the one that the page has.
pub(super) fn write(page: &Path, what: &str, report: &str) -> Result<()> {
    let old = std::fs::read_to_string(page).with_context(|| format!("read {}", page.display()))?;
    let new = replaced(&old, what, report).with_context(|| {
        let begin = begin(what);
        format!(
            "{} has no part that begins with {begin:?} and ends with {END:?}",
            page.display()
        )
    })?;
    std::fs::write(page, new).with_context(|| format!("write {}", page.display()))
}

fn replaced(page: &str, what: &str, report: &str) -> Option<String> {
    let begin = begin(what);
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!(
        "{before}{begin}\n{}\n\n{END}{after}",
        report.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_only_its_part() {
        let (hub, fhir) = (begin("hub"), begin("fhir"));
        let page = format!("# Figures\n{hub}old\n{END}more\n{fhir}other\n{END}");
        let written = replaced(&page, "hub", "new\n").unwrap();
        let expected = format!("# Figures\n{hub}\nnew\n\n{END}more\n{fhir}other\n{END}");
        assert_eq!(written, expected);
        assert_eq!(replaced(&written, "hub", "new").unwrap(), written);
        assert_eq!(replaced("# Figures\n", "hub", "new"), None);
    }
}
