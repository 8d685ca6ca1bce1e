//! `cargo xtask tidy`: the rules that the tree keeps about itself.
//!
//! A rule is a pure function over the files of the tree and what cargo says about its crates, so
//! that each is tested with a fixture of a few lines. Every finding names its rule; a warning never
//! fails the run. An exception is a row beside the rule, with its reason.

mod components;
mod dependencies;
mod files;
mod layers;
mod lints;
mod metadata;
mod reach;
mod text;
mod tree;

use std::fmt;

use anyhow::{Result, bail};

use metadata::Metadata;
use tree::Tree;

/// A rule: its name, what it demands, and the function that looks for breaches.
type Rule = (&'static str, &'static str, fn(&Ground) -> Vec<Finding>);

const RULES: &[Rule] = &[
    (
        "layers",
        "a crate imports only the crates that layers.rs allows it",
        |ground| layers::imports(&ground.metadata),
    ),
    (
        "purity",
        "layer 0 has no async runtime, no I/O and no clock",
        layers::purity,
    ),
    (
        "wrappers",
        "some libraries are used directly by named crates only",
        |ground| layers::wrappers(&ground.metadata),
    ),
    (
        "module-doc",
        "a Rust file that is not part of tests opens with `//!`: purpose, invariants, limits",
        |ground| files::module_docs(&ground.tree),
    ),
    (
        "length",
        "files have at most 800 lines, better 500",
        |ground| files::length(&ground.tree),
    ),
    (
        "module-folder",
        "a module with children is `foo/mod.rs`, not `foo.rs` beside `foo/`",
        |ground| files::self_named(&ground.tree),
    ),
    (
        "dead-file",
        "every Rust file is reached by a `mod` of some target",
        reach::dead_files,
    ),
    (
        "names",
        "nothing is called common, core, util, helpers, types or manager",
        |ground| files::names(&ground.tree),
    ),
    (
        "large-file",
        "no file above 512 kB unless listed with a reason",
        |ground| files::large(&ground.tree),
    ),
    (
        "absolute-path",
        "nothing names a folder of one machine",
        |ground| text::absolute_paths(&ground.tree),
    ),
    (
        "registry-host",
        "nothing names the host of a package registry",
        |ground| text::registry_hosts(&ground.tree),
    ),
    (
        "proof-of-acceptance",
        "only the journal makes an `Accepted`",
        |ground| text::proof_of_acceptance(&ground.tree),
    ),
    ("unsafe", "unsafe code only in hilum-faultfs", |ground| {
        text::unsafe_code(&ground.tree)
    }),
    (
        "lints",
        "every crate uses the workspace's lints; hilum-faultfs repeats them with its two changes",
        |ground| lints::tables(&ground.tree),
    ),
    (
        "component",
        "a component's folder is in the visible list of its crate",
        |ground| components::registered(&ground.tree),
    ),
    (
        "example-test",
        "every example configuration has tests",
        |ground| components::examples_tested(&ground.tree),
    ),
    (
        "architecture",
        "ARCHITECTURE.md names every crate",
        components::crates_described,
    ),
    (
        "changelog",
        "changelog.d/<slug>.<breaking|security|feature|change|fix>.md",
        |ground| components::changelog(&ground.tree),
    ),
    (
        "licence",
        "every crate has a licence of the allow-list",
        |ground| dependencies::licences(&ground.metadata),
    ),
    ("banned-crate", "refused crates do not appear", |ground| {
        dependencies::banned(&ground.metadata)
    }),
    (
        "duplicate-crate",
        "one version of each crate, or a dated reason",
        |ground| dependencies::duplicates(&ground.metadata),
    ),
    (
        "crate-budget",
        "the default build has at most 350 crates",
        |ground| dependencies::budget(&ground.metadata),
    ),
];

/// What the rules look at.
struct Ground {
    tree: Tree,
    metadata: Metadata,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    Warning,
    Error,
}

/// One breach of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    severity: Severity,
    place: String,
    text: String,
}

impl Finding {
    fn error(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            place: place.into(),
            text: text.into(),
        }
    }

    fn warning(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(place, text)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if crate::only_flag(arguments, "--rules")? {
        for (name, demand, _) in RULES {
            println!("{name:<20} {demand}");
        }
        return Ok(());
    }
    let ground = Ground {
        tree: Tree::read()?,
        metadata: Metadata::read()?,
    };
    let mut errors = 0_usize;
    let mut warnings = 0_usize;
    for (name, demand, rule) in RULES {
        let found = rule(&ground);
        for finding in &found {
            let word = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            println!("{word}[{name}] {finding}");
        }
        let here = found
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .count();
        if here > 0 {
            println!("  = rule `{name}`: {demand}");
        }
        errors += here;
        warnings += found.len() - here;
    }
    println!(
        "tidy: {} files, {} rules, {errors} errors, {warnings} warnings",
        ground.tree.files.len(),
        RULES.len()
    );
    if errors > 0 {
        bail!("the tree breaks its own rules in {errors} places");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_every_rule_a_name_of_its_own() {
        for (position, (name, ..)) in RULES.iter().enumerate() {
            assert!(
                RULES
                    .iter()
                    .skip(position + 1)
                    .all(|(other, ..)| other != name)
            );
        }
    }
}
