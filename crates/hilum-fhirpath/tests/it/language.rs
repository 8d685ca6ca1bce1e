//! The language, in tables.

use crate::json::Json;
use crate::run;

fn check(text: &str, expected: &[&str]) {
    let document = Json::parse(r#"{"a": 1}"#);
    assert_eq!(
        run(&document, text).as_deref(),
        Ok(&expected.map_owned()[..]),
        "{text}"
    );
}

trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for [&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|s| (*s).to_owned()).collect()
    }
}

#[test]
fn operators_bind_as_the_grammar_says() {
    check("1 + 2 * 3", &["7"]);
    check("2 * 3 + 1 = 7 and true", &["true"]);
}
