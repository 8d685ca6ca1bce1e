//! What an answer means: the status decides, and an OperationOutcome says it more exactly.
//!
//! Of an OperationOutcome only codes and plain paths are repeated, never its texts, which may hold
//! content.

use bytes::Bytes;
use hilum_component::{Class, Delivered, DeliveryError, Outcome};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::peek::is_xml;
use super::peer::Answer;
use crate::http::config::StatusMeans;
use crate::http::way::{status_code, usual};

/// Statuses whose meaning somebody wrote.
pub(super) type Statuses = Vec<(std::ops::RangeInclusive<u16>, StatusMeans)>;

/// The outcome of a delivery from the answer to its request.
pub(super) fn judge(address: &str, statuses: &Statuses, answer: Answer, batch: bool) -> Outcome {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let issue = answer.body.as_ref().and_then(issue);
    let written = statuses
        .iter()
        .find(|(range, _)| range.contains(&answer.status));
    let means = match written {
        Some((_, means)) => *means,
        None => meant(status, issue.as_ref()),
    };
    let class = match means {
        StatusMeans::Delivered if batch => return batched(address, answer),
        StatusMeans::Delivered => {
            return Ok(Delivered {
                summary: summary(&answer),
                reply: answer.body,
            });
        }
        StatusMeans::Retry => Class::Retry,
        StatusMeans::Reject => Class::Reject,
        StatusMeans::Halt => Class::Halt,
    };
    let mut text = format!("{address} answered {}", answer.status);
    if let Some(issue) = &issue {
        text.push_str(&format!(" ({})", issue.shown()));
    }
    let mut error = DeliveryError::new(class, status_code(status), text);
    error.reply = answer.body;
    error.hint = match (answer.status, answer.wait) {
        (401 | 403 | 407, _) => {
            Some("the server does not accept who we are: check the secret".to_owned())
        }
        (300..=399, _) => Some("the server is elsewhere: write the new address".to_owned()),
        (_, Some(wait)) => Some(format!("the server asks to wait: {wait}")),
        (_, None) => None,
    };
    Err(error)
}

/// What a status means; kinds of issue that pass by themselves are tried again, whatever the
/// status, and 501 is the fault of neither message nor moment.
fn meant(status: StatusCode, issue: Option<&Issue>) -> StatusMeans {
    let passes = issue.is_some_and(|issue| {
        matches!(
            issue.code.as_str(),
            "transient" | "lock-error" | "conflict" | "timeout" | "throttled" | "no-store"
        )
    });
    match usual(status) {
        StatusMeans::Reject if passes && status != StatusCode::PRECONDITION_FAILED => {
            StatusMeans::Retry
        }
        _ if status == StatusCode::NOT_IMPLEMENTED => StatusMeans::Halt,
        means => means,
    }
}

/// A batch is delivered if each of its entries is.
fn batched(address: &str, answer: Answer) -> Outcome {
    #[derive(Deserialize)]
    struct Bundle {
        #[serde(default)]
        entry: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        response: Option<Response>,
    }
    #[derive(Deserialize)]
    struct Response {
        status: String,
    }
    let bundle = answer.body.as_ref().filter(|body| !is_xml(body));
    let Some(bundle) = bundle.and_then(|body| serde_json::from_slice::<Bundle>(body).ok()) else {
        let text = format!("{address} answered a batch without saying what became of its entries");
        let mut error = DeliveryError::halt("fhir-batch-unreadable", text);
        error.reply = answer.body;
        return Err(error);
    };
    let status = |entry: &Entry| {
        let status = entry.response.as_ref()?.status.split(' ').next()?;
        status.parse::<u16>().ok()
    };
    let statuses: Vec<u16> = bundle
        .entry
        .iter()
        .map(|entry| status(entry).unwrap_or(0))
        .collect();
    let failed = statuses
        .iter()
        .filter(|status| !(200..300).contains(*status));
    match failed.clone().next() {
        None => Ok(Delivered {
            summary: summary(&answer),
            reply: answer.body,
        }),
        Some(first) => {
            let (count, all) = (failed.count(), statuses.len());
            let text = format!(
                "{address}: {count} of {all} entries of the batch failed, the first with {first}"
            );
            let mut error = DeliveryError::reject("fhir-batch", text);
            error.reply = answer.body;
            Err(error)
        }
    }
}

/// The first issue of an OperationOutcome that is an error.
struct Issue {
    code: String,
    place: Option<String>,
}

impl Issue {
    /// Codes and paths alone, and only where they are no more than that.
    fn shown(&self) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '[' | ']' | '-');
        let fits = |text: &&String| (1..=120).contains(&text.len()) && text.chars().all(plain);
        let code = Some(&self.code)
            .filter(fits)
            .map_or("an issue", |code| code);
        match self.place.as_ref().filter(fits) {
            Some(place) => format!("{code} at {place}"),
            None => code.to_owned(),
        }
    }
}

fn issue(body: &Bytes) -> Option<Issue> {
    if is_xml(body) {
        return None;
    }
    let outcome: Value = serde_json::from_slice(body).ok()?;
    if outcome.get("resourceType")?.as_str()? != "OperationOutcome" {
        return None;
    }
    let is_error = |issue: &&Value| matches!(issue["severity"].as_str(), Some("fatal" | "error"));
    let issue = outcome.get("issue")?.as_array()?.iter().find(is_error)?;
    let first = |name: &str| issue[name][0].as_str().map(str::to_owned);
    Some(Issue {
        code: issue["code"].as_str()?.to_owned(),
        place: first("expression").or_else(|| first("location")),
    })
}

/// `201 Observation, version 1`: ids may be content.
fn summary(answer: &Answer) -> String {
    let location = answer.location.as_deref().unwrap_or_default();
    let mut parts = location.rsplit('/');
    let (version, history, _id, kind) = (parts.next(), parts.next(), parts.next(), parts.next());
    let plain = |text: &str| {
        !text.is_empty() && text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric())
    };
    match (version, history, kind) {
        (Some(version), Some("_history"), Some(kind)) if plain(version) && plain(kind) => {
            format!("{} {kind}, version {version}", answer.status)
        }
        _ => answer.status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, issue: Option<(&str, &str)>, expected: Result<&str, (Class, &str)>) {
        let body = issue.map(|(code, place)| {
            format!(
                r#"{{"resourceType":"OperationOutcome","issue":[{{"severity":"error","code":"{code}","diagnostics":"Canary","expression":["{place}"]}}]}}"#
            )
        });
        let answer = Answer {
            status,
            location: Some("http://x/fhir/Patient/mrn7/_history/3".to_owned()),
            body: body.map(Bytes::from),
            wait: None,
        };
        let found = judge("ehr", &Vec::new(), answer, false);
        let found = match &found {
            Ok(delivered) => Ok(delivered.summary.as_str()),
            Err(error) => Err((error.class, error.message.as_str())),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn statuses_and_issues_say_what_an_answer_means() {
        use Class::{Halt, Reject, Retry};
        check(201, None, Ok("201 Patient, version 3"));
        check(422, None, Err((Reject, "ehr answered 422")));
        check(
            422,
            Some(("required", "Patient.name[0]")),
            Err((Reject, "ehr answered 422 (required at Patient.name[0])")),
        );
        check(
            400,
            Some(("value", "Patient.where(name='Canary')")),
            Err((Reject, "ehr answered 400 (value)")),
        );
        check(
            409,
            Some(("conflict", "")),
            Err((Retry, "ehr answered 409 (conflict)")),
        );
        check(
            409,
            Some(("duplicate", "Patient")),
            Err((Reject, "ehr answered 409 (duplicate at Patient)")),
        );
        check(
            412,
            Some(("conflict", "Patient")),
            Err((Reject, "ehr answered 412 (conflict at Patient)")),
        );
        check(503, None, Err((Retry, "ehr answered 503")));
        check(501, None, Err((Halt, "ehr answered 501")));
        check(401, None, Err((Halt, "ehr answered 401")));
        check(302, None, Err((Halt, "ehr answered 302")));
    }

    #[test]
    fn a_batch_is_delivered_when_each_entry_is() {
        for (body, expected) in [
            (r#"{"entry":[{"response":{"status":"201 Created"}}]}"#, None),
            (
                r#"{"entry":[{"response":{"status":"200"}},{"response":{"status":"422"}},{}]}"#,
                Some("ehr: 2 of 3 entries of the batch failed, the first with 422"),
            ),
            (
                "",
                Some("ehr answered a batch without saying what became of its entries"),
            ),
        ] {
            let answer = Answer {
                status: 200,
                location: None,
                body: Some(Bytes::from(body)),
                wait: None,
            };
            let found = judge("ehr", &Vec::new(), answer, true);
            let found = found.err().map(|error| error.message);
            assert_eq!(found.as_deref(), expected);
        }
    }
}
