//! Who may import whom: the layer table as a list.
//!
//! Imports point down. A crate that is not in the list fails the rule, so that adding one means
//! deciding where it stands. Dev-dependencies are exempt, because tests may look in from anywhere;
//! the dev crates, in turn, never appear among ordinary dependencies of the product.

use super::metadata::Metadata;
use super::{Finding, Ground};

/// A crate of the workspace and the crates of the workspace that it may import.
const EDGES: &[(&str, &[&str])] = &[
    // 0a: no async, no I/O, no clock.
    ("hilum-message", &[]),
    ("hilum-ucum", &[]),
    ("hilum-fhirpath", &["hilum-ucum"]),
    // 0b: formats as plain data.
    ("hilum-hl7v2", &["hilum-message", "hilum-fhirpath"]),
    ("hilum-tree", &["hilum-message", "hilum-fhirpath"]),
    ("hilum-fhir", &["hilum-ucum", "hilum-fhirpath"]),
    // The code tables of a site: steps, conversions and commands read them.
    ("hilum-codes", &["hilum-message"]),
    // 0c: from one format to another.
    (
        "hilum-convert",
        &["hilum-message", "hilum-hl7v2", "hilum-fhir", "hilum-ucum"],
    ),
    // 1a: the contract, and the network.
    ("hilum-component", &["hilum-message", "hilum-fhirpath"]),
    ("hilum-net", &[]),
    // 1b: files.
    ("hilum-db", &[]),
    // 2.
    (
        "hilum-journal",
        &["hilum-message", "hilum-component", "hilum-db"],
    ),
    (
        "hilum-terminology",
        &[
            "hilum-message",
            "hilum-ucum",
            "hilum-fhir",
            // Steps see a snapshot through the contract.
            "hilum-component",
            "hilum-db",
        ],
    ),
    ("hilum-access", &["hilum-message", "hilum-component"]),
    ("hilum-identity", &["hilum-message", "hilum-component"]),
    (
        "hilum-config",
        &["hilum-message", "hilum-fhirpath", "hilum-component"],
    ),
    // 3: names no protocol, so it sees neither formats nor connectors.
    (
        "hilum-engine",
        &[
            "hilum-message",
            "hilum-fhirpath",
            "hilum-component",
            "hilum-journal",
        ],
    ),
    (
        "hilum-fhir-store",
        &[
            "hilum-message",
            "hilum-ucum",
            "hilum-fhir",
            "hilum-net",
            "hilum-db",
        ],
    ),
    // 4.
    (
        "hilum-formats",
        &[
            "hilum-message",
            "hilum-fhirpath",
            "hilum-fhir",
            "hilum-hl7v2",
            "hilum-tree",
            "hilum-component",
        ],
    ),
    // Steps of one format (validate, split) work on the pure crates' own documents.
    (
        "hilum-steps",
        &[
            "hilum-message",
            "hilum-convert",
            "hilum-fhir",
            "hilum-ucum",
            "hilum-fhirpath",
            "hilum-hl7v2",
            "hilum-tree",
            "hilum-codes",
            "hilum-identity",
            "hilum-component",
        ],
    ),
    (
        "hilum-connectors",
        &[
            "hilum-message",
            "hilum-fhirpath",
            "hilum-hl7v2",
            "hilum-tree",
            "hilum-component",
            "hilum-net",
        ],
    ),
    (
        "hilum-fhir-server",
        &[
            "hilum-message",
            "hilum-fhirpath",
            "hilum-fhir",
            "hilum-component",
            "hilum-net",
            "hilum-db",
            "hilum-access",
            "hilum-terminology",
            "hilum-fhir-store",
        ],
    ),
    // 5.
    (
        "hilum-admin",
        &[
            "hilum-message",
            "hilum-component",
            "hilum-net",
            "hilum-identity",
            "hilum-journal",
            "hilum-access",
            "hilum-engine",
        ],
    ),
    // Simulated peers: for tests, for the rig, and as two commands of the program.
    (
        "hilum-testkit",
        &[
            "hilum-message",
            "hilum-fhirpath",
            "hilum-hl7v2",
            "hilum-component",
            "hilum-net",
        ],
    ),
    // 6: the wiring sees everything of the product.
    (
        "hilum",
        &[
            "hilum-message",
            "hilum-ucum",
            "hilum-fhirpath",
            "hilum-hl7v2",
            "hilum-convert",
            "hilum-fhir",
            "hilum-tree",
            "hilum-codes",
            "hilum-component",
            "hilum-net",
            "hilum-db",
            "hilum-terminology",
            "hilum-identity",
            "hilum-journal",
            "hilum-access",
            "hilum-config",
            "hilum-engine",
            "hilum-fhir-store",
            "hilum-fhir-server",
            "hilum-formats",
            "hilum-steps",
            "hilum-connectors",
            "hilum-admin",
            // `hilum send` and `hilum receive` are the simulated peers of the tests, as commands.
            "hilum-testkit",
        ],
    ),
    // Dev crates: used by tests and by each other; by the product only where a row says so.
    ("hilum-faultfs", &["hilum-db"]),
    // A month of days cannot be made through the program in minutes: the rig fills a journal itself.
    (
        "hilum-rig",
        &["hilum-message", "hilum-journal", "hilum-testkit"],
    ),
    // The sequences of the hazard log run over the product in one process, on a simulated disk.
    (
        "hilum-hazards",
        &[
            "hilum-message",
            "hilum-hl7v2",
            "hilum-component",
            "hilum-journal",
            "hilum-terminology",
            "hilum-identity",
            "hilum-config",
            "hilum-engine",
            "hilum-formats",
            "hilum-steps",
            "hilum-connectors",
            "hilum-fhir-server",
            "hilum-faultfs",
            "hilum-testkit",
        ],
    ),
    ("xtask", &[]),
];

/// Crates that only tests and automation may use, unless a row of [`EDGES`] names them.
const DEV_ONLY: &[&str] = &[
    "hilum-testkit",
    "hilum-faultfs",
    "hilum-rig",
    "hilum-hazards",
    "xtask",
];

/// Layer 0: no async runtime, no I/O, no clock.
const PURE: &[&str] = &[
    "hilum-convert",
    "hilum-message",
    "hilum-ucum",
    "hilum-fhirpath",
    "hilum-hl7v2",
    "hilum-fhir",
    "hilum-tree",
    "hilum-codes",
];

/// Crates that bring a runtime, a socket, a file or a clock with them.
const IMPURE: &[&str] = &[
    "tokio",
    "async-std",
    "smol",
    "mio",
    "socket2",
    "hyper",
    "hyper-util",
    "rusqlite",
    "rustls",
    "tokio-rustls",
    "tempfile",
    "tracing-subscriber",
];

/// Names of the standard library that reach outside a process or read its clock.
const OUTSIDE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "Instant::now",
    "SystemTime::now",
];

/// A library, the crates that may use it directly, and why those.
const WRAPPERS: &[(&str, &[&str], &str)] = &[
    (
        "rustls",
        &["hilum-net", "hilum-testkit", "hilum-connectors"],
        "one TLS provider, chosen in hilum-net; drivers in hilum-connectors get its settings",
    ),
    (
        "tokio-rustls",
        &["hilum-net", "hilum-testkit"],
        "one TLS provider, chosen in hilum-net",
    ),
    (
        "tokio-postgres",
        &["hilum-connectors", "hilum-fhir-store"],
        "the sql connector and the FHIR store, over connections of hilum-net",
    ),
    (
        "mysql_async",
        &["hilum-connectors"],
        "the sql connector alone; this driver opens its own connections, to the address and with \
         the TLS files that were checked",
    ),
    (
        "rusqlite",
        &[
            "hilum-db",
            "hilum-faultfs",
            "hilum-journal",
            "hilum-connectors",
            "hilum-rig",
        ],
        "hilum-db opens every connection to a store of ours; the journal only binds rows on them, \
         the sql connector opens other people's files, and the rig's limit program is SQLite bare",
    ),
];

/// Edges that the list does not allow, and dev crates in the product.
pub(super) fn imports(metadata: &Metadata) -> Vec<Finding> {
    let mut found = Vec::new();
    let members: Vec<&str> = metadata
        .members()
        .map(|package| package.name.as_str())
        .collect();
    for package in metadata.members() {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
            found.push(Finding::error(
                package.name.as_str(),
                "has no row in xtask/src/tidy/layers.rs",
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let imported = dependency.name.as_str();
            if dependency.kind.as_deref() == Some("dev") || !members.contains(&imported) {
                continue;
            }
            let dev_only = DEV_ONLY.contains(&imported)
                && !DEV_ONLY.contains(&&*package.name)
                && !allowed.contains(&imported);
            if dev_only {
                found.push(Finding::error(
                    package.name.as_str(),
                    format!("imports {imported}, which is for tests and automation only"),
                ));
            } else if !allowed.contains(&imported) {
                found.push(Finding::error(
                    package.name.as_str(),
                    format!("imports {imported}, which its layer does not allow"),
                ));
            }
        }
    }
    found
}

/// Impure crates and names in layer 0.
pub(super) fn purity(ground: &Ground) -> Vec<Finding> {
    let mut found = Vec::new();
    for package in ground.metadata.members() {
        if !PURE.contains(&&*package.name) {
            continue;
        }
        for dependency in &package.dependencies {
            if dependency.kind.is_none() && IMPURE.contains(&&*dependency.name) {
                found.push(Finding::error(
                    package.name.as_str(),
                    format!("imports {}", dependency.name),
                ));
            }
        }
    }
    for file in ground.tree.rust() {
        let pure = PURE
            .iter()
            .any(|name| file.path.starts_with(&format!("crates/{name}/src/")));
        if !pure || is_test(&file.path) {
            continue;
        }
        for (number, line) in file.lines() {
            // Tests stand at the end of a file and may read samples.
            if line.trim_start().starts_with("#[cfg(test)]") {
                break;
            }
            let code = line.split("//").next().unwrap_or(line);
            if let Some(name) = OUTSIDE.iter().find(|name| code.contains(*name)) {
                found.push(Finding::error(
                    format!("{}:{number}", file.path),
                    format!("uses {name}"),
                ));
            }
        }
    }
    found
}

/// Libraries used by crates that are not listed for them.
pub(super) fn wrappers(metadata: &Metadata) -> Vec<Finding> {
    let mut found = Vec::new();
    for package in metadata.members() {
        for dependency in &package.dependencies {
            if dependency.kind.as_deref() == Some("dev") {
                continue;
            }
            let row = WRAPPERS.iter().find(|(name, ..)| *name == dependency.name);
            if let Some((library, users, why)) = row
                && !users.contains(&&*package.name)
            {
                found.push(Finding::error(
                    package.name.as_str(),
                    format!("uses {library} directly: {why}"),
                ));
            }
        }
    }
    found
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.ends_with("_tests.rs")
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Sketch;
    use super::super::tree::Tree;
    use super::*;

    fn check(crates: &[Sketch<'_>], expected: &[&str]) {
        let found = imports(&Metadata::of(crates));
        let shown: Vec<String> = found.iter().map(Finding::to_string).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn refuses_an_import_that_points_up() {
        check(
            &[
                ("hilum-message", &[("hilum-db", None)]),
                ("hilum-db", &[("rusqlite", None)]),
            ],
            &["hilum-message: imports hilum-db, which its layer does not allow"],
        );
    }

    #[test]
    fn lets_tests_look_in_from_anywhere_but_keeps_dev_crates_out_of_the_product() {
        check(
            &[
                ("hilum-net", &[("hilum-testkit", Some("dev"))]),
                ("hilum-engine", &[("hilum-testkit", None)]),
                ("hilum-testkit", &[]),
            ],
            &["hilum-engine: imports hilum-testkit, which is for tests and automation only"],
        );
    }

    #[test]
    fn demands_a_row_for_a_new_crate() {
        check(
            &[("hilum-astrology", &[])],
            &["hilum-astrology: has no row in xtask/src/tidy/layers.rs"],
        );
    }

    #[test]
    fn imports_point_down_the_table() {
        for (position, (name, allowed)) in EDGES.iter().enumerate() {
            for lower in *allowed {
                let stands = EDGES.iter().position(|(other, _)| other == lower);
                assert!(
                    stands.is_some_and(|stands| stands < position),
                    "{name} {lower}"
                );
            }
        }
    }

    #[test]
    fn finds_a_clock_in_layer_0_but_not_in_its_tests() {
        let text = "//! Doc: std::fs is not used.\nfn f() { std::time::Instant::now(); }\n\
                    #[cfg(test)]\nmod tests { fn g() { std::fs::read(\"x\"); } }\n";
        let ground = Ground {
            tree: Tree::of(&[("crates/hilum-hl7v2/src/lib.rs", text)]),
            metadata: Metadata::default(),
        };
        let found = purity(&ground);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "crates/hilum-hl7v2/src/lib.rs:2");
    }

    #[test]
    fn keeps_a_wrapped_library_to_its_users() {
        let found = wrappers(&Metadata::of(&[
            ("hilum-engine", &[("rusqlite", None)]),
            ("hilum-db", &[("rusqlite", None)]),
        ]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "hilum-engine");
    }
}
