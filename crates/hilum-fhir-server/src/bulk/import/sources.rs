//! The files that an import is asked to read: only regular files below the folder that the site
//! names, whatever links and dots a name holds, and what lies below a URL that it names.

use std::io;
use std::path::{Path, PathBuf};

use hilum_fhir::definitions::Definitions;
use hilum_fhir::{IssueType, Node};
use serde_json::Value;

use super::{Input, remote};
use crate::call::Call;
use crate::fault::Fault;
use crate::interaction::type_named;
use crate::jobs::blocking;
use crate::request::{Format, decode};

/// What a request says of one input: type and URL.
type Named = (Option<String>, String);

/// The inputs of a request.
pub(super) async fn inputs(call: &Call) -> Result<Vec<Input>, Fault> {
    let named = match call.body.format()? {
        Format::Json => match serde_json::from_slice::<Value>(&call.body.bytes) {
            Ok(manifest) if manifest.get("resourceType").is_none() => of_manifest(&manifest)?,
            // What is no JSON is told by the reader of resources, with its place.
            Ok(_) | Err(_) => of_parameters(call).await?,
        },
        Format::Xml => of_parameters(call).await?,
    };
    if named.is_empty() {
        let text = "the import names no `input`";
        return Err(Fault::bad(IssueType::Required, text));
    }
    let most = call.fhir.limits.import_inputs_max;
    if named.len() > most {
        let text = format!("the import names more than {most} files");
        return Err(Fault::bad(IssueType::TooCostly, text));
    }
    let mut inputs = Vec::with_capacity(named.len());
    for (resource_type, url) in named {
        if let Some(name) = &resource_type {
            type_named(call, name)?;
        }
        let path = if remote::is(&url) {
            remote::allowed(&call.fhir, &url)?;
            String::new()
        } else {
            file(call, &url).await?.to_string_lossy().into_owned()
        };
        inputs.push(Input {
            path,
            url: Some(url),
            resource_type,
        });
    }
    Ok(inputs)
}

fn wrong(text: &str) -> Fault {
    Fault::bad(IssueType::Value, text)
}

fn format(text: &str) -> Result<(), Fault> {
    if matches!(
        text,
        "application/fhir+ndjson" | "application/ndjson" | "ndjson"
    ) {
        return Ok(());
    }
    Err(wrong("`inputFormat` is application/fhir+ndjson"))
}

/// The form of the SMART bulk import proposal.
fn of_manifest(manifest: &Value) -> Result<Vec<Named>, Fault> {
    let members = manifest
        .as_object()
        .ok_or_else(|| wrong("the manifest is no JSON object"))?;
    let mut named = Vec::new();
    for (name, value) in members {
        match name.as_str() {
            "inputFormat" => format(value.as_str().unwrap_or_default())?,
            "inputSource" | "storageDetail" => {}
            "input" => {
                for input in value.as_array().into_iter().flatten() {
                    let text = |name: &str| input[name].as_str().map(str::to_owned);
                    let url = text("url").ok_or_else(|| wrong("an `input` has no `url`"))?;
                    named.push((text("type"), url));
                }
            }
            _ => return Err(unknown(name)),
        }
    }
    Ok(named)
}

/// The same as a Parameters resource.
async fn of_parameters(call: &Call) -> Result<Vec<Named>, Fault> {
    let parameters = Definitions::r4().type_named("Parameters");
    let resource = call.resource(parameters).await?;
    let mut named = Vec::new();
    for parameter in resource.root().children_named("parameter") {
        match parameter.child_text("name").unwrap_or_default() {
            "inputFormat" => format(value(parameter).unwrap_or_default())?,
            "inputSource" | "storageDetail" => {}
            "input" => {
                let part = |wanted: &str| {
                    let parts = parameter.children_named("part");
                    let mut parts = parts.filter(|part| part.child_text("name") == Some(wanted));
                    parts.next().and_then(value).map(str::to_owned)
                };
                let url = part("url").ok_or_else(|| wrong("an `input` has no `url`"))?;
                named.push((part("type"), url));
            }
            name => return Err(unknown(name)),
        }
    }
    Ok(named)
}

fn value(node: Node<'_>) -> Option<&str> {
    let mut children = node.children();
    let value = children.find(|child| child.name().starts_with("value"));
    value.and_then(Node::text)
}

fn unknown(name: &str) -> Fault {
    let name: String = name.chars().take(64).collect();
    let text = format!("an import takes no parameter `{name}`");
    Fault::bad(IssueType::NotSupported, text)
}

/// The file that a URL names.
async fn file(call: &Call, url: &str) -> Result<PathBuf, Fault> {
    let Some(folder) = call.fhir.import_folder.clone() else {
        let text = "files are imported from the folder `fhir: import-folder`, which is not set; \
                    send the lines as the body";
        return Err(Fault::bad(IssueType::NotSupported, text));
    };
    let name = url
        .strip_prefix("file://")
        .or_else(|| url.strip_prefix("file:"));
    let name = name.unwrap_or(url);
    if name.contains("://") {
        let text = "an input is a file below the import folder, or a URL of http or https";
        return Err(Fault::bad(IssueType::NotSupported, text));
    }
    let name = decode(name).map_err(|_| wrong("the URL of an input is not UTF-8"))?;
    let found = blocking(move || Ok(below(&folder, &name).ok())).await?;
    found.ok_or_else(|| {
        let text = "an input is no file below the import folder";
        Fault::bad(IssueType::NotFound, text)
    })
}

/// The real place of a file, which has to be below the real place of a folder.
fn below(folder: &Path, name: &str) -> io::Result<PathBuf> {
    let folder = folder.canonicalize()?;
    let path = folder.join(name).canonicalize()?;
    if !path.starts_with(&folder) || !path.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(path)
}
