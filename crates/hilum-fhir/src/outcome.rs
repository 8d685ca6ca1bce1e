//! Problems as an OperationOutcome (FHIR R4 operationoutcome.html).

use std::borrow::Cow;

use crate::json::{self, write_string};
use crate::limits::Limits;
use crate::problem::{IssueType, Problem, Problems, Severity};
use crate::resource::Resource;

/// Extensions that give the place in the text.
const LINE: &str = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-line";
const COLUMN: &str = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-col";

/// The problems as an OperationOutcome in JSON; without any, it says that all is well.
#[must_use]
pub fn operation_outcome_json(problems: &[Problem]) -> Vec<u8> {
    let well = [Problem::error(IssueType::Informational, "no problem found")
        .with_severity(Severity::Information)];
    let problems = if problems.is_empty() {
        well.as_slice()
    } else {
        problems
    };
    let mut out = Vec::with_capacity(64 + problems.len() * 256);
    out.extend_from_slice(br#"{"resourceType":"OperationOutcome","issue":["#);
    for (at, problem) in problems.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        issue(problem, &mut out);
    }
    out.extend_from_slice(b"]}");
    out
}

/// The problems as an OperationOutcome.
pub fn operation_outcome(problems: &[Problem]) -> Result<Resource, Problems> {
    let limits = Limits {
        bytes_max: usize::MAX,
        nodes_max: usize::MAX,
        ..Limits::default()
    };
    json::parse(&operation_outcome_json(problems), &limits)
}

fn issue(problem: &Problem, out: &mut Vec<u8>) {
    let mut member = |lead: &str, text: &str, behind: &str| {
        out.extend_from_slice(lead.as_bytes());
        write_string(&shown(text), out);
        out.extend_from_slice(behind.as_bytes());
    };
    match problem.position {
        Some(position) => {
            for (lead, url, number, behind) in [
                (r#"{"extension":[{"url":"#, LINE, position.line, "},"),
                (r#"{"url":"#, COLUMN, position.column, "}],"),
            ] {
                let value = format!(r#","valueInteger":{}{behind}"#, number.min(i32::MAX as u32));
                member(lead, url, &value);
            }
            member(r#""severity":"#, problem.severity.code(), "");
        }
        None => member(r#"{"severity":"#, problem.severity.code(), ""),
    }
    member(r#","code":"#, problem.code.code(), "");
    if let Some(code) = &problem.details {
        member(r#","details":{"coding":[{"code":"#, code, "}]}");
    }
    member(r#","diagnostics":"#, &problem.text, "");
    if let Some(expression) = problem.expression.as_deref().filter(|e| !e.is_empty()) {
        member(r#","expression":["#, expression, "]");
    }
    out.push(b'}');
}

/// A text that may quote what a client sent, without the characters that no FHIR string and no XML
/// may have; never empty.
fn shown(text: &str) -> Cow<'_, str> {
    let wrong =
        |c: char| (c.is_control() && !matches!(c, '\t' | '\n' | '\r')) || is_noncharacter(c);
    if text.is_empty() {
        return Cow::Borrowed("-");
    }
    if !text.contains(wrong) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(wrong, "\u{fffd}"))
}

const fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Position;

    #[test]
    fn what_a_client_sent_is_quoted_without_characters_that_no_resource_may_have() {
        for (text, expected) in [
            ("a\u{0}b\u{7f}\u{85}\n", "a\u{fffd}b\u{fffd}\u{fffd}\n"),
            ("\u{ffff}", "\u{fffd}"),
            ("", "-"),
        ] {
            let problem = Problem::error(IssueType::Value, text).at(text);
            let outcome = operation_outcome(&[problem]).unwrap();
            let issue = outcome.root().child("issue").unwrap();
            assert_eq!(issue.child_text("diagnostics"), Some(expected));
            let mut xml = Vec::new();
            crate::xml::write(&outcome, crate::Style::Compact, &mut xml);
            assert!(
                crate::xml::parse(&xml, &Limits::default()).is_ok(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn an_outcome_is_a_resource_that_names_place_and_rule() {
        let problem = Problem::error(IssueType::Invariant, "a \"rule\"")
            .at("Patient.name[0]")
            .in_text(Some(Position { line: 3, column: 7 }))
            .with_details("pat-1");
        for problems in [
            vec![],
            vec![problem.clone()],
            vec![problem.clone(), problem],
        ] {
            let outcome = operation_outcome(&problems).unwrap();
            assert_eq!(outcome.type_name(), "OperationOutcome");
            let issues: Vec<_> = outcome.root().children_named("issue").collect();
            assert_eq!(issues.len(), problems.len().max(1));
            for issue in issues {
                if !problems.is_empty() {
                    assert_eq!(issue.child_text("expression"), Some("Patient.name[0]"));
                    assert_eq!(issue.child_text("diagnostics"), Some("a \"rule\""));
                    assert_eq!(issue.children_named("extension").count(), 2);
                }
            }
        }
    }
}
