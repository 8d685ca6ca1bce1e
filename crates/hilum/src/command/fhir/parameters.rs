//! `hilum fhir search-parameters`: what searches find besides the standard's, and how far the index is.

use http::Method;
use serde_json::Value;

use super::server::Server;
use crate::args::FhirParameters;
use crate::command::node::table;
use crate::output::{Exit, Output};

pub(super) fn run(arguments: &FhirParameters, output: &Output) -> anyhow::Result<Exit> {
    let server = Server::of(&arguments.node)?;
    let method = if arguments.rebuild {
        Method::POST
    } else {
        Method::GET
    };
    let answer = server.good(method, "/$reindex", &[], String::new())?;
    if output.json() {
        output.value(&answer.body)?;
        return Ok(Exit::Done);
    }
    let list = answer.body["parameter"].as_array();
    let list: Vec<&Value> = list.into_iter().flatten().collect();
    let one = |name: &str, value: &str| {
        let found = list.iter().find(|one| one["name"] == name);
        found.map(|one| one[value].clone()).unwrap_or_default()
    };
    let state = one("state", "valueCode");
    let state = state.as_str().unwrap_or_default();
    match (one("done", "valueInteger"), one("total", "valueInteger")) {
        (Value::Number(done), Value::Number(total)) => {
            output.line(format_args!("index {state}: {done} of {total} resources"));
        }
        _ => output.line(format_args!("index {state}")),
    }
    let parts = list.iter().filter(|one| one["name"] == "searchParameter");
    let rows: Vec<Vec<String>> = parts.map(|one| row(&one["part"])).collect();
    table(&rows, output);
    Ok(Exit::Done)
}

/// Type and code, state, what it was found to find.
fn row(parts: &Value) -> Vec<String> {
    let of = |name: &str| {
        let mut parts = parts.as_array().into_iter().flatten();
        parts.find(|part| part["name"] == name)
    };
    let text = |name: &str, value: &str| {
        let part = of(name).map(|part| part[value].clone());
        match part.unwrap_or_default() {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        }
    };
    let found = match (
        text("found", "valueInteger"),
        text("resources", "valueInteger"),
    ) {
        (found, resources) if resources.is_empty() || found.is_empty() => String::new(),
        (found, resources) => format!("finds {found} of {resources}"),
    };
    vec![
        format!(
            "  {}?{}",
            text("base", "valueCode"),
            text("code", "valueCode")
        ),
        text("state", "valueCode"),
        found,
        text("definition", "valueUri"),
    ]
}
