//! Reading the YAML files of a site and laying the environment over them.

use std::collections::{BTreeMap, BTreeSet};

use hilum_component::Registry;

use super::Options;
use crate::check::{Scope, check};
use crate::diagnostic::{Draft, Report, did_you_mean};
use crate::file::{AlertsFile, EnvironmentFile, NodeFile, schema_of};
use crate::site::{Folder, SiteView, System, merge, production_addresses, read_system};
use crate::yaml::{FileId, Files, Kind, Node, SourceFile, Span, parse};

/// The YAML files of a site, read and merged.
pub(super) struct Gathered {
    pub(super) files: Files,
    /// `hilum.yaml`, if it is good.
    pub(super) node: Option<NodeFile>,
    pub(super) node_tree: Option<Node>,
    /// The environment that was chosen.
    pub(super) environment: Option<String>,
    pub(super) systems: BTreeMap<String, System>,
    /// Channels by name, each with its file.
    pub(super) channels: BTreeMap<String, (String, Node)>,
    /// `alerts.yaml`, if it is good.
    pub(super) alerts: Option<(AlertsFile, Node)>,
    /// Addresses that are marked as production.
    pub(super) production: BTreeSet<String>,
}

struct Reader<'a> {
    folder: &'a Folder,
    files: Files,
    report: &'a mut Report,
}

impl Reader<'_> {
    /// The one document of a file; none if it cannot be read.
    fn tree(&mut self, path: &str) -> Option<Node> {
        let id = read_text(self.folder, path, &mut self.files, self.report)?;
        let parsed = parse(&self.files, id);
        let broken = !parsed.problems.is_empty() && parsed.documents.is_empty();
        self.report.extend(parsed.problems);
        let mut documents = parsed.documents.into_iter();
        let first = documents.next();
        if let Some(second) = documents.next() {
            let text = "the file holds more than one document";
            self.report
                .push(Draft::error("E0001", second.span, text).remedy("leave the `---` out"));
        }
        match first {
            Some(node) if matches!(node.kind, Kind::Map(_)) => Some(node),
            Some(node) => {
                let text = "expected keys and values";
                self.report.push(
                    Draft::error("E0103", node.span, text).remedy("write `key: value` lines"),
                );
                None
            }
            None if broken => None,
            None => {
                let span = Span {
                    file: id,
                    start: 0,
                    end: 0,
                };
                self.report
                    .push(Draft::error("E0102", span, "the file is empty"));
                None
            }
        }
    }

    /// The YAML files below a folder; others that look like them are reported.
    fn list(&mut self, folder: &str) -> Vec<String> {
        let mut found = self.folder.list(folder);
        for path in found.iter().filter(|path| path.ends_with(".yml")) {
            let id = self.files.add(SourceFile::new(path.as_str(), ""));
            let draft = Draft::warning(
                "W0310",
                Span {
                    file: id,
                    start: 0,
                    end: 0,
                },
                "the file is not read",
            );
            self.report.push(draft.remedy("let its name end in .yaml"));
        }
        found.retain(|path| path.ends_with(".yaml") && !path.ends_with(".test.yaml"));
        found
    }

    /// The files of a folder by the name that `key` gives in each, which must be the file's.
    fn named(&mut self, folder: &str, key: &str) -> BTreeMap<String, (String, Node)> {
        let mut found: BTreeMap<String, (String, Node)> = BTreeMap::new();
        for path in self.list(folder) {
            let Some(node) = self.tree(&path) else {
                continue;
            };
            let stem = path
                .rsplit('/')
                .next()
                .and_then(|name| name.strip_suffix(".yaml"));
            let stem = stem.unwrap_or_default();
            let written = node
                .entry(key)
                .map(|(_, value)| (value.text().unwrap_or_default(), value.span));
            if let Some((name, span)) =
                written.filter(|(name, _)| !name.is_empty() && *name != stem)
            {
                let text = format!("the name `{name}` is not that of the file");
                let remedy = format!("write `{key}: {stem}`, or rename the file to {name}.yaml");
                self.report
                    .push(Draft::error("E0201", span, text).remedy(remedy));
            }
            let name = written.map_or(stem, |(name, _)| name).to_owned();
            if let Some((_, first)) = found.get(&name) {
                let span = written.map_or(node.span, |(_, span)| span);
                let other = first.entry(key).map_or(first.span, |(_, value)| value.span);
                let text = format!("the name `{name}` is taken");
                self.report
                    .push(Draft::error("E0201", span, text).related(other, "first here"));
                continue;
            }
            found.insert(name, (path, node));
        }
        found
    }

    /// Lays the overlay's maps over the files that they name.
    fn lay_over(
        &mut self,
        over: &Node,
        section: &str,
        found: &mut BTreeMap<String, (String, Node)>,
    ) {
        let entries = over.get(section).map(Node::entries).unwrap_or_default();
        for (key, value) in entries {
            let known: Vec<String> = found.keys().cloned().collect();
            match found.get_mut(&key.text) {
                Some((_, node)) => *node = merge(node, value),
                None => {
                    let (code, what) = if section == "systems" {
                        ("E0107", "system")
                    } else {
                        ("E0204", "channel")
                    };
                    let text = format!("no such {what} `{}`", key.text);
                    let names = known.iter().map(String::as_str);
                    let remedy = did_you_mean(&key.text, &format!("known {what}s"), names);
                    self.report
                        .push(Draft::error(code, key.span, text).maybe_remedy(remedy));
                }
            }
        }
    }

    /// The overlay of the chosen environment.
    fn overlay(&mut self, name: &str, asked: Option<Span>) -> Option<Node> {
        let path = format!("environments/{name}.yaml");
        let all = self.list("environments");
        if all.contains(&path) {
            let tree = self.tree(&path)?;
            let written = tree
                .get("environment")
                .and_then(|value| Some((value.text()?, value.span)));
            if let Some((other, span)) = written.filter(|(other, _)| *other != name) {
                let text = format!("the name `{other}` is not that of the file");
                let remedy =
                    format!("write `environment: {name}`, or rename the file to {other}.yaml");
                self.report
                    .push(Draft::error("E0201", span, text).remedy(remedy));
            }
            return Some(tree);
        }
        let known = all
            .iter()
            .filter_map(|p| p.strip_prefix("environments/")?.strip_suffix(".yaml"));
        let remedy = did_you_mean(name, "known environments", known)
            .unwrap_or_else(|| format!("write {path}"));
        let text = format!("no such environment `{name}`");
        let draft = match asked {
            Some(span) => Draft::error("E0209", span, text),
            None => Draft::of_site("E0209", text),
        };
        self.report.push(draft.remedy(remedy));
        None
    }
}

impl Gathered {
    pub(super) fn read(
        folder: &Folder,
        registry: &Registry,
        options: &Options,
        report: &mut Report,
    ) -> Self {
        let mut reader = Reader {
            folder,
            files: Files::default(),
            report,
        };
        let mut node_tree = None;
        if !folder.exists() || !folder.list("").contains(&"hilum.yaml".to_owned()) {
            let text = format!(
                "{} is not the folder of a site: it has no hilum.yaml",
                folder.root().display()
            );
            reader
                .report
                .push(Draft::of_site("E0006", text).remedy("make one with `hilum init`"));
        } else {
            node_tree = reader.tree("hilum.yaml");
        }
        let mut systems = reader.named("systems", "system");
        let mut channels = reader.named("channels", "channel");
        let production = production_addresses(systems.values().map(|(_, node)| node));
        let chosen = match &options.environment {
            Some(name) => Some((name.clone(), None)),
            None => node_tree.as_ref().and_then(|node| {
                let value = node.get("environment")?;
                Some((value.text()?.to_owned(), Some(value.span)))
            }),
        };
        let overlay = chosen
            .as_ref()
            .and_then(|(name, asked)| reader.overlay(name, *asked));
        let nothing = BTreeMap::new();
        let site = SiteView::new(folder, &nothing, options.secrets, &options.variables, false);
        let scope = Scope {
            registry,
            format: None,
            original: None,
            site: &site,
            destinations: &[],
        };
        if let Some(over) = &overlay {
            check(scope, &schema_of::<EnvironmentFile>(), over, reader.report);
            node_tree = node_tree.map(|node| {
                over.get("node")
                    .map_or_else(|| node.clone(), |o| merge(&node, o))
            });
            reader.lay_over(over, "systems", &mut systems);
            reader.lay_over(over, "channels", &mut channels);
        }
        let node = node_tree
            .as_ref()
            .and_then(|tree| clean(scope, tree, reader.report));
        let alerts = folder
            .list("")
            .contains(&"alerts.yaml".to_owned())
            .then(|| reader.tree("alerts.yaml"));
        let alerts = alerts
            .flatten()
            .and_then(|tree| Some((clean::<AlertsFile>(scope, &tree, reader.report)?, tree)));
        let read = |(name, (file, node)): (&String, &(String, Node))| {
            (name.clone(), read_system(scope, node, file, reader.report))
        };
        let systems = systems.iter().map(read).collect();
        Self {
            files: reader.files,
            node,
            node_tree,
            environment: chosen.map(|(name, _)| name),
            systems,
            channels,
            alerts,
            production,
        }
    }
}

/// A tree as the struct that it is checked against, if it is good.
fn clean<T: schemars::JsonSchema + serde::de::DeserializeOwned>(
    scope: Scope<'_>,
    tree: &Node,
    report: &mut Report,
) -> Option<T> {
    let before = report.errors();
    let (value, _) = check(scope, &schema_of::<T>(), tree, report);
    if report.errors() > before {
        return None;
    }
    match serde_json::from_value(value) {
        Ok(read) => Some(read),
        Err(error) => {
            report.push(Draft::error(
                "E0118",
                tree.span,
                format!("the file is not understood: {error}"),
            ));
            None
        }
    }
}

/// Reads a file as text and adds it to the files.
pub(crate) fn read_text(
    folder: &Folder,
    path: &str,
    files: &mut Files,
    report: &mut Report,
) -> Option<FileId> {
    let bytes = match folder.read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            report.push(Draft::of_site(
                "E0005",
                format!("cannot read {path}: {error}"),
            ));
            return None;
        }
    };
    match std::str::from_utf8(&bytes) {
        Ok(text) => Some(files.add(SourceFile::new(path, text))),
        Err(error) => {
            let text = format!("{path} is not UTF-8 at byte {}", error.valid_up_to());
            report.push(Draft::of_site("E0005", text).remedy("save it as UTF-8"));
            None
        }
    }
}
