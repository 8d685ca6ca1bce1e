//! The page of figures: the part of it that a run writes.

use std::path::Path;

use anyhow::{Context as _, Result};

/// What stands around the part that is written.
const BEGIN: &str = "<!-- written by `cargo xtask bench hub --write`: begin -->\n";
const END: &str = "<!-- end -->\n";

/// Puts a report in the place of the one that the page has.
pub(super) fn write(page: &Path, report: &str) -> Result<()> {
    let old = std::fs::read_to_string(page).with_context(|| format!("read {}", page.display()))?;
    let new = replaced(&old, report).with_context(|| {
        format!(
            "{} has no part that begins with {BEGIN:?} and ends with {END:?}",
            page.display()
        )
    })?;
    std::fs::write(page, new).with_context(|| format!("write {}", page.display()))
}

fn replaced(page: &str, report: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!(
        "{before}{BEGIN}\n{}\n\n{END}{after}",
        report.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_only_its_part() {
        let page = format!("# Figures\n{BEGIN}old\n{END}more\n");
        let written = replaced(&page, "new\n").unwrap();
        assert_eq!(written, format!("# Figures\n{BEGIN}\nnew\n\n{END}more\n"));
        assert_eq!(replaced(&written, "new").unwrap(), written);
        assert_eq!(replaced("# Figures\n", "new"), None);
    }
}
