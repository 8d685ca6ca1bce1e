//! Parameters of an operation, from the query or from a Parameters resource.

use hilum_fhir::definitions::Definitions;
use hilum_fhir::{IssueType, Node};

use crate::call::Call;
use crate::fault::Fault;

/// Names and values, whichever way they were sent. A reference gives its text.
pub(crate) async fn pairs(call: &Call) -> Result<Vec<(String, String)>, Fault> {
    let mut pairs = call.query.clone();
    if call.body.bytes.is_empty() {
        return Ok(pairs);
    }
    let parameters = Definitions::r4().type_named("Parameters");
    let resource = call.resource(parameters).await?;
    for parameter in resource.root().children_named("parameter") {
        let name = parameter.child_text("name").unwrap_or_default();
        let value = value(parameter).ok_or_else(|| {
            let text = "a parameter has no value, or one that this operation does not read";
            Fault::bad(IssueType::Value, text).within(&parameter.path())
        })?;
        pairs.push((name.to_owned(), value));
    }
    Ok(pairs)
}

/// The value of a parameter as text.
fn value(parameter: Node<'_>) -> Option<String> {
    let value = parameter
        .children()
        .find(|child| child.name().starts_with("value"))?;
    let text = value.text().or_else(|| value.child_text("reference"));
    text.map(str::to_owned)
}
