//! Checking every environment of a site at once.

use std::path::Path;

use hilum_component::Registry;

use super::{Loaded, Options, load_folder};
use crate::diagnostic::Diagnostic;
use crate::site::{Folder, Secrets};

/// Loads a site as it is chosen. Where no environment is named, every other one of the folder is
/// checked too: what is wrong there only is reported with its name, and there is no plan. Its
/// secrets belong to another node and are not looked up.
#[must_use]
pub fn load_all(folder: &Path, registry: &Registry, options: &Options) -> Loaded {
    let folder = Folder::on_disk(folder);
    let mut loaded = load_folder(&folder, registry, options);
    if options.environment.is_some() {
        return loaded;
    }
    let chosen = loaded.site.environment.clone();
    for path in folder.list("environments") {
        let name = path
            .strip_prefix("environments/")
            .and_then(|name| name.strip_suffix(".yaml"))
            .filter(|name| chosen.as_deref() != Some(*name));
        let Some(name) = name else { continue };
        let other = Options {
            environment: Some(name.to_owned()),
            secrets: Secrets::Unread,
            ..options.clone()
        };
        let other = load_folder(&folder, registry, &other);
        if other.errors() > 0 {
            loaded.plan = None;
        }
        for found in other.diagnostics {
            if !loaded.diagnostics.contains(&found) {
                let message = format!("{} (in the environment {name})", found.message);
                loaded.diagnostics.push(Diagnostic { message, ..found });
            }
        }
    }
    loaded
}
