//! `hilum convert`

mod apart;
mod input;
mod loose;
mod rows;
mod site;
mod store;
mod to_fhir;
mod to_v2;
mod watch;
mod why;

use std::sync::Arc;

use anyhow::bail;
use hilum_convert::{Maps, Problems, Zone};

use crate::args::{Convert, ConvertForm};
use crate::output::{Exit, Output};

/// Does what the arguments ask for.
pub(crate) fn run(arguments: &Convert, output: &Output) -> anyhow::Result<Exit> {
    let overlay = match (&arguments.maps, &arguments.site) {
        (Some(folder), _) => input::map_files(folder)?,
        // A site without rows of its own has those of hilum.
        (None, Some(site)) if !site.join("maps").exists() && site.is_dir() => Vec::new(),
        (None, Some(site)) => input::map_files(&site.join("maps"))?,
        (None, None) => Vec::new(),
    };
    let texts: Vec<(&str, &str)> = overlay
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let maps = match Maps::with_site(&texts) {
        Ok(maps) => maps,
        Err(Problems(problems)) => {
            for problem in &problems {
                output.note(problem);
            }
            return Ok(Exit::Found);
        }
    };
    if arguments.rows {
        return rows::run(arguments, &maps, output);
    }
    let Some(declared) = site::Declared::read(arguments, output)? else {
        return Ok(Exit::Found);
    };
    match (arguments.from, arguments.to) {
        (ConvertForm::Hl7v2, ConvertForm::Fhir) => {
            if arguments.query.is_some() {
                bail!("a query finds resources; write --from fhir --to hl7v2");
            }
            to_fhir::run(arguments, &declared, &maps, &overlay, output)
        }
        (ConvertForm::Fhir, ConvertForm::Hl7v2) => {
            to_v2::run(arguments, &declared, &maps, &overlay, output)
        }
        _ => bail!("write --from hl7v2 --to fhir, or --from fhir --to hl7v2"),
    }
}

fn zone(text: &str) -> anyhow::Result<Arc<dyn Zone>> {
    hilum_steps::zone::named(text).map_err(anyhow::Error::msg)
}

/// Now, as an instant of FHIR.
fn now() -> String {
    let now = jiff::Timestamp::now();
    now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
