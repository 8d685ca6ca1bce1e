//! The example sites with the components of the program, and the reference pages that are
//! committed.

#![allow(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod clinical;
mod kit;
mod marks;
mod senders;
mod snippets;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hilum_component::{ComponentKind, ComponentSpec, Example, Registry};
use hilum_config::{
    Diagnostic, Folder, OpenTerminology, Options, Secrets, Severity, load_folder, pages, render,
    run_tests, schema,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn registry() -> Registry {
    let formats = hilum_formats::specs().into_iter();
    Registry::new(
        formats
            .chain(hilum_steps::specs())
            .chain(hilum_connectors::specs()),
    )
}

/// The example sites, each with the environments that it has.
fn sites() -> Vec<(PathBuf, Option<String>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join("config/examples"))
        .unwrap()
        .flatten()
    {
        let site = entry.path();
        if !site.join("hilum.yaml").is_file() {
            continue;
        }
        found.push((site.clone(), None));
        let environments = std::fs::read_dir(site.join("environments"))
            .into_iter()
            .flatten()
            .flatten();
        for environment in environments {
            let name = environment
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned();
            found.push((site.clone(), Some(name)));
        }
    }
    assert!(found.len() > 2);
    found
}

#[test]
fn every_example_site_is_without_problem_and_passes_its_tests() {
    for (site, environment) in sites() {
        let options = Options {
            environment,
            secrets: Secrets::Unread,
            ..Options::default()
        };
        let folder = Folder::on_disk(&site);
        let loaded = load_folder(&folder, &registry(), &options);
        assert_eq!(render(&loaded.diagnostics), "", "{}", site.display());
        let run = run_tests(&folder, &loaded, &registry(), None);
        assert_eq!(render(&run.diagnostics), "");
        let failed: Vec<_> = run
            .results
            .iter()
            .filter(|result| !result.passed())
            .collect();
        assert!(failed.is_empty(), "{failed:#?}");
        let reached = run.coverage.channels.iter().flat_map(|(channel, own)| {
            let all = own.steps.iter().chain(&own.destinations);
            all.map(move |(name, count)| (channel, name, *count))
        });
        let missed: Vec<_> = reached.filter(|(_, _, count)| *count == 0).collect();
        assert!(
            missed.is_empty(),
            "{} has tests that do not reach {missed:?}",
            site.display()
        );
    }
}

#[test]
fn every_component_has_a_page_and_a_place_in_the_editor_schema() {
    let registry = registry();
    let (pages, schema) = (pages(&registry), schema(&registry));
    let filter = schema["channel"]["$defs"]["step-filter"]["description"]
        .as_str()
        .unwrap();
    assert!(!filter.is_empty());
    assert!(pages.contains_key("sources/mllp.md") && pages.contains_key("formats/hl7v2.md"));
}

/// `cargo xtask codegen` sets `HILUM_UPDATE=1`, with which the pages are written instead.
#[test]
fn the_reference_says_what_the_source_says() {
    let reference = root().join("docs/reference");
    let update = std::env::var_os("HILUM_UPDATE").is_some();
    let pages = pages(&registry());
    for (path, text) in &pages {
        let path = reference.join(path);
        if update {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == *text,
            "{} is out of date: run `cargo xtask codegen`",
            path.display()
        );
    }
    let folders = [
        "diagnostics",
        "files",
        "formats",
        "sources",
        "steps",
        "destinations",
    ];
    for folder in folders {
        for entry in std::fs::read_dir(reference.join(folder)).unwrap().flatten() {
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if pages.contains_key(&name) {
                continue;
            }
            assert!(
                update,
                "nothing has the page {name}: run `cargo xtask codegen`"
            );
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// The example of a component as a site of its own.
fn site_of(spec: &ComponentSpec, example: &Example) -> Vec<(String, String)> {
    let indented = |depth: usize| {
        let lines = example.yaml.trim_end().lines();
        lines
            .map(|line| format!("{}{line}\n", " ".repeat(depth)))
            .collect::<String>()
    };
    let topics = "to:\n  out: { topic: out }\n  other: { topic: other }\n";
    let from = "from: { topic: in }\n";
    let channel = match spec.kind() {
        ComponentKind::Format => format!("{from}{topics}"),
        ComponentKind::Source => format!("from:\n{}{topics}", indented(2)),
        ComponentKind::Step => format!("{from}steps:\n  -\n{}{topics}", indented(4)),
        ComponentKind::Destination => format!("{from}to:\n  out:\n{}", indented(4)),
    };
    let format = example
        .effect
        .as_ref()
        .map_or("hl7v2", |effect| effect.format);
    let mut files = vec![
        (
            "hilum.yaml".to_owned(),
            "site: example\nfhir: {}\n".to_owned(),
        ),
        (
            "channels/a.yaml".to_owned(),
            format!("channel: a\nformat: {format}\n{channel}"),
        ),
    ];
    let shown = example.effect.iter().flat_map(|effect| effect.files);
    files.extend(shown.map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
    // `code-system: X` names none of the site.
    let yaml = example.yaml.replace("-system: ", " ");
    for name in yaml.split("system: ").skip(1) {
        let name: String = name
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        let addresses = "{ mllp: 127.0.0.1:2575, http: \"http://127.0.0.1:8080/\", fhir: \"http://127.0.0.1:8080/fhir\", file: out, sql: \"sqlite:a.db\" }";
        files.push((
            format!("systems/{name}.yaml"),
            format!("system: {name}\naddresses: {addresses}\nidentifiers: [{{ authority: STE, type: MR }}]\n"),
        ));
    }
    files
}

/// The code systems of every node.
fn shipped() -> Arc<dyn hilum_component::Terminology> {
    let sources = hilum_terminology::Shelf::default().now().to_vec();
    let snapshot = hilum_terminology::Terminology::new(sources);
    Arc::new(hilum_terminology::ForSteps::new(snapshot, String::new()))
}

#[test]
fn every_example_of_a_component_passes_the_check() {
    let registry = registry();
    let kinds = [
        ComponentKind::Source,
        ComponentKind::Step,
        ComponentKind::Destination,
    ];
    for spec in kinds.into_iter().flat_map(|kind| registry.of_kind(kind)) {
        for example in spec.examples {
            let files = site_of(spec, example);
            let channel = files[1].1.clone();
            let bytes = files
                .into_iter()
                .map(|(path, text)| (path, text.into_bytes().into()));
            let folder = Folder::kept(Path::new("/nowhere"), bytes);
            let options = Options {
                secrets: Secrets::Unread,
                terminology: OpenTerminology::new(|_| Ok(shipped())),
                ..Options::default()
            };
            let loaded = load_folder(&folder, &registry, &options);
            // Files beside the site (certificates) are not there.
            let counts =
                |d: &&Diagnostic| d.severity == Severity::Error && !d.message.contains("/nowhere/");
            let errors: Vec<_> = loaded.diagnostics.iter().filter(counts).cloned().collect();
            assert!(
                errors.is_empty(),
                "{} {}\n{channel}\n{}",
                spec.name,
                example.title,
                render(&errors)
            );
        }
    }
}

#[test]
fn a_mistake_in_a_map_file_is_shown_in_that_file() {
    let channel = "channel: a\nfrom: { topic: in }\nformat: hl7v2\nsteps:\n  - convert: fhir\n\
                   to:\n  out: { topic: out }\n  other: { topic: other }\n";
    let rows = "# Ours.\nmap PID -> Patient\n- PID-8    gendre\n- PID-7    birthDat\n";
    let files = [
        ("hilum.yaml", "site: example\n"),
        ("channels/a.yaml", channel),
        (
            "channels/b.yaml",
            &channel.replace("channel: a", "channel: b"),
        ),
        ("maps/ours.map", rows),
    ];
    let bytes = files.map(|(path, text)| (path.to_owned(), text.as_bytes().into()));
    let folder = Folder::kept(Path::new("/nowhere"), bytes);
    let options = Options {
        secrets: Secrets::Unread,
        ..Options::default()
    };
    let loaded = load_folder(&folder, &registry(), &options);
    // Once, though two channels name it.
    let shown: Vec<_> = loaded
        .diagnostics
        .iter()
        .filter(|found| found.code == "E0118")
        .map(|found| {
            let place = found.place.as_ref().unwrap();
            assert_eq!(found.related[0].place.file, "channels/a.yaml");
            assert!(found.remedy.as_ref().unwrap().starts_with("did you mean"));
            format!(
                "{}:{}:{} {}",
                place.file, place.line, place.column, place.text
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "maps/ours.map:3:3 PID-8    gendre",
            "maps/ours.map:4:3 PID-7    birthDat"
        ]
    );
    assert!(render(&loaded.diagnostics).contains("- PID-8    gendre"));
}
