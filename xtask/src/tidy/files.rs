//! Rules about files as such: their names, size, length and first line.

use super::Finding;
use super::tree::Tree;

const LINES_WARN: usize = 500;
const LINES_MAX: usize = 800;
const BYTES_MAX: u64 = 512 * 1024;

/// Files that may be longer, and why; the list may only shrink.
const LONG: &[(&str, &str)] = &[];

/// Files that may be larger, and why.
const LARGE: &[(&str, &str)] = &[
    (
        "crates/hilum-hl7v2/src/generated/dictionary.bin",
        "every version of the HL7 v2 dictionary, read in place from the program's image",
    ),
    (
        "crates/hilum-fhir/src/generated/r4.bin",
        "what FHIR R4 says about itself, which every resource is read by",
    ),
    (
        "crates/hilum-fhir/src/generated/r4-base.bin",
        "the types of FHIR R4 with their texts, which snapshots of profiles are made on top of",
    ),
    (
        "crates/hilum-terminology/src/generated/shipped.bin",
        "HL7 Terminology with the definitions of FHIR R4, packed in chunks that are unpacked alone",
    ),
];

/// Names that say nothing about what is inside.
const BANNED: &[&str] = &[
    "common", "core", "util", "utils", "helper", "helpers", "types", "manager", "misc",
];

pub(super) fn module_docs(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter(|file| !file.path.ends_with("build.rs") && !is_part_of_tests(&file.path))
        .filter(|file| {
            let is_note = |line: &str| line.starts_with("//") && !line.starts_with("//!");
            let first = file
                .lines()
                .map(|(_, line)| line.trim())
                .find(|line| !line.is_empty() && !is_note(line));
            !first.is_some_and(|line| line.starts_with("//!"))
        })
        .map(|file| Finding::error(file.path.as_str(), "does not open with `//!`"))
        .collect()
}

/// Parts of a module's tests or of a test program: the names of the tests say what they are for.
fn is_part_of_tests(path: &str) -> bool {
    path.ends_with("/tests.rs") || (path.contains("/tests/") && !path.ends_with("/main.rs"))
}

pub(super) fn length(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust() {
        let lines = file.lines().count();
        let listed = LONG.iter().any(|(path, _)| *path == file.path);
        if lines > LINES_MAX && !listed {
            let text = format!("{lines} lines, the limit is {LINES_MAX}");
            found.push(Finding::error(file.path.as_str(), text));
        } else if lines <= LINES_MAX && listed {
            let text = format!("{lines} lines: take it off the list of long files");
            found.push(Finding::error(file.path.as_str(), text));
        } else if lines > LINES_WARN {
            let text = format!("{lines} lines, better at most {LINES_WARN}");
            found.push(Finding::warning(file.path.as_str(), text));
        }
    }
    found
}

pub(super) fn self_named(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter(|file| {
            let Some(stem) = file.path.strip_suffix(".rs") else {
                return false;
            };
            let root = stem.ends_with("/main") || stem.ends_with("/lib") || stem.ends_with("/mod");
            let folder = format!("{stem}/");
            !root && tree.rust().any(|other| other.path.starts_with(&folder))
        })
        .map(|file| Finding::error(file.path.as_str(), "stands beside a folder of its name"))
        .collect()
}

pub(super) fn names(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in &tree.files {
        let ours = file.path.starts_with("crates/") || file.path.starts_with("xtask/");
        if !ours || !(file.is_rust() || file.path.ends_with("/Cargo.toml")) {
            continue;
        }
        let mut words = file
            .path
            .split('/')
            .map(|part| part.strip_suffix(".rs").unwrap_or(part))
            .flat_map(|part| part.split('-'));
        if let Some(word) = words.find(|word| BANNED.contains(word)) {
            let text = format!("`{word}` says nothing about what is inside");
            found.push(Finding::error(file.path.as_str(), text));
        }
    }
    found
}

pub(super) fn large(tree: &Tree) -> Vec<Finding> {
    tree.files
        .iter()
        .filter(|file| file.bytes > BYTES_MAX)
        .filter(|file| !LARGE.iter().any(|(path, _)| *path == file.path))
        .map(|file| {
            let text = format!(
                "{} kB, the limit is {} kB",
                file.bytes / 1024,
                BYTES_MAX / 1024
            );
            Finding::error(file.path.as_str(), text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    #[test]
    fn wants_a_module_doc_first() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "//! Good.\n"),
            ("crates/a/src/late.rs", "use x;\n//! Late.\n"),
            (
                "crates/a/src/noted.rs",
                "// A note on the file.\n\n//! Good.\n",
            ),
            ("crates/a/src/generated/table.rs", "const X: u8 = 1;\n"),
        ]);
        let found = module_docs(&tree);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "crates/a/src/late.rs");
    }

    #[test]
    fn warns_of_long_files_and_refuses_very_long_ones() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", &"x\n".repeat(LINES_WARN)),
            ("crates/a/src/long.rs", &"x\n".repeat(LINES_WARN + 1)),
            ("crates/a/src/longer.rs", &"x\n".repeat(LINES_MAX + 1)),
        ]);
        let found: Vec<_> = length(&tree).iter().map(|f| f.severity).collect();
        assert_eq!(found, [Severity::Warning, Severity::Error]);
    }

    #[test]
    fn refuses_a_module_beside_its_folder() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", ""),
            ("crates/a/src/lanes.rs", ""),
            ("crates/a/src/lanes/line.rs", ""),
            ("crates/a/src/plan/mod.rs", ""),
            ("crates/a/src/plan/read.rs", ""),
        ]);
        let found = self_named(&tree);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "crates/a/src/lanes.rs");
    }

    #[test]
    fn refuses_names_that_say_nothing() {
        let tree = Tree::of(&[
            ("crates/hilum-core/Cargo.toml", ""),
            ("crates/a/src/helpers.rs", ""),
            ("crates/a/src/util/mod.rs", ""),
            ("crates/a/src/score.rs", ""),
            ("docs/types.md", ""),
        ]);
        assert_eq!(names(&tree).len(), 3);
    }

    #[test]
    fn refuses_large_files() {
        let big = "x".repeat(512 * 1024 + 1);
        assert_eq!(large(&Tree::of(&[("corpus/big.hl7", &big)])).len(), 1);
        assert_eq!(large(&Tree::of(&[("corpus/small.hl7", "x")])).len(), 0);
    }
}
