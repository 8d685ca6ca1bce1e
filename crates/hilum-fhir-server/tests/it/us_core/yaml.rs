//! YAML as JSON, for the lists of requirements: maps, lists and texts.

use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value};

/// What is being read: a list, or a map with the key that waits for its value.
enum Open {
    List(Vec<Value>),
    Map(Map<String, Value>, Option<String>),
}

/// The document; every scalar is a text, and keys lose the colon that Ruby's symbols begin with.
pub(super) fn read(text: &str) -> Value {
    let mut open: Vec<Open> = Vec::new();
    let mut document = Value::Null;
    for event in Parser::new_from_str(text) {
        let done = match event.unwrap().0 {
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop().unwrap() {
                Open::List(items) => Value::Array(items),
                Open::Map(map, _) => Value::Object(map),
            },
            Event::Scalar(text, ..) => Value::String(text.trim_start_matches(':').to_owned()),
            _ => continue,
        };
        match open.last_mut() {
            None => document = done,
            Some(Open::List(items)) => items.push(done),
            Some(Open::Map(map, waiting)) => match waiting.take() {
                Some(key) => drop(map.insert(key, done)),
                None => *waiting = Some(done.as_str().unwrap().to_owned()),
            },
        }
    }
    document
}
