//! A table in its site: where it is used, and how much a wrong row of it can do.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use hilum_codes::{Mistake, Risk, Row, Table, TableOptions};
use hilum_config::{PartSummary, Secrets, SiteSummary, SystemSummary, load};

use super::super::check::options;
use crate::args::SiteArgs;
use crate::components::registry;

/// The step that uses tables.
const TRANSLATE: &str = "translate";

/// A place where a table is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) channel: String,
    pub(super) field: String,
    pub(super) declared: bool,
    pub(super) reverse: bool,
}

/// What is known of a table beside its rows.
#[derive(Debug)]
pub(super) struct Known {
    /// As the channels name it; its file name where no site does.
    pub(super) name: String,
    pub(super) uses: Vec<Use>,
}

/// The files of tables and where a site uses them.
pub(super) fn used(site: &SiteSummary) -> Vec<(String, Use)> {
    let mut found = Vec::new();
    for channel in &site.channels {
        let own = channel.destinations.iter().flat_map(|to| &to.steps);
        for step in channel.steps.iter().chain(own) {
            if step.component == TRANSLATE {
                found.extend(of_step(site, &channel.name, step));
            }
        }
    }
    found
}

/// The table of a step, or those of all systems that it chooses from.
fn of_step(site: &SiteSummary, channel: &str, step: &PartSummary) -> Vec<(String, Use)> {
    let value = |name: &str| {
        let rule = step.rules.iter().find(|rule| rule.target == name)?;
        Some(rule.rule.clone())
    };
    let used = Use {
        channel: channel.to_owned(),
        field: value("field").unwrap_or_default(),
        declared: value("risk").as_deref() == Some("high"),
        reverse: value("reverse").as_deref() == Some("true"),
    };
    if let Some(table) = value("table") {
        return vec![(table, used)];
    }
    let (Some(folder), Some(group)) = (value("tables"), value("group")) else {
        return Vec::new();
    };
    let of_group = |system: &&SystemSummary| system.group.as_ref() == Some(&group);
    let systems = site.systems.iter().filter(of_group);
    systems
        .map(|system| (format!("{folder}/{}.csv", system.name), used.clone()))
        .collect()
}

impl Known {
    /// A table of a site that was loaded.
    pub(super) fn of(site: &SiteSummary, name: &str) -> Self {
        let uses = used(site).into_iter();
        Self {
            name: name.to_owned(),
            uses: uses
                .filter(|(table, _)| table == name)
                .map(|(_, used)| used)
                .collect(),
        }
    }

    /// A table by its file: of the site named, or of the one in a folder above it.
    pub(super) fn find(table: &Path, site: Option<&Path>) -> anyhow::Result<Self> {
        let file = table
            .canonicalize()
            .with_context(|| format!("there is no table {}", table.display()))?;
        let above = |folder: &&Path| folder.join("hilum.yaml").is_file();
        let folder = match site {
            Some(site) => Some(
                site.canonicalize()
                    .with_context(|| format!("there is no folder {}", site.display()))?,
            ),
            None => file.ancestors().skip(1).find(above).map(Path::to_path_buf),
        };
        let Some(folder) = folder else {
            return Ok(Self::alone(&file));
        };
        let Ok(inside) = file.strip_prefix(&folder) else {
            bail!("{} does not lie in {}", table.display(), folder.display());
        };
        let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
        let arguments = SiteArgs {
            site: folder.clone(),
            environment: None,
        };
        // What is wrong elsewhere does not matter here: the summary names the steps all the same.
        let loaded = load(&folder, &registry(), &options(&arguments, Secrets::Unread));
        Ok(Self::of(&loaded.site, &parts.join("/")))
    }

    fn alone(file: &Path) -> Self {
        let name = file.file_name().unwrap_or_default();
        Self {
            name: name.to_string_lossy().into_owned(),
            uses: Vec::new(),
        }
    }

    /// Why a row of it needs two people, if it does; rows count whatever their status.
    pub(super) fn risk(&self, rows: &[Row]) -> Option<Risk> {
        if self.uses.iter().any(|used| used.declared) {
            return Some(Risk::Declared);
        }
        let of_row = |row: &Row| {
            Risk::of_system(&row.from.system).or_else(|| Risk::of_system(&row.to.system))
        };
        self.uses
            .iter()
            .find_map(|used| Risk::of_field(&used.field))
            .or_else(|| Risk::of_name(&self.name))
            .or_else(|| rows.iter().find_map(of_row))
    }

    /// What would keep a site with this table from being good.
    pub(super) fn mistakes(&self, bytes: &[u8]) -> Vec<Mistake> {
        let none = Use {
            channel: String::new(),
            field: String::new(),
            declared: false,
            reverse: false,
        };
        let uses: &[Use] = if self.uses.is_empty() {
            std::slice::from_ref(&none)
        } else {
            &self.uses
        };
        let mut all = Vec::new();
        for used in uses {
            let options = TableOptions {
                name: &self.name,
                field: &used.field,
                declared: used.declared,
                reverse: used.reverse,
            };
            for mistake in Table::read(bytes, options).err().unwrap_or_default() {
                if !all.contains(&mistake) {
                    all.push(mistake);
                }
            }
        }
        all
    }
}

/// Mistakes as one text.
pub(super) fn told(name: &str, mistakes: &[Mistake]) -> String {
    let lines = mistakes.iter().map(|mistake| {
        let remedy = mistake.remedy.as_ref();
        let remedy = remedy
            .map(|text| format!("\n    {text}"))
            .unwrap_or_default();
        format!("  {name}, {mistake}{remedy}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Writes a table at once: whoever reads it finds it as it was or as it is now.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let trouble = || format!("cannot write {}", file.display());
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside: PathBuf = file.with_file_name(name);
    let write = || -> std::io::Result<()> {
        fs::write(&beside, bytes)?;
        fs::set_permissions(&beside, fs::metadata(file)?.permissions())?;
        fs::File::open(&beside)?.sync_all()?;
        fs::rename(&beside, file)
    };
    write().with_context(trouble)
}
