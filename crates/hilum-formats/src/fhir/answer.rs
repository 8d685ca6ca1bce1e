//! Answers are OperationOutcomes in the form of the message (FHIR R4 operationoutcome.html).
//!
//! The id of the resource is that of the message, so that both sides can name it.

use hilum_component::{Answer, PeerAnswer, SealedAnswer, Verdict};
use hilum_fhir::{
    IssueType, Node, Problem, Resource, Severity, Style, operation_outcome_json, xml,
};

use super::{Form, unmarked};

pub(super) fn build(answer: &Answer<'_>) -> SealedAnswer {
    let (problem, positive) = match &answer.verdict {
        Verdict::Accept => {
            let text = format!("accepted as {}", answer.message);
            let problem = Problem::error(IssueType::Informational, text);
            (problem.with_severity(Severity::Information), true)
        }
        Verdict::Error { code, path, text } => {
            (problem(issue_type(code), code, *path, text), false)
        }
        Verdict::Refuse { code, path, text } => {
            (problem(IssueType::BusinessRule, code, *path, text), false)
        }
    };
    let json = operation_outcome_json(&[problem]);
    let form = Form::of(unmarked(answer.received.text()));
    let bytes = match (form, Form::Json.parse(&json)) {
        (Form::Xml, Ok(outcome)) => {
            let mut out = Vec::with_capacity(json.len() * 2);
            xml::write(&outcome, Style::Compact, &mut out);
            out
        }
        (Form::Xml | Form::Json, _) => json,
    };
    if positive {
        SealedAnswer::positive(bytes.into())
    } else {
        SealedAnswer::negative(bytes.into())
    }
}

fn problem(issue: IssueType, code: &str, path: Option<&str>, text: &str) -> Problem {
    let problem = Problem::error(issue, text.to_owned()).with_details(code.to_owned());
    match path {
        Some(path) => problem.at(path),
        None => problem,
    }
}

/// The kind of issue that a code of table 0357 stands for.
fn issue_type(code: &str) -> IssueType {
    match code {
        "100" => IssueType::Structure,
        "101" => IssueType::Required,
        "102" => IssueType::Value,
        "103" => IssueType::CodeInvalid,
        "200" | "201" | "203" => IssueType::NotSupported,
        "204" => IssueType::NotFound,
        "205" => IssueType::Duplicate,
        "206" => IssueType::LockError,
        _ => IssueType::Processing,
    }
}

/// Reads a peer's answer: an OperationOutcome that holds an error is a negative one, anything else
/// is a positive one.
pub(super) fn read(bytes: &[u8]) -> Result<PeerAnswer, String> {
    let bytes = unmarked(bytes);
    let resource = Form::of(bytes)
        .parse(bytes)
        .map_err(|problems| problems.to_string())?;
    Ok(worst(&resource).map_or_else(
        || PeerAnswer {
            code: "AA".to_owned(),
            ..PeerAnswer::default()
        },
        |issue| {
            let text = |name| issue.child_text(name).map(str::to_owned);
            let details = issue.child("details");
            PeerAnswer {
                code: "AE".to_owned(),
                control_id: None,
                error_code: text("code"),
                severity: text("severity"),
                location: text("expression").or_else(|| text("location")),
                text: text("diagnostics").or_else(|| {
                    let details = details?.child_text("text")?;
                    Some(details.to_owned())
                }),
            }
        },
    ))
}

/// The first issue that is an error, of an OperationOutcome.
fn worst(resource: &Resource) -> Option<Node<'_>> {
    if resource.type_name() != "OperationOutcome" {
        return None;
    }
    let is_error =
        |issue: &Node<'_>| matches!(issue.child_text("severity"), Some("fatal" | "error"));
    resource.root().children_named("issue").find(is_error)
}
