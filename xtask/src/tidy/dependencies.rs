//! Rules about other people's crates: licences, refusals, duplicates, number.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::metadata::{Metadata, PRODUCT, Package};

/// Licences that may be linked into a program under Apache-2.0 without asking anybody.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that may not appear, wherever they come from, and why.
const BANNED: &[(&str, &str)] = &[
    ("openssl", "one TLS provider, chosen in hilum-net"),
    ("openssl-sys", "one TLS provider, chosen in hilum-net"),
    ("native-tls", "one TLS provider, chosen in hilum-net"),
    ("aws-lc-sys", "one TLS provider, chosen in hilum-net"),
    ("sqlx", "a heavy macro stack; drivers are used directly"),
    (
        "fancy-regex",
        "back-tracking: an expression could hang a channel",
    ),
    ("pcre2", "back-tracking: an expression could hang a channel"),
    ("async-graphql", "a server framework nobody asked for"),
    ("juniper", "a server framework nobody asked for"),
    ("serde_yaml", "unmaintained, and loses positions"),
    ("chrono", "jiff is the one date library"),
];

const CRATES_MAX: usize = 350;

/// A crate that appears in several versions, until when that is accepted, and why.
const TWICE: &[(&str, &str, &str)] = &[
    ("base64", "2027-06", "the SQL drivers are a release behind"),
    ("block-buffer", "2027-06", MARIADB),
    ("cpufeatures", "2027-06", MARIADB),
    ("crypto-common", "2027-06", MARIADB),
    ("digest", "2027-06", MARIADB),
    (
        "fallible-iterator",
        "2027-06",
        "the PostgreSQL driver is a release behind rusqlite",
    ),
    (
        "getrandom",
        "2027-06",
        "ring and the SQL drivers stay with older releases",
    ),
    ("sha2", "2027-06", MARIADB),
];

const MARIADB: &str = "the MariaDB driver is a generation behind in its digests";

pub(super) fn licences(metadata: &Metadata) -> Vec<Finding> {
    let mut found = Vec::new();
    for package in &metadata.packages {
        let place = format!("{} {}", package.name, package.version);
        match &package.license {
            Some(expression) if is_allowed(expression) => {}
            Some(expression) => found.push(Finding::error(place, format!("is under {expression}"))),
            None => found.push(Finding::error(place, "names no licence")),
        }
    }
    found
}

pub(super) fn banned(metadata: &Metadata) -> Vec<Finding> {
    let mut found = Vec::new();
    for package in &metadata.packages {
        if let Some((name, why)) = BANNED.iter().find(|(name, _)| *name == package.name) {
            let users = users_of(metadata, &package.id);
            let text = format!("is refused ({why}); imported by {users}");
            found.push(Finding::error(*name, text));
        }
    }
    found
}

pub(super) fn duplicates(metadata: &Metadata) -> Vec<Finding> {
    let mut versions: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
    for package in metadata.default_build() {
        versions.entry(&package.name).or_default().push(package);
    }
    let mut found = Vec::new();
    for (name, packages) in &versions {
        let accepted = TWICE.iter().any(|(twice, ..)| twice == name);
        if packages.len() > 1 && !accepted {
            let each: Vec<String> = packages
                .iter()
                .map(|p| format!("{} (by {})", p.version, users_of(metadata, &p.id)))
                .collect();
            found.push(Finding::error(
                *name,
                format!("is built as {}", each.join(" and ")),
            ));
        } else if packages.len() == 1 && accepted {
            let text = "is built once: take it off the list of duplicates";
            found.push(Finding::error(*name, text));
        }
    }
    found
}

pub(super) fn budget(metadata: &Metadata) -> Vec<Finding> {
    let number = metadata
        .default_build()
        .iter()
        .filter(|package| package.source.is_some())
        .count();
    if number > CRATES_MAX {
        let text = format!("builds {number} crates, the limit is {CRATES_MAX}");
        return vec![Finding::error(PRODUCT, text)];
    }
    Vec::new()
}

fn users_of(metadata: &Metadata, id: &str) -> String {
    let names: BTreeSet<&str> = metadata
        .resolve
        .iter()
        .flat_map(|resolve| &resolve.nodes)
        .filter(|node| node.deps.iter().any(|dep| dep.pkg == id))
        .filter_map(|node| metadata.packages.iter().find(|p| p.id == node.id))
        .map(|package| package.name.as_str())
        .collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// Whether an SPDX expression can be satisfied with the allow-list alone.
fn is_allowed(expression: &str) -> bool {
    // Old manifests write `MIT/Apache-2.0` for a choice.
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest) && rest.is_empty()
}

fn any_of(words: &mut &[&str]) -> bool {
    let mut allowed = all_of(words);
    while let Some((&"OR", rest)) = words.split_first() {
        *words = rest;
        // Both sides are always read: the words must be consumed.
        allowed |= all_of(words);
    }
    allowed
}

fn all_of(words: &mut &[&str]) -> bool {
    let mut allowed = one(words);
    while let Some((&"AND", rest)) = words.split_first() {
        *words = rest;
        allowed &= one(words);
    }
    allowed
}

fn one(words: &mut &[&str]) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let allowed = any_of(words);
            *words = words.strip_prefix(&[")"]).unwrap_or(words);
            allowed
        }
        [name, "WITH", exception, rest @ ..] => {
            *words = rest;
            LICENCES.contains(&format!("{name} WITH {exception}").as_str())
                || LICENCES.contains(name)
        }
        [name, rest @ ..] => {
            *words = rest;
            LICENCES.contains(name)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::metadata::{Node, NodeDependency, Resolve};
    use super::*;

    #[test]
    fn reads_licence_expressions() {
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0 AND MIT", false),
            ("MIT/Apache-2.0", true),
            ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true),
            ("(MIT OR GPL-2.0) AND Unicode-3.0", true),
            ("(GPL-2.0 OR AGPL-3.0) AND MIT", false),
            ("GPL-2.0 OR (MIT AND ISC)", true),
            ("", false),
        ] {
            assert_eq!(is_allowed(expression), expected, "{expression}");
        }
    }

    fn built(packages: &[(&str, &str)]) -> Metadata {
        let packages: Vec<Package> = packages
            .iter()
            .map(|(name, version)| Package {
                id: format!("{name} {version}"),
                name: (*name).to_owned(),
                version: (*version).to_owned(),
                license: Some("MIT".to_owned()),
                source: Some("registry".to_owned()),
                ..Package::default()
            })
            .collect();
        let deps = packages
            .iter()
            .skip(1)
            .map(|package| NodeDependency {
                pkg: package.id.clone(),
            })
            .collect();
        let id = packages[0].id.clone();
        Metadata {
            workspace_members: vec![id.clone()],
            resolve: Some(Resolve {
                nodes: vec![Node { id, deps }],
            }),
            built: packages
                .iter()
                .map(|package| (package.name.clone(), package.version.clone()))
                .collect(),
            packages,
            ..Metadata::default()
        }
    }

    #[test]
    fn finds_a_crate_built_twice_and_names_who_wants_it() {
        let found = duplicates(&built(&[("hilum", "1"), ("rand", "8"), ("rand", "9")]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text, "is built as 8 (by hilum) and 9 (by hilum)");
    }

    #[test]
    fn finds_a_refused_crate() {
        assert_eq!(banned(&built(&[("hilum", "1"), ("openssl", "1")])).len(), 1);
    }

    #[test]
    fn counts_the_crates_of_the_default_build() {
        let many: Vec<String> = (0..=CRATES_MAX).map(|n| format!("c{n}")).collect();
        let mut crates: Vec<(&str, &str)> = vec![("hilum", "1")];
        crates.extend(many.iter().map(|name| (name.as_str(), "1")));
        assert_eq!(budget(&built(&crates)).len(), 1);
        assert_eq!(budget(&built(&[("hilum", "1")])), []);
    }
}
