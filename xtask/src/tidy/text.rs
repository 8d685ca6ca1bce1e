//! Rules about what files say: paths of one machine, registry hosts, the proof of acceptance.

use super::Finding;
use super::tree::{File, Tree};

/// Folders that exist on somebody's machine only. Split, so that this file does not break its rule.
const FOLDERS: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
    concat!("C:\\Us", "ers\\"),
];

const HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("registry.npmjs", ".org"),
    concat!("registry.yarnpkg", ".com"),
    concat!("proxy.golang", ".org"),
];

/// What follows the keyword that opens unchecked code.
const OPENINGS: &[&str] = &["{", "fn ", "impl ", "trait ", "extern "];

/// The one registry that the lock file may name: cargo writes it, whatever mirror is used.
const LOCK_SOURCE: &str = concat!(
    "source = \"registry+https://github.com/rust-lang/crates",
    ".io-index\""
);

const PROOF: &str = concat!("after_synced", "_append");

/// Where the proof may be named: the crate that defines it and the crate that syncs.
const PROVERS: &[&str] = &["crates/hilum-message/src/", "crates/hilum-journal/"];

pub(super) fn absolute_paths(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| !file.is_generated()) {
        for (number, line) in file.lines() {
            let named = FOLDERS.iter().find(|folder| starts_a_path(line, folder));
            if let Some(folder) = named {
                found.push(at(file, number, format!("names {folder}")));
            }
        }
    }
    found
}

/// Whether the folder begins a path, and is not the middle of a URL or of a relative path.
fn starts_a_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(position, _)| {
        let before = line
            .get(..position)
            .and_then(|text| text.chars().next_back());
        before.is_none_or(|c| {
            !(c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | '~' | '/'))
        })
    })
}

pub(super) fn registry_hosts(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| !file.is_generated()) {
        for (number, line) in file.lines() {
            if file.path == "Cargo.lock" {
                if line.starts_with("source = ") && line != LOCK_SOURCE {
                    found.push(at(file, number, "names a source that is not the registry"));
                }
            } else if let Some(host) = HOSTS.iter().find(|host| line.contains(*host)) {
                found.push(at(file, number, format!("names {host}")));
            }
        }
    }
    found
}

pub(super) fn proof_of_acceptance(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust() {
        if PROVERS.iter().any(|prover| file.path.starts_with(prover)) {
            continue;
        }
        for (number, line) in file.lines() {
            let code = line.split("//").next().unwrap_or(line);
            if code.contains(PROOF) {
                found.push(at(
                    file,
                    number,
                    "makes an `Accepted` without a synced append",
                ));
            }
        }
    }
    found
}

pub(super) fn unsafe_code(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust() {
        if file.path.starts_with("crates/hilum-faultfs/") {
            continue;
        }
        for (number, line) in file.lines() {
            let code = line.split("//").next().unwrap_or(line);
            let marked = code
                .split(concat!("unsa", "fe "))
                .skip(1)
                .any(|rest| OPENINGS.iter().any(|opening| rest.starts_with(opening)));
            if marked {
                found.push(at(file, number, "unsafe code"));
            }
        }
    }
    found
}

fn at(file: &File, number: usize, text: impl Into<String>) -> Finding {
    Finding::error(format!("{}:{number}", file.path), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_folders_of_one_machine_but_not_parts_of_other_paths() {
        let bad = format!("x\nread \"{}me/x\"\n", FOLDERS[0]);
        let good = format!("https://example.org{}x, a{}b\n", FOLDERS[0], FOLDERS[3]);
        assert_eq!(
            absolute_paths(&Tree::of(&[("docs/a.md", &bad)]))[0].place,
            "docs/a.md:2"
        );
        assert_eq!(absolute_paths(&Tree::of(&[("docs/a.md", &good)])), []);
    }

    #[test]
    fn allows_cargo_its_one_registry() {
        let other = "source = \"sparse+https://mirror.example/index\"";
        let lock = format!("{LOCK_SOURCE}\n{other}\n");
        let found = registry_hosts(&Tree::of(&[("Cargo.lock", &lock)]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "Cargo.lock:2");
        let prose = format!("see {}\n", HOSTS[0]);
        assert_eq!(registry_hosts(&Tree::of(&[("README.md", &prose)])).len(), 1);
    }

    #[test]
    fn lets_only_the_journal_prove_acceptance() {
        let text = format!("let a = Accepted::{PROOF}(id); // why\n");
        let found = proof_of_acceptance(&Tree::of(&[
            ("crates/hilum-journal/src/lib.rs", &text),
            ("crates/hilum-engine/src/lib.rs", &text),
        ]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "crates/hilum-engine/src/lib.rs:1");
    }

    #[test]
    fn finds_unsafe_code() {
        let word = concat!("unsa", "fe");
        let text = format!(
            "let x = {word} {{ y }};\n// {word} {{ words\nlet policy = \"{word}-inline\";\n"
        );
        let found = unsafe_code(&Tree::of(&[("crates/a/src/lib.rs", &text)]));
        assert_eq!(found.len(), 1);
    }
}
