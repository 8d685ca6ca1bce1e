//! Pages of the reference: one for each diagnostic, each file of a site, and each component.

use std::collections::BTreeMap;

use hilum_component::{ComponentKind, ComponentSpec, Registry};
use serde_json::{Map, Value};

use crate::check::kind_word;
use crate::diagnostic::explanations;
use crate::file::{
    AlertsFile, ChannelFile, EnvironmentFile, NodeFile, SystemFile, TestFile, schema_of,
};

const MADE: &str = "<!-- made by `cargo xtask codegen`; edit the source that it comes from -->\n\n";

/// All pages by their path below `docs/reference/`.
#[must_use]
pub fn pages(registry: &Registry) -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    diagnostics(&mut pages);
    for (name, title, schema) in [
        ("hilum.yaml", "hilum.yaml", schema_of::<NodeFile>()),
        ("systems", "systems/NAME.yaml", schema_of::<SystemFile>()),
        ("channels", "channels/NAME.yaml", schema_of::<ChannelFile>()),
        ("tests", "channels/NAME.test.yaml", schema_of::<TestFile>()),
        ("alerts.yaml", "alerts.yaml", schema_of::<AlertsFile>()),
        (
            "environments",
            "environments/NAME.yaml",
            schema_of::<EnvironmentFile>(),
        ),
    ] {
        let mut page = format!("{MADE}# {title}\n\n");
        describe(&mut page, &schema);
        pages.insert(format!("files/{name}.md"), page);
    }
    let kinds = [
        (ComponentKind::Format, "formats", "Formats"),
        (ComponentKind::Source, "sources", "Sources"),
        (ComponentKind::Step, "steps", "Steps"),
        (ComponentKind::Destination, "destinations", "Destinations"),
    ];
    for (kind, folder, title) in kinds {
        let mut index = format!("{MADE}# {title}\n\n| | |\n|---|---|\n");
        for spec in registry.of_kind(kind) {
            let name = spec.name;
            let row = format_args!(
                "| [`{name}`]({name}.md) | {} |",
                cell(&sentence(spec.summary))
            );
            line(&mut index, row);
            pages.insert(format!("{folder}/{name}.md"), component(spec));
        }
        pages.insert(format!("{folder}/README.md"), index);
    }
    pages
}

fn diagnostics(pages: &mut BTreeMap<String, String>) {
    let mut index = format!("{MADE}# Diagnostics\n\n| Code | |\n|---|---|\n");
    for known in explanations() {
        let code = known.code;
        line(
            &mut index,
            format_args!("| [{code}]({code}.md) | {} |", known.title),
        );
        let page = format!(
            "{MADE}# {code}: {}\n\n{}\n\nInstead of\n\n```yaml\n{}\n```\n\nwrite\n\n```yaml\n{}\n```\n",
            known.title, known.text, known.wrong, known.right
        );
        pages.insert(format!("diagnostics/{code}.md"), page);
    }
    pages.insert("diagnostics/index.md".to_owned(), index);
}

fn component(spec: &ComponentSpec) -> String {
    let mut page = format!(
        "{MADE}# {} `{}`\n\n{}\n",
        kind_word(spec.kind()),
        spec.name,
        sentence(spec.summary)
    );
    if let Some(key) = spec.shorthand {
        line(
            &mut page,
            format_args!("\nA bare value stands for `{key}`."),
        );
    }
    page.push('\n');
    let mut schema = (spec.schema)();
    // It mostly says what the summary says.
    if let Some(keys) = schema.as_object_mut() {
        keys.remove("description");
    }
    describe(&mut page, &schema);
    if !spec.examples.is_empty() {
        page.push_str("## Examples\n");
    }
    for example in spec.examples {
        line(
            &mut page,
            format_args!(
                "\n{}:\n\n```yaml\n{}\n```",
                example.title,
                example.yaml.trim_end()
            ),
        );
        if let Some(effect) = &example.effect {
            line(
                &mut page,
                format_args!("\n```text\n{}\n```\n", effect.before.trim_end()),
            );
            match effect.after.trim_end() {
                "" => page.push_str("The message ends here.\n"),
                after => line(&mut page, format_args!("becomes\n\n```text\n{after}\n```")),
            }
        }
    }
    if !spec.limits.is_empty() {
        page.push_str("\n## Limits\n\n| Limit | Default | Beyond it |\n|---|---|---|\n");
    }
    for limit in spec.limits {
        line(
            &mut page,
            format_args!(
                "| `{}` | {} | {} |",
                limit.name,
                cell(limit.value),
                cell(limit.beyond)
            ),
        );
    }
    page
}

/// The keys of a schema and of the definitions that it uses.
fn describe(page: &mut String, schema: &Value) {
    if let Some(text) = schema.get("description").and_then(Value::as_str) {
        line(page, format_args!("{}\n", text.replace('\n', " ")));
    }
    keys(page, schema);
    for (name, definition) in schema
        .get("$defs")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let title = name.strip_suffix("File").unwrap_or(name);
        line(page, format_args!("## {title}\n"));
        if let Some(text) = definition.get("description").and_then(Value::as_str) {
            line(page, format_args!("{}\n", text.replace('\n', " ")));
        }
        keys(page, definition);
        words(page, definition);
    }
}

fn keys(page: &mut String, schema: &Value) {
    if let Some(kind) = schema.get("x-component").and_then(Value::as_str) {
        line(
            page,
            format_args!("One key names a [{kind}](../{kind}s/).\n"),
        );
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    if properties.is_empty() {
        return;
    }
    let required = schema.get("required").and_then(Value::as_array);
    page.push_str("| Key | Value | Default | |\n|---|---|---|---|\n");
    for (name, property) in properties {
        let needed = required.is_some_and(|keys| keys.contains(&Value::from(name.as_str())));
        let default = match property.get("default") {
            _ if needed => "required".to_owned(),
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => format!("`{text}`"),
            Some(Value::Object(map)) if map.values().all(Value::is_null) => String::new(),
            Some(Value::Array(items)) if items.is_empty() => String::new(),
            Some(other) => format!("`{other}`"),
        };
        let about = property
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        line(
            page,
            format_args!(
                "| `{name}` | {} | {} | {} |",
                cell(&kind(property)),
                cell(&default),
                cell(about)
            ),
        );
    }
    page.push('\n');
}

/// The words of an enumeration, each with what it means.
fn words(page: &mut String, schema: &Value) {
    let branches = schema
        .get("oneOf")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut any = false;
    for branch in branches {
        let Some(word) = branch.get("const").and_then(Value::as_str) else {
            continue;
        };
        let about = branch
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        line(
            page,
            format_args!("- `{word}`: {}", about.replace('\n', " ")),
        );
        any = true;
    }
    for word in schema
        .get("enum")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        line(page, format_args!("- `{word}`"));
        any = true;
    }
    if any {
        page.push('\n');
    }
}

fn kind(property: &Value) -> String {
    let Some(object) = property.as_object() else {
        return "anything".to_owned();
    };
    if let Some(name) = object
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|r| r.rsplit('/').next())
    {
        let title = name.strip_suffix("File").unwrap_or(name);
        return format!("[{title}](#{})", title.to_lowercase());
    }
    if let Some(branches) = object
        .get("anyOf")
        .or_else(|| object.get("oneOf"))
        .and_then(Value::as_array)
    {
        let kinds = branches.iter().map(kind).filter(|kind| kind != "nothing");
        return kinds.collect::<Vec<_>>().join(" or ");
    }
    let types: Vec<String> = match object.get("type") {
        Some(Value::String(kind)) => vec![word(kind, object)],
        Some(Value::Array(kinds)) => {
            let kinds = kinds
                .iter()
                .filter_map(Value::as_str)
                .filter(|kind| *kind != "null");
            kinds.map(|kind| word(kind, object)).collect()
        }
        _ => Vec::new(),
    };
    if types.is_empty() {
        "anything".to_owned()
    } else {
        types.join(" or ")
    }
}

fn word(kind_name: &str, schema: &Map<String, Value>) -> String {
    match (kind_name, schema.get("format").and_then(Value::as_str)) {
        (
            "string",
            Some(format @ ("duration" | "size" | "expression" | "path" | "name" | "address")),
        ) => format.to_owned(),
        ("string", Some("system")) => "name of a system".to_owned(),
        ("string", Some("system-group")) => "group of systems".to_owned(),
        ("string", Some("site-file")) => "file of the site".to_owned(),
        ("string", Some("secret")) => "reference to a secret".to_owned(),
        ("string", Some("destination")) => "name of a destination".to_owned(),
        ("string", Some("order")) => "order domain or expression".to_owned(),
        ("string", Some("message-format")) => "name of a format".to_owned(),
        ("string", _) => "text".to_owned(),
        ("integer", _) => "whole number".to_owned(),
        ("number", _) => "number".to_owned(),
        ("boolean", _) => "true or false".to_owned(),
        ("array", _) => match schema.get("items") {
            Some(items) => format!("list of {}", kind(items)),
            None => "list".to_owned(),
        },
        ("object", _) => match schema.get("additionalProperties") {
            Some(each) if each.is_object() => format!("map to {}", kind(each)),
            _ => "map".to_owned(),
        },
        ("null", _) => "nothing".to_owned(),
        (other, _) => other.to_owned(),
    }
}

/// Text that does not end a cell of a table.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.push_str(&text.to_string());
    page.push('\n');
}
