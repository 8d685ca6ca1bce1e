//! Delimited text: CSV, TSV and their relatives, with a row of names first unless told otherwise.
//!
//! Paths are `row[0].mrn`, counted from 0, by the names of the header, or `row.c2`.

use std::sync::Arc;

use hilum_component::{
    Build, ComponentSpec, Document, Example, Format, FormatOptions, Identity, Limit, ParseReject,
    Target,
};
use hilum_message::Payload;
use hilum_tree::{DelimitedDocument, DelimitedOptions, Limits};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::tree_document::{TreeDocument, target};

/// How delimited text is read.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Config {
    /// One character between cells, or `tab`; found in the first line if it is not given.
    separator: Option<String>,
    /// One character around cells, or `none`; `"` if it is not given.
    quote: Option<String>,
    /// The first row names the columns; so it does unless told otherwise.
    header: Option<bool>,
}

/// What documentation, editor and checks know of the format.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "delimited",
        summary: "delimited text: CSV, TSV and their relatives",
        schema: || schemars::schema_for!(Config).to_value(),
        shorthand: None,
        examples: &[Example {
            title: "A channel of CSV",
            yaml: "format: delimited",
            effect: None,
        }],
        limits: &[
            Limit {
                name: "bytes-max",
                value: "256MB",
                beyond: "the message is rejected",
            },
            Limit {
                name: "nodes-max",
                value: "8000000 cells",
                beyond: "the message is rejected",
            },
        ],
        build: Build::Format(build),
    }
}

fn build(options: &FormatOptions) -> Result<Arc<dyn Format>, String> {
    let settings = serde_json::Value::Object(options.settings.clone());
    let config: Config = serde_json::from_value(settings).map_err(|error| error.to_string())?;
    let mut parsed = DelimitedOptions {
        header: config.header.unwrap_or(true),
        ..Default::default()
    };
    if let Some(quote) = config.quote.as_deref() {
        parsed.quote = if quote == "none" {
            None
        } else {
            Some(byte("quote", quote)?)
        };
    }
    let separator = config
        .separator
        .as_deref()
        .map(|text| byte("separator", text))
        .transpose()?;
    if separator.is_some() && separator == parsed.quote {
        return Err("separator and quote are the same".to_owned());
    }
    if let Some(charset) = options.charset.as_deref() {
        use hilum_hl7v2::charset::{Charset, CharsetName};
        match Charset::named(charset) {
            CharsetName::Known(Charset::Table(table)) => parsed.fallback = table,
            CharsetName::Known(_) => {}
            CharsetName::Unknown => {
                return Err("no such character set".to_owned());
            }
        }
    }
    Ok(Arc::new(Delimited {
        options: parsed,
        separator,
    }))
}

fn byte(key: &str, text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" => Ok(b'\t'),
        [byte] if *byte != b'\r' && *byte != b'\n' && byte.is_ascii() => Ok(*byte),
        _ => Err(format!("{key} is one ASCII character, or `tab`")),
    }
}

struct Delimited {
    options: DelimitedOptions,
    separator: Option<u8>,
}

/// The candidate that occurs most often in the first line, the comma if none does.
fn found_separator(text: &[u8]) -> u8 {
    let line = text
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .next()
        .unwrap_or_default();
    let count = |separator: u8| line.iter().filter(|byte| **byte == separator).count();
    let best = [b'|', b'\t', b';', b',']
        .into_iter()
        .max_by_key(|&separator| count(separator));
    best.unwrap_or(b',')
}

impl Format for Delimited {
    fn name(&self) -> &'static str {
        "delimited"
    }

    fn sniff(&self, start: &[u8]) -> bool {
        let line = start
            .split(|byte| matches!(byte, b'\r' | b'\n'))
            .next()
            .unwrap_or_default();
        line.contains(&self.separator.unwrap_or_else(|| found_separator(start)))
    }

    fn parse(&self, payload: &Payload) -> Result<Box<dyn Document>, ParseReject> {
        TreeDocument::read("delimited", payload, |text| {
            let separator = self.separator.unwrap_or_else(|| found_separator(text));
            let options = DelimitedOptions {
                separator,
                ..self.options
            };
            DelimitedDocument::parse(text, options, &Limits::default())
        })
    }

    fn identify(&self, _document: &dyn Document) -> Identity {
        Identity::default()
    }

    fn target(&self, path: &str) -> Result<Target, String> {
        target(path)
    }
}
