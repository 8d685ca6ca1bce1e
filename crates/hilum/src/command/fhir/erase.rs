//! `hilum fhir erase`: what erasing would remove, and with `--yes` erasing.

use anyhow::bail;
use http::{Method, StatusCode};
use serde_json::Value;

use super::server::{Server, said};
use crate::args::FhirErase;
use crate::command::node::part;
use crate::output::{Exit, Output};

pub(super) fn run(arguments: &FhirErase, output: &Output) -> anyhow::Result<Exit> {
    let Some((kind, id)) = arguments.resource.split_once('/') else {
        bail!("a resource is named by type and id, such as Patient/p1");
    };
    let server = Server::of(&arguments.node)?;
    let mode = if arguments.yes { "erase" } else { "preview" };
    let alone = if arguments.alone && kind == "Patient" {
        "&compartment=false"
    } else {
        ""
    };
    let path = format!("/{}/{}/$erase?mode={mode}{alone}", part(kind), part(id));
    let mut answer = server.good(Method::POST, &path, &[], String::new())?;
    if answer.status == StatusCode::ACCEPTED {
        let at = answer.headers.get("content-location");
        let at = at.and_then(|at| at.to_str().ok()).unwrap_or_default();
        answer = server.ended(server.path(at)?, |_| {})?;
        if !answer.status.is_success() {
            bail!("{}", said(&answer));
        }
    }
    if output.json() {
        output.value(&answer.body)?;
        return Ok(Exit::Done);
    }
    let list = answer.body["parameter"].as_array();
    let list: Vec<&Value> = list.into_iter().flatten().collect();
    let counts = |name: &'static str| list.iter().filter(move |one| one["name"] == name);
    let verb = if arguments.yes {
        "erased"
    } else {
        "would be erased"
    };
    for one in counts("type") {
        let (kind, count) = (
            &one["part"][0]["valueCode"],
            &one["part"][1]["valueInteger"],
        );
        let kind = kind.as_str().unwrap_or_default();
        output.line(format_args!("{kind}  {count} {verb}"));
    }
    for one in counts("left") {
        let (kind, count) = (
            &one["part"][0]["valueCode"],
            &one["part"][1]["valueInteger"],
        );
        let kind = kind.as_str().unwrap_or_default();
        output.line(format_args!("{kind}  {count} name the patient and stay"));
    }
    for one in counts("jobs") {
        let count = &one["valueInteger"];
        output.line(format_args!(
            "{count} jobs are kept, whose files may hold copies"
        ));
    }
    if !arguments.yes {
        output.note("nothing was erased; --yes does it, for good");
    } else if counts("overwritten").any(|one| one["valueBoolean"] == false) {
        output.note("the files may still hold what was erased; the server cleans them by itself where it can");
    }
    Ok(Exit::Done)
}
