//! What cargo says about the crates of the workspace and everything they depend on.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::shell;

/// The product's package.
pub(super) const PRODUCT: &str = "hilum";

#[derive(Debug, Default, Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
    pub(super) workspace_members: Vec<String>,
    #[serde(default)]
    pub(super) workspace_root: String,
    pub(super) resolve: Option<Resolve>,
    /// Name and version of every crate that the default build of the product compiles: ordinary
    /// and build dependencies. `cargo tree` says it, because the resolution above also holds
    /// optional crates that no feature turns on.
    #[serde(skip)]
    pub(super) built: HashSet<(String, String)>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Package {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
    #[serde(default)]
    pub(super) source: Option<String>,
    #[serde(default)]
    pub(super) dependencies: Vec<Dependency>,
    #[serde(default)]
    pub(super) targets: Vec<Target>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// `None` for an ordinary dependency, else `dev` or `build`.
    pub(super) kind: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Target {
    pub(super) src_path: String,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Resolve {
    pub(super) nodes: Vec<Node>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) deps: Vec<NodeDependency>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct NodeDependency {
    pub(super) pkg: String,
}

/// Reads `name v1.2.3 (place) (*)`, a line of `cargo tree`.
fn name_and_version(line: &str) -> Option<(String, String)> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    let version = words.next()?.strip_prefix('v')?;
    Some((name.to_owned(), version.to_owned()))
}

/// A crate's name and what it imports, each with its kind.
#[cfg(test)]
pub(super) type Sketch<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)]);

impl Metadata {
    pub(super) fn read() -> Result<Self> {
        let json = shell::output(shell::cargo().args([
            "metadata",
            "--format-version",
            "1",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ]))?;
        let mut metadata: Self =
            serde_json::from_str(&json).context("read what `cargo metadata` says")?;
        let tree = shell::output(shell::cargo().args([
            "tree",
            "--package",
            PRODUCT,
            "--edges",
            "normal,build",
            "--target",
            "x86_64-unknown-linux-gnu",
            "--prefix",
            "none",
        ]))?;
        metadata.built = tree.lines().filter_map(name_and_version).collect();
        Ok(metadata)
    }

    /// The crates of the workspace.
    pub(super) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }

    /// The crates that the default build of the product compiles.
    pub(super) fn default_build(&self) -> Vec<&Package> {
        self.packages
            .iter()
            .filter(|package| {
                let name = (package.name.clone(), package.version.clone());
                self.built.contains(&name)
            })
            .collect()
    }

    /// A workspace of crates and what they import, for tests of rules.
    #[cfg(test)]
    pub(super) fn of(crates: &[Sketch<'_>]) -> Self {
        let packages: Vec<Package> = crates
            .iter()
            .map(|(name, dependencies)| Package {
                id: (*name).to_owned(),
                name: (*name).to_owned(),
                dependencies: dependencies
                    .iter()
                    .map(|(name, kind)| Dependency {
                        name: (*name).to_owned(),
                        kind: kind.map(str::to_owned),
                    })
                    .collect(),
                ..Package::default()
            })
            .collect();
        Self {
            workspace_members: packages.iter().map(|package| package.id.clone()).collect(),
            packages,
            ..Self::default()
        }
    }
}
