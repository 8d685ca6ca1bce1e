//! The language, on a small tree of JSON and a small dialect of segments.

#![expect(clippy::unwrap_used, clippy::string_slice, reason = "helpers of tests")]

mod dialect;
mod json;
mod language;
mod limits;
mod suite;

use hilum_fhirpath::{Collection, Env, Expression, Item, Moment, Options, Value};

/// 2024-02-29T13:14:15.016+01:00.
pub(crate) fn now() -> Moment {
    Moment::from_unix_millis(1_709_208_855_016, 60)
}

/// An item as expressions write it: texts bare, dates with `@`.
pub(crate) fn show(item: &Item<'_>) -> String {
    let value = match item.value() {
        Some(value) => value,
        None => return "(node)".to_owned(),
    };
    match &value {
        Value::Date(m) | Value::DateTime(m) => format!("@{m}"),
        Value::Time(t) => format!("@T{t}"),
        _ => value.into_text().into_owned(),
    }
}

/// The result as a list, or the error.
pub(crate) fn run(document: &json::Json, text: &str) -> Result<Vec<String>, String> {
    let expression =
        Expression::compile(text, &Options::default()).map_err(|e| format!("compile: {e}"))?;
    let env = Env::new(now());
    let found: Collection<'_> = expression
        .evaluate(document, hilum_fhirpath::Tree::root(document), &env)
        .map_err(|e| e.to_string())?;
    Ok(found.iter().map(show).collect())
}
