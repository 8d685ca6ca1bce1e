//! Other YAML files of the tree, read by the same rules: what has no schema of a site.

use serde_json::Value as Json;

use super::{Files, Kind, Node, SourceFile, parse};
use crate::diagnostic::Report;

/// The documents of a YAML file as JSON in which every scalar is text, just as it is written; what
/// is empty is `null`.
///
/// # Errors
/// Everything that is wrong with the file, by line.
pub fn yaml_texts(path: &str, text: &str) -> Result<Vec<Json>, String> {
    let mut files = Files::default();
    let id = files.add(SourceFile::new(path, text));
    let parsed = parse(&files, id);
    let mut report = Report::default();
    report.extend(parsed.problems);
    if report.errors() > 0 {
        return Err(crate::render(&report.finish(&files)));
    }
    Ok(parsed.documents.iter().map(json).collect())
}

fn json(node: &Node) -> Json {
    match &node.kind {
        Kind::Scalar(scalar) if scalar.value == super::Value::Null => Json::Null,
        Kind::Scalar(scalar) => Json::String(scalar.text.clone()),
        Kind::List(items) => Json::Array(items.iter().map(json).collect()),
        Kind::Map(entries) => {
            let entries = entries.iter();
            Json::Object(
                entries
                    .map(|(key, value)| (key.text.clone(), json(value)))
                    .collect(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_scalar_as_the_text_that_it_is() {
        let read = yaml_texts("a.yaml", "at: 07:00\nvalue: 4.10\nnone:\nlist: [yes, 1]\n");
        let expected = serde_json::json!([
            { "at": "07:00", "value": "4.10", "none": null, "list": ["yes", "1"] }
        ]);
        assert_eq!(read.map(Json::Array), Ok(expected));
    }

    #[test]
    fn says_where_a_file_is_wrong() {
        let error = yaml_texts("a.yaml", "a: 1\na: 2\n").unwrap_err();
        assert!(error.contains("a.yaml:2"), "{error}");
    }
}
