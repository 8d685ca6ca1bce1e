//! Which of two values is greater, as expressions see it.

use std::sync::OnceLock;

use hilum_fhirpath::{self as fhirpath, Collection, Env, Expression, Moment, Options, Variables};

use crate::resource::Node;

/// Makes the other value `%bound`.
struct Bound<'b>(Node<'b>);

impl Variables for Bound<'_> {
    fn variable<'v>(&'v self, name: &str) -> Option<Collection<'v>> {
        (name == "bound").then(|| {
            Collection::one(fhirpath::Node {
                tree: self.0.resource(),
                id: self.0.id(),
            })
        })
    }
}

/// Whether a value is less (`<`) or greater (`>`) than another; what cannot be compared is neither.
pub(super) fn holds(node: Node<'_>, operator: &str, bound: Node<'_>) -> bool {
    static LESS: OnceLock<Option<Expression>> = OnceLock::new();
    static MORE: OnceLock<Option<Expression>> = OnceLock::new();
    let compile = |text: &str| {
        let options = Options {
            variables: &["bound"],
            ..Options::default()
        };
        Expression::compile(text, &options).ok()
    };
    let expression = match operator {
        "<" => LESS.get_or_init(|| compile("$this < %bound")),
        _ => MORE.get_or_init(|| compile("$this > %bound")),
    };
    let Some(expression) = expression else {
        return false;
    };
    // Nothing in it asks for the time.
    let variables = Bound(bound);
    let env = Env::new(Moment::from_unix_millis(0, 0)).with_variables(&variables);
    let found = expression.holds(node.resource(), node.id(), &env);
    found.unwrap_or(false)
}
