//! From checked configuration to the struct of a step.

use hilum_component::{Halted, NotLoaded, Problem};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The schema of a step's configuration.
pub(crate) fn schema<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

/// Reads configuration that `hilum check` has held against the schema.
pub(crate) fn read<T: DeserializeOwned>(config: &Value) -> Result<T, Vec<Problem>> {
    serde_json::from_value(config.clone())
        .map_err(|error| vec![Problem::at(&[], error.to_string())])
}

/// All problems of a step together, so that a person sees them at once.
#[derive(Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    /// The value, or nothing with the problem noted.
    pub(crate) fn keep<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.0.push(problem)).ok()
    }

    pub(crate) fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// The value if nothing was wrong.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Problem>> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self.0),
        }
    }
}

/// An expression that could not be evaluated for a message.
pub(crate) fn not_evaluated(key: &str, text: &str) -> Halted {
    Halted::reject(format!("{key} could not be evaluated: {text}"))
}

/// Something of the terminology that is not there.
pub(crate) fn not_loaded(key: &str, error: &NotLoaded) -> Problem {
    Problem::at(&[key], error.to_string()).hint(
        "load it with `hilum terminology import … --activate`, and name the data folder with \
         `--data` or HILUM_DATA",
    )
}

/// An edit that is not possible in a message.
pub(crate) fn not_written(error: hilum_component::EditError) -> Halted {
    Halted::Reject {
        code: "207".to_owned(),
        path: Some(error.path),
        text: error.reason,
    }
}
