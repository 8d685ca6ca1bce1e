//! Every limit has a name and a case just over it.

use hilum_fhirpath::{Env, Expression, NESTING_MAX, Options, Tree};

use crate::json::Json;
use crate::now;

#[test]
fn nesting_is_bounded() {
    let nested = |n: usize| format!("{}1{}", "(".repeat(n), ")".repeat(n));
    assert!(Expression::compile(&nested(NESTING_MAX - 1), &Options::default()).is_ok());
    assert!(Expression::compile(&nested(NESTING_MAX), &Options::default()).is_err());
    assert!(Expression::compile(&nested(100_000), &Options::default()).is_err());
}

#[test]
fn fuel_ends_what_would_not_end() {
    let document = Json::parse(r#"{"a": {"b": 1}}"#);
    let expression = Expression::compile("a.repeatAll($this)", &Options::default()).unwrap();
    let env = Env::new(now());
    assert!(
        expression
            .evaluate(&document, document.root(), &env)
            .is_err()
    );
}
