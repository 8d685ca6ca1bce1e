//! `cargo xtask new connector|step|format NAME`: a component as a folder of predictable files, and
//! its lines in the visible list.
//!
//! What it writes is a small component that works and passes every test of its crate, to be changed
//! into the one that is wanted. The templates are ordinary files beside this one, in which `NAME`
//! and `TYPE` stand for the name; `cargo xtask ci --long` writes one of each into a copy of the tree
//! and compiles it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::Misunderstood;
use crate::shell;

/// What can be made.
struct Kind {
    word: &'static str,
    /// The crate.
    home: &'static str,
    /// What the visible list calls of each component.
    specs: &'static [&'static str],
    /// Name below the component's folder, and text.
    files: &'static [(&'static str, &'static str)],
    /// The integration test, where the crate has them by component.
    test: Option<&'static str>,
}

const KINDS: [Kind; 3] = [
    Kind {
        word: "connector",
        home: "crates/hilum-connectors",
        specs: &["source_spec", "destination_spec"],
        files: &[
            ("mod.rs", include_str!("template/connector/mod.rs.template")),
            (
                "config.rs",
                include_str!("template/connector/config.rs.template"),
            ),
            (
                "source.rs",
                include_str!("template/connector/source.rs.template"),
            ),
            (
                "destination.rs",
                include_str!("template/connector/destination.rs.template"),
            ),
        ],
        test: Some(include_str!("template/connector/test.rs.template")),
    },
    Kind {
        word: "step",
        home: "crates/hilum-steps",
        specs: &["spec"],
        files: &[
            ("mod.rs", include_str!("template/step/mod.rs.template")),
            (
                "config.rs",
                include_str!("template/step/config.rs.template"),
            ),
        ],
        test: Some(include_str!("template/step/test.rs.template")),
    },
    Kind {
        word: "format",
        home: "crates/hilum-formats",
        specs: &["spec"],
        files: &[("mod.rs", include_str!("template/format/mod.rs.template"))],
        test: None,
    },
];

/// `cargo xtask new KIND NAME`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [kind, name] = arguments else {
        bail!(Misunderstood("a kind and a name are needed".to_owned()));
    };
    for path in write(&shell::root(), kind, name)? {
        println!("  {path}");
    }
    println!(
        "now change what it does, and run `cargo xtask codegen` for its page of the reference"
    );
    Ok(())
}

/// Writes one of each kind into a copy of the tree and compiles them with their tests.
pub(crate) fn check() -> Result<()> {
    let copy = shell::target().join("new-components");
    if copy.exists() {
        fs::remove_dir_all(&copy).context("remove the last copy")?;
    }
    let listed = shell::output(shell::program("git").args(["ls-files", "-z"]))?;
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        let (from, to) = (shell::root().join(path), copy.join(path));
        if from.is_file() {
            fs::create_dir_all(to.parent().unwrap_or(&copy))?;
            fs::copy(&from, &to).with_context(|| format!("copy {path}"))?;
        }
    }
    let mut cargo = shell::cargo();
    cargo
        .current_dir(&copy)
        .env("CARGO_TARGET_DIR", shell::target());
    cargo.args(["clippy", "--locked", "--quiet", "--all-targets"]);
    for kind in &KINDS {
        write(&copy, kind.word, "sample-one")?;
        cargo.args(["-p", kind.home.trim_start_matches("crates/")]);
    }
    shell::succeed(cargo.args(["--", "-D", "warnings"]))
}

/// Writes a component below `root`; gives the paths that were written or changed.
fn write(root: &Path, kind: &str, name: &str) -> Result<Vec<String>> {
    let Some(kind) = KINDS.iter().find(|known| known.word == kind) else {
        bail!(Misunderstood(format!("`{kind}` is no kind of component")));
    };
    if !is_name(name) {
        let text =
            format!("`{name}` is no name: small letters, digits and hyphens, a letter first");
        bail!(Misunderstood(text));
    }
    let module = name.replace('-', "_");
    let folder = format!("{}/src/{module}", kind.home);
    if root.join(&folder).exists() {
        bail!("{folder} is there already");
    }
    let mut written = Vec::new();
    let mut put = |path: String, text: &str| -> Result<()> {
        let whole = root.join(&path);
        fs::create_dir_all(whole.parent().unwrap_or(root))?;
        fs::write(&whole, text).with_context(|| format!("write {path}"))?;
        written.push(path);
        Ok(())
    };
    for (file, template) in kind.files {
        put(format!("{folder}/{file}"), &filled(template, name))?;
    }
    let read =
        |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("read {path}"));
    let list = format!("{}/src/lib.rs", kind.home);
    let with = listed(&declared(&read(&list)?, &module), &module, kind.specs)?;
    put(list, &with)?;
    if let Some(test) = kind.test {
        let tests = format!("{}/tests/it", kind.home);
        put(format!("{tests}/{module}.rs"), &filled(test, name))?;
        let main = format!("{tests}/main.rs");
        let with = declared(&read(&main)?, &module);
        put(main, &with)?;
    }
    formatted(root, &written)?;
    Ok(written)
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(fits)
}

fn filled(template: &str, name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_uppercase() + rest
    });
    let kind: String = words.collect();
    template.replace("NAME", name).replace("TYPE", &kind)
}

/// The file with a line `mod NAME;` at its place among the others.
fn declared(text: &str, module: &str) -> String {
    let line = format!("mod {module};");
    let mut lines: Vec<&str> = text.lines().collect();
    let name = |line: &str| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        let name = line.strip_prefix("mod ")?.strip_suffix(';')?;
        Some(name.to_owned())
    };
    let after = lines
        .iter()
        .rposition(|line| name(line).is_some_and(|name| name.as_str() < module));
    let first = lines.iter().position(|line| name(line).is_some());
    let at = after.map_or(first.unwrap_or(lines.len()), |at| at + 1);
    lines.insert(at, &line);
    lines.join("\n") + "\n"
}

/// The file with the specs at the end of the visible list.
fn listed(text: &str, module: &str, specs: &[&str]) -> Result<String> {
    let rows = specs
        .iter()
        .map(|spec| format!("        {module}::{spec}(),\n"));
    let (before, after) = text
        .split_once("\n    ]\n}")
        .context("the visible list `vec![…]` is not where it was")?;
    let rows: String = rows.collect();
    Ok(format!("{before}\n{}\n    ]\n}}{after}", rows.trim_end()))
}

/// Long names break lines elsewhere than in the templates.
fn formatted(root: &Path, written: &[String]) -> Result<()> {
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.current_dir(root).args(["--edition", "2024"]);
    let own = written
        .iter()
        .filter(|path| !path.ends_with("lib.rs") && !path.ends_with("main.rs"));
    // A `mod.rs` brings its folder along.
    shell::succeed(rustfmt.args(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of its own with the lists of today.
    fn tree() -> std::path::PathBuf {
        let id = std::process::id();
        let root = std::env::temp_dir().join(format!("hilum-xtask-new-{id}"));
        for kind in &KINDS {
            for file in ["src/lib.rs", "tests/it/main.rs"] {
                let path = format!("{}/{file}", kind.home);
                if let Ok(text) = fs::read_to_string(shell::root().join(&path)) {
                    let to = root.join(&path);
                    fs::create_dir_all(to.parent().unwrap()).unwrap();
                    fs::write(to, text).unwrap();
                }
            }
        }
        root
    }

    #[test]
    fn writes_predictable_files_and_lists_them() {
        let root = tree();
        for kind in &KINDS {
            let written = write(&root, kind.word, "bed-board").unwrap();
            let home = kind.home;
            assert!(written.contains(&format!("{home}/src/bed_board/mod.rs")));
            for path in &written {
                let text = fs::read_to_string(root.join(path)).unwrap();
                assert!(!text.contains("NAME") && !text.contains("TYPE"), "{path}");
            }
            let list = fs::read_to_string(root.join(home).join("src/lib.rs")).unwrap();
            assert!(list.contains("mod bed_board;\n"), "{list}");
            for spec in kind.specs {
                assert!(
                    list.contains(&format!("        bed_board::{spec}(),\n")),
                    "{list}"
                );
            }
            let again = write(&root, kind.word, "bed-board").unwrap_err();
            assert!(again.to_string().contains("is there already"));
        }
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn refuses_what_is_no_kind_or_no_name() {
        for (kind, name) in [
            ("stap", "a"),
            ("step", "A"),
            ("step", "1a"),
            ("step", "a-"),
            ("step", "../a"),
        ] {
            let error = write(Path::new("/nowhere"), kind, name).unwrap_err();
            assert!(error.is::<Misunderstood>(), "{kind} {name}: {error}");
        }
    }
}
