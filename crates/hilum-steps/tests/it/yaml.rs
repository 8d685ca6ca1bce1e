//! The little YAML that examples are written in, as JSON values.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

pub(crate) fn parse(text: &str) -> Value {
    let mut events = Parser::new_from_str(text).map(|event| event.expect(text).0);
    loop {
        let event = events.next().expect(text);
        if !matches!(event, Event::StreamStart | Event::DocumentStart(_)) {
            return value(event, &mut events);
        }
    }
}

fn value<'t>(event: Event<'t>, events: &mut dyn Iterator<Item = Event<'t>>) -> Value {
    match event {
        Event::Scalar(text, ScalarStyle::Plain, ..) => match &*text {
            "" | "~" | "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            plain => plain
                .parse::<i64>()
                .map_or_else(|_| Value::from(plain), Value::from),
        },
        Event::Scalar(text, ..) => Value::from(&*text),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match events.next().expect("an item") {
                    Event::SequenceEnd => return Value::Array(items),
                    item => items.push(value(item, events)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut map = Map::new();
            loop {
                let key = match events.next().expect("a key") {
                    Event::MappingEnd => return Value::Object(map),
                    Event::Scalar(text, ..) => text.into_owned(),
                    other => panic!("no key: {other:?}"),
                };
                let next = events.next().expect("a value");
                let next = value(next, events);
                assert!(map.insert(key, next).is_none(), "a key is repeated");
            }
        }
        other => panic!("not expected in an example: {other:?}"),
    }
}
