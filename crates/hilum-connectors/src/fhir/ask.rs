//! From a message to the request that is made of it (FHIR R4 http.html).

use hilum_component::{Delivery, DeliveryError, FhirMethod};
use hilum_message::Payload;

use super::config::Interaction;
use super::peek::{Peek, is_xml, peek};
use super::tag;

/// A request, with its body as a payload.
pub(super) struct Ask {
    pub(super) method: FhirMethod,
    /// Path and query below the base.
    pub(super) target: String,
    pub(super) if_none_exist: Option<String>,
    pub(super) payload: Payload,
    /// The Bundle is a batch, whose entries may fail one by one.
    pub(super) batch: bool,
}

/// Whether what is created carries a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Once {
    /// The receiver recognises a repeat by the delivery's id, or nobody does.
    Untagged,
    /// By a tag.
    Tagged,
}

/// What a delivery asks for.
pub(super) fn ask(
    interaction: Interaction,
    once: Once,
    delivery: &Delivery,
) -> Result<Ask, DeliveryError> {
    let payload = &delivery.payload;
    let peek =
        peek(payload.text()).map_err(|reason| DeliveryError::reject("fhir-unreadable", reason))?;
    let carried_out = matches!(peek.bundle.as_deref(), Some("transaction" | "batch"));
    let interaction = match (interaction, &peek.id) {
        (Interaction::Auto, _) if carried_out => Interaction::Transaction,
        (Interaction::Auto, Some(_)) => Interaction::Update,
        (Interaction::Auto, None) => Interaction::Create,
        (chosen, _) => chosen,
    };
    let ask = |method, target: String| Ask {
        method,
        target,
        if_none_exist: None,
        payload: payload.clone(),
        batch: false,
    };
    let kind = peek.resource_type.as_str();
    match interaction {
        Interaction::Update => {
            let id = peek.id.as_deref().filter(|id| is_id(id)).ok_or_else(|| {
                DeliveryError::reject("fhir-no-id", "an update needs the id of the resource")
            })?;
            Ok(ask(FhirMethod::Put, format!("{kind}/{id}")))
        }
        Interaction::ConditionalUpdate => {
            let criterion = criterion(&peek)?;
            Ok(ask(FhirMethod::Put, format!("{kind}?{criterion}")))
        }
        Interaction::Transaction if carried_out => {
            let mut ask = ask(FhirMethod::Post, String::new());
            ask.batch = peek.bundle.as_deref() == Some("batch");
            if once == Once::Tagged
                && !is_xml(payload.text())
                && let Some(tagged) = tag::transaction(payload, &code(delivery))
            {
                ask.payload = tagged;
            }
            Ok(ask)
        }
        Interaction::Transaction => Err(DeliveryError::reject(
            "fhir-no-transaction",
            "the message is no Bundle that is a transaction or batch",
        )),
        // `auto` was resolved above.
        Interaction::Create | Interaction::Auto => {
            let mut ask = ask(FhirMethod::Post, kind.to_owned());
            if once == Once::Tagged
                && !is_xml(payload.text())
                && let Some(tagged) = tag::resource(payload, &code(delivery))
            {
                ask.payload = tagged;
                ask.if_none_exist = Some(tag::condition(&code(delivery)));
            }
            Ok(ask)
        }
    }
}

/// The delivery's id, of characters that need no escape anywhere.
fn code(delivery: &Delivery) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    delivery.id.to_string().chars().map(plain).collect()
}

fn is_id(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    (1..=64).contains(&text.len()) && text.chars().all(good)
}

/// The first identifier as a criterion of a search.
fn criterion(peek: &Peek) -> Result<String, DeliveryError> {
    let Some((system, value)) = &peek.identifier else {
        let text = "a conditional update needs an identifier with a value";
        return Err(DeliveryError::reject("fhir-no-identifier", text));
    };
    let mut out = "identifier=".to_owned();
    if let Some(system) = system {
        escape(system, &mut out);
        out.push_str("%7C");
    }
    escape(value, &mut out);
    Ok(out)
}

/// Escapes a value of a search parameter (FHIR R4 search.html#escaping), then for a URL.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        if matches!(c, '\\' | '|' | ',' | '$') {
            out.push_str("%5C");
        }
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | ':' | '/') {
            out.push(c);
            continue;
        }
        let mut bytes = [0; 4];
        for byte in c.encode_utf8(&mut bytes).bytes() {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_component::conformance::delivery;

    fn check(interaction: Interaction, once: Once, text: &str, expected: Result<&str, &str>) {
        let found = ask(interaction, once, &delivery(7, text.to_owned()));
        let found = found.map(|ask| {
            let condition = ask.if_none_exist.map_or("", |_| " once");
            format!("{} {}{condition}", ask.method.name(), ask.target)
        });
        let found = found.as_deref().map_err(|error| error.code);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_message_becomes_the_request_that_fits_it() {
        use Interaction::{Auto, ConditionalUpdate, Create, Transaction, Update};
        let with_id = r#"{"resourceType":"Patient","id":"p1"}"#;
        let without =
            r#"{"resourceType":"Patient","identifier":[{"system":"urn:a b","value":"1|ü"}]}"#;
        let bundle = r#"{"resourceType":"Bundle","type":"transaction"}"#;
        let (plain, tagged) = (Once::Untagged, Once::Tagged);
        check(Auto, plain, with_id, Ok("PUT Patient/p1"));
        check(Auto, tagged, without, Ok("POST Patient once"));
        check(Auto, plain, without, Ok("POST Patient"));
        check(Auto, tagged, bundle, Ok("POST "));
        check(Create, plain, with_id, Ok("POST Patient"));
        check(Update, plain, without, Err("fhir-no-id"));
        check(
            ConditionalUpdate,
            plain,
            without,
            Ok("PUT Patient?identifier=urn:a%20b%7C1%5C%7C%C3%BC"),
        );
        check(ConditionalUpdate, plain, with_id, Err("fhir-no-identifier"));
        check(Transaction, plain, with_id, Err("fhir-no-transaction"));
        check(Auto, plain, "MSH|^~\\&|", Err("fhir-unreadable"));
        check(
            Update,
            plain,
            r#"{"resourceType":"Patient","id":"../x"}"#,
            Err("fhir-no-id"),
        );
    }
}
