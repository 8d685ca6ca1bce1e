//! `hilum docs`

use anyhow::Context;
use hilum_config::{Folder, Form, Secrets, document, summary};
use serde_json::json;

use super::check::load_site;
use crate::args::Docs;
use crate::output::{Exit, Output};

/// The files that are written, and their form.
const FILES: [(&str, Form); 2] = [("index.html", Form::Html), ("mapping.md", Form::Markdown)];

pub(crate) fn run(arguments: &Docs, output: &Output) -> anyhow::Result<Exit> {
    let loaded = load_site(&arguments.site, Secrets::Unread, output)?;
    if loaded.errors() > 0 {
        output.note(summary(&loaded.diagnostics, loaded.files));
        return Ok(Exit::Found);
    }
    let folder = Folder::on_disk(&arguments.site.site.canonicalize()?);
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("cannot make the folder {}", arguments.out.display()))?;
    for (name, form) in FILES {
        let path = arguments.out.join(name);
        std::fs::write(&path, document(&loaded.site, &folder, form))
            .with_context(|| format!("cannot write {}", path.display()))?;
        if output.json() {
            output.value(&json!({ "written": path.display().to_string() }))?;
        } else {
            output.line(path.display());
        }
    }
    Ok(Exit::Done)
}
