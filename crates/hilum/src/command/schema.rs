//! `hilum schema`

use anyhow::Context;
use hilum_config::{SCHEMA_FILES, schema};
use hilum_steps::script::DECLARATIONS;

use crate::args::Schema;
use crate::components::registry;
use crate::output::{Exit, Output};

pub(crate) fn run(arguments: &Schema, output: &Output) -> anyhow::Result<Exit> {
    let all = schema(&registry());
    let chosen = |name: &str| arguments.file.as_deref().is_none_or(|only| only == name);
    if let Some(folder) = &arguments.out {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        for (name, files) in SCHEMA_FILES.into_iter().filter(|(name, _)| chosen(name)) {
            let path = folder.join(format!("{name}.schema.json"));
            let text = serde_json::to_string_pretty(&all[name])?;
            std::fs::write(&path, text + "\n")
                .with_context(|| format!("cannot write {}", path.display()))?;
            output.line(format_args!("{} for {files}", path.display()));
        }
        if arguments.file.is_none() {
            let path = folder.join("hilum.d.ts");
            std::fs::write(&path, DECLARATIONS)
                .with_context(|| format!("cannot write {}", path.display()))?;
            output.line(format_args!("{} for scripts/*.js", path.display()));
        }
        return Ok(Exit::Done);
    }
    let value = match &arguments.file {
        Some(name) => &all[name.as_str()],
        None => &all,
    };
    if output.json() {
        output.value(value)?;
    } else {
        output.line(serde_json::to_string_pretty(value)?);
    }
    Ok(Exit::Done)
}
