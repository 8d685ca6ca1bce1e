//! Finding messages.

use std::sync::Arc;

use hilum_access::{Method, Parameter, Permission, Route};
use hilum_component::BoxFuture;
use hilum_journal::{AnyOf, DeliveryState, Disposition, Query, Token};
use hilum_message::{IndexKey, IndexToken};
use serde_json::{Value, json};

use super::messages::{journal, message_json, settled};
use super::{Admin, ApiError, Call, Entry, Reply};

/// What the query may say; any other name is a field that the channel declares in `index:`.
const PARAMETERS: [Parameter; 11] = [
    parameter("channel", "Of this channel"),
    parameter("from-ms", "Arrived at or after, Unix milliseconds"),
    parameter("to-ms", "Arrived at or before, Unix milliseconds"),
    parameter(
        "disposition",
        "accepted, filtered, refused, rejected, held, received or suppressed",
    ),
    parameter(
        "delivery",
        "Has a delivery that is pending, delivered, dead-letter or withdrawn",
    ),
    parameter("control-id", "With this control id"),
    parameter("type", "Of this type, such as ADT^A01"),
    parameter("patient", "Of the patient with this identifier"),
    parameter(
        "finding",
        "With a finding of this code, such as unmapped or control-id-reused",
    ),
    parameter("limit", "Results of a page, at most 1,000; 50 if not said"),
    parameter("before", "Before this sequence: `next` of the page before"),
];

const fn parameter(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about }
}

pub(super) fn routes() -> Vec<Entry> {
    vec![Entry {
        route: Route {
            name: "messages",
            method: Method::Get,
            path: "/api/v1/messages",
            permission: Permission::Find,
            about: "Finds messages, newest first; other parameters are fields of `index:`",
            query: &PARAMETERS,
            body: &[],
        },
        handle: messages,
    }]
}

fn messages(admin: Arc<Admin>, call: Call) -> BoxFuture<'static, Result<Reply, ApiError>> {
    Box::pin(async move {
        let query = query(&call.query, &admin.engine.journal().index_key())?;
        if query.delivery.is_some() {
            settled(&admin).await;
        }
        let page = admin
            .engine
            .journal()
            .search(query)
            .await
            .map_err(journal)?;
        let found: Vec<Value> = page.messages.iter().map(message_json).collect();
        Ok(Reply::Json(json!({
            "messages": found, "next": page.next, "scanned": page.scanned,
        })))
    })
}

fn query(pairs: &[(String, String)], key: &IndexKey) -> Result<Query, ApiError> {
    let mut query = Query::default();
    for (name, value) in pairs {
        let any_of = |kind, field: &str| AnyOf {
            kind,
            values: vec![IndexToken::of(key, field, value)],
        };
        match name.as_str() {
            "channel" => query.channel = Some(Arc::from(value.as_str())),
            "from-ms" => query.from_ms = number(name, value)?,
            "to-ms" => query.to_ms = number(name, value)?,
            "disposition" => query.disposition = Some(disposition(value)?),
            "delivery" => query.delivery = Some(delivery(value)?),
            "limit" => query.limit = usize::try_from(number(name, value)?).unwrap_or(usize::MAX),
            "before" => query.before = Some(number(name, value)?),
            "control-id" => query.tokens.push(any_of(Token::CONTROL_ID, name)),
            "type" => query.tokens.push(any_of(Token::TYPE, name)),
            "finding" => query.tokens.push(any_of(Token::FINDING, name)),
            "patient" => query.tokens.push(any_of(Token::PATIENT, name)),
            declared => query
                .tokens
                .push(any_of(Token::declared_kind(declared), declared)),
        }
    }
    Ok(query)
}

fn number(name: &str, value: &str) -> Result<u64, ApiError> {
    value
        .parse()
        .map_err(|_| ApiError::bad("query", format!("{name} is a whole number")))
}

fn disposition(value: &str) -> Result<Disposition, ApiError> {
    Ok(match value {
        "accepted" => Disposition::Accepted,
        "filtered" => Disposition::Filtered,
        "refused" => Disposition::Refused,
        "rejected" => Disposition::Rejected,
        "held" => Disposition::Held,
        "received" => Disposition::Received,
        "suppressed" => Disposition::Suppressed,
        _ => return Err(ApiError::bad("query", "there is no such disposition")),
    })
}

fn delivery(value: &str) -> Result<DeliveryState, ApiError> {
    Ok(match value {
        "pending" => DeliveryState::Pending,
        "delivered" => DeliveryState::Delivered,
        "dead-letter" => DeliveryState::DeadLetter,
        "withdrawn" => DeliveryState::Withdrawn,
        _ => {
            return Err(ApiError::bad(
                "query",
                "there is no such state of deliveries",
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Query, ApiError> {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        query(&pairs, &IndexKey::new([7; 16]))
    }

    #[test]
    fn a_query_names_what_is_known_and_what_channels_declare() {
        let found = read(&[("channel", "lab"), ("accession", "A1"), ("limit", "7")]).unwrap();
        assert_eq!(found.channel.as_deref(), Some("lab"));
        assert_eq!(found.limit, 7);
        assert_eq!(found.tokens[0].kind, Token::declared_kind("accession"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for pair in [
            ("from-ms", "today"),
            ("disposition", "lost"),
            ("delivery", "x"),
        ] {
            assert!(read(&[pair]).is_err(), "{pair:?}");
        }
    }
}
