//! `hilum init`
//!
//! The folder that it writes is a site that passes `hilum check` and `hilum test`; the tests of
//! this program hold it to that.

use std::path::Path;

use anyhow::{Context, bail};
use serde_json::json;

use crate::args::Init;
use crate::output::{Exit, Output};

/// The files of the new site. The sample is written with the line ends of HL7.
const FILES: [(&str, &str); 6] = [
    ("hilum.yaml", include_str!("hilum.yaml")),
    ("systems/pas.yaml", include_str!("pas.yaml")),
    ("systems/ehr.yaml", include_str!("ehr.yaml")),
    ("channels/admissions.yaml", include_str!("admissions.yaml")),
    (
        "channels/admissions.test.yaml",
        include_str!("admissions.test.yaml"),
    ),
    ("samples/a01.hl7", include_str!("a01.hl7")),
];

pub(crate) fn run(arguments: &Init, output: &Output) -> anyhow::Result<Exit> {
    let folder = &arguments.folder;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut inside = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder {}", folder.display()))?;
    if inside.next().is_some() {
        bail!(
            "{} is not empty; choose a folder that is new or empty",
            folder.display()
        );
    }
    for (name, text) in FILES {
        let text = if name.ends_with(".hl7") {
            text.replace('\n', "\r")
        } else {
            text.to_owned()
        };
        write(&folder.join(name), &text)?;
        if !output.json() {
            output.line(format_args!("  {}", folder.join(name).display()));
        }
    }
    if output.json() {
        output.value(&json!({ "folder": folder, "files": FILES.map(|(name, _)| name) }))?;
    } else {
        next_steps(folder, output);
    }
    Ok(Exit::Done)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)
            .with_context(|| format!("cannot make the folder {}", parent.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn next_steps(folder: &Path, output: &Output) {
    let site = folder.display();
    output.line(format_args!(
        "
A site that takes admissions and passes them on. Try it:
  hilum check {site}
  hilum test {site} --coverage
and, each in a terminal of its own:
  hilum receive mllp://127.0.0.1:2576
  hilum run {site} --data {site}.data
  hilum send mllp://127.0.0.1:2575 {site}/samples/a01.hl7
  hilum status"
    ));
}
