//! The YAML that the documents show: each page, or the guide as a whole, is a site that is checked
//! and whose tests run.

use std::collections::BTreeMap;
use std::path::Path;

use hilum_config::{
    Folder, OpenTerminology, Options, Secrets, Severity, load_folder, render, run_tests,
};

use crate::{registry, root};

/// The pages that make one site, and the example whose samples and scripts they use.
const SITES: [(&[&str], &str); 13] = [
    (&["README.md"], "relay"),
    (
        &["docs/guide/first-channel.md", "docs/guide/test.md"],
        "st-elsewhere",
    ),
    (&["docs/guide/ask.md"], "enrich"),
    (&["docs/guide/fhir-channels.md"], "fhir-channels"),
    (&["docs/guide/environments.md"], "st-elsewhere"),
    (&["docs/guide/local-codes.md"], "st-elsewhere"),
    (&["docs/guide/v2-to-fhir.md"], "lab-to-fhir"),
    (&["docs/concepts/values.md"], "lab-to-fhir"),
    (&["docs/concepts/marks.md"], "lab-to-fhir"),
    (&["docs/concepts/what-arrives-late.md"], "adt-to-fhir"),
    (&["docs/guide/fhir.md"], "fhir-server"),
    (&["docs/guide/terminology.md"], "st-elsewhere"),
    (&["docs/runbook/peer-refuses.md"], "st-elsewhere"),
];

/// The blocks of YAML of a page.
fn blocks(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    let mut blocks = Vec::new();
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once("```yaml\n") {
        let (block, after) = after.split_once("```").unwrap();
        blocks.push(block.to_owned());
        rest = after;
    }
    blocks
}

/// The tables of a page: blocks of CSV, each under the last file name before it.
fn tables(page: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    let mut tables = Vec::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("```csv\n") {
        let (block, after) = after.split_once("```").unwrap();
        let name = before.rsplit('`').nth(1).unwrap();
        assert!(
            name.ends_with(".csv"),
            "{page}: no file is named before\n{block}"
        );
        tables.push((name.to_owned(), block.to_owned()));
        rest = after;
    }
    tables
}

/// The value of a key at the start of a line.
fn value<'b>(block: &'b str, key: &str) -> Option<&'b str> {
    let line = block.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.split('#').next().unwrap_or_default().trim())
}

/// Each block as a file of the site, by its first comment or the key that it begins with.
fn files(pages: &[&str]) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut channel = "a".to_owned();
    for page in pages {
        files.extend(tables(page));
        for block in blocks(page) {
            let named = block
                .lines()
                .next()
                .and_then(|line| line.strip_prefix("# "));
            let (name, text) = if let Some(name) = named {
                (name.to_owned(), block)
            } else if value(&block, "site:").is_some() {
                ("hilum.yaml".to_owned(), block)
            } else if let Some(system) = value(&block, "system:") {
                (format!("systems/{system}.yaml"), block)
            } else if let Some(name) = value(&block, "channel:") {
                name.clone_into(&mut channel);
                (format!("channels/{name}.yaml"), block)
            } else if value(&block, "test:").is_some() {
                (format!("channels/{channel}.test.yaml"), block)
            } else if value(&block, "environment:").is_some() {
                ("environments/shown.yaml".to_owned(), block)
            } else if value(&block, "alert:").is_some() {
                ("alerts.yaml".to_owned(), block)
            } else if value(&block, "answers:").is_some() {
                (
                    "systems/shown.yaml".to_owned(),
                    format!("system: shown\n{block}"),
                )
            } else {
                panic!("{page}: nobody knows what file this is a part of:\n{block}");
            };
            let other = files.insert(name.clone(), text);
            assert!(other.is_none(), "{page} shows {name} twice");
        }
    }
    files
}

/// What the shown files name and the page does not show.
fn complete(files: &mut BTreeMap<String, String>) {
    let yaml = files.iter().filter(|(name, _)| name.ends_with(".yaml"));
    let all: String = yaml.map(|(_, text)| text.as_str()).collect();
    // `code-system: X` names none of the site.
    let all = all.replace("-system: ", " ");
    for name in all.split("system: ").skip(1) {
        let end = |c: char| !c.is_ascii_alphanumeric() && c != '-';
        let name = name.split(end).next().unwrap_or_default();
        let text = format!(
            "system: {name}\naddresses: {{ mllp: 127.0.0.1:2575 }}\nidentifiers: [{{ authority: STE, type: MR }}]\n"
        );
        files.entry(format!("systems/{name}.yaml")).or_insert(text);
    }
    let site = "site: shown\n".to_owned();
    files.entry("hilum.yaml".to_owned()).or_insert(site);
}

#[test]
fn what_the_documents_show_is_right() {
    let registry = registry();
    for (pages, example) in SITES {
        let mut shown = files(pages);
        complete(&mut shown);
        let example = root().join("config/examples").join(example);
        let used = ["samples", "scripts"].into_iter().flat_map(|folder| {
            let entries = std::fs::read_dir(example.join(folder))
                .into_iter()
                .flatten();
            entries.flatten().map(move |entry| {
                let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
                (name, std::fs::read(entry.path()).unwrap())
            })
        });
        let bytes = shown
            .into_iter()
            .map(|(name, text)| (name, text.into_bytes()))
            .chain(used)
            .map(|(name, bytes)| (name, bytes.into()));
        let folder = Folder::kept(Path::new("/nowhere"), bytes);
        let options = Options {
            secrets: Secrets::Unread,
            terminology: OpenTerminology::new(|_| Ok(super::shipped())),
            ..Options::default()
        };
        let mut loaded = load_folder(&folder, &registry, &options);
        let errors = |severity| severity == Severity::Error;
        loaded.diagnostics.retain(|found| errors(found.severity));
        assert_eq!(render(&loaded.diagnostics), "", "{pages:?}");
        let run = run_tests(&folder, &loaded, &registry, None);
        assert_eq!(render(&run.diagnostics), "", "{pages:?}");
        for result in &run.results {
            assert!(result.passed(), "{pages:?}: {result:#?}");
        }
    }
}

/// A page with YAML that no site above holds is not checked by anybody.
#[test]
fn every_page_with_yaml_is_checked() {
    let listed = |page: &str| SITES.iter().any(|(pages, _)| pages.contains(&page));
    for folder in ["docs/guide", "docs/concepts", "docs/runbook"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap().flatten() {
            let page = format!("{folder}/{}", entry.file_name().to_string_lossy());
            assert!(
                listed(&page) || blocks(&page).is_empty(),
                "{page} is not in the list of `SITES`"
            );
        }
    }
}
