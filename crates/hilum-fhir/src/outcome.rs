//! Problems as an OperationOutcome (FHIR R4 operationoutcome.html).

use crate::json::{self, write_string};
use crate::lexical::has_control;
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
        // What a request called something may be quoted, and no string of FHIR has control characters.
        if has_control(text.as_bytes()) {
            write_string(&text.replace(char::is_control, "\u{fffd}"), out);
        } else {
            write_string(text, out);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Position;

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
