//! Answers as Parameters and as OperationOutcomes.

use hilum_fhir::IssueType;
use hilum_fhir::json::write_string;
use hilum_terminology::Issue;
use http::StatusCode;

use crate::call::{Answer, Reply};

/// The name of a message (FHIR extension operationoutcome-message-id).
const MESSAGE_ID: &str = "http://hl7.org/fhir/StructureDefinition/operationoutcome-message-id";
/// What an issue is about, as the terminology ecosystem has it.
const ISSUE_TYPE: &str = "http://hl7.org/fhir/tools/CodeSystem/tx-issue-type";

/// Parameters in the making.
#[derive(Debug)]
pub(crate) struct Parameters {
    out: Vec<u8>,
    any: bool,
}

impl Parameters {
    pub(crate) fn new() -> Self {
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(b"{\"resourceType\":\"Parameters\"");
        Self { out, any: false }
    }

    /// Begins a parameter, up to its value.
    fn begin(&mut self, name: &str) {
        let start: &[u8] = if self.any { b"," } else { b",\"parameter\":[" };
        self.any = true;
        self.out.extend_from_slice(start);
        self.out.extend_from_slice(b"{\"name\":");
        write_string(name, &mut self.out);
        self.out.push(b',');
    }

    /// A primitive that JSON writes as a string: `kind` is `valueCode` and the like.
    pub(crate) fn text(&mut self, name: &str, kind: &str, value: &str) {
        self.begin(name);
        pair(kind, value, &mut self.out);
        self.out.push(b'}');
    }

    pub(crate) fn flag(&mut self, name: &str, value: bool) {
        self.begin(name);
        let text = format!("\"valueBoolean\":{value}}}");
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A value that is JSON already: `kind` is `valueCoding`, `resource` and the like.
    pub(crate) fn json(&mut self, name: &str, kind: &str, json: &[u8]) {
        self.begin(name);
        self.out.push(b'"');
        self.out.extend_from_slice(kind.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out.extend_from_slice(json);
        self.out.push(b'}');
    }

    /// A parameter with parts; each is an object without its braces.
    pub(crate) fn parts(&mut self, name: &str, parts: &[Vec<u8>]) {
        self.begin(name);
        self.out.extend_from_slice(b"\"part\":[");
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            self.out.push(b'{');
            self.out.extend_from_slice(part);
            self.out.push(b'}');
        }
        self.out.extend_from_slice(b"]}");
    }

    /// What was found out, if there is anything.
    pub(crate) fn issues(&mut self, issues: &[Issue]) {
        if !issues.is_empty() {
            self.json("issues", "resource", &outcome(issues));
        }
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.any {
            self.out.push(b']');
        }
        self.out.push(b'}');
        self.out
    }
}

/// The pieces of answers: each without its braces, as [`Parameters::parts`] takes them.
pub(crate) mod parts {
    pub(crate) use super::outcome;
    use super::pair;

    /// A part with a primitive.
    pub(crate) fn text(name: &str, kind: &str, value: &str) -> Vec<u8> {
        let mut out = Vec::new();
        pair("name", name, &mut out);
        out.push(b',');
        pair(kind, value, &mut out);
        out
    }

    /// A part with a value that is JSON already.
    pub(crate) fn json(name: &str, kind: &str, json: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        pair("name", name, &mut out);
        out.extend_from_slice(b",\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(json);
        out
    }

    /// A part with parts.
    pub(crate) fn nested(name: &str, parts: &[Vec<u8>]) -> Vec<u8> {
        let mut inner = vec![b'['];
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                inner.push(b',');
            }
            inner.push(b'{');
            inner.extend_from_slice(part);
            inner.push(b'}');
        }
        inner.push(b']');
        json(name, "part", &inner)
    }

    /// A Coding as JSON.
    pub(crate) fn coding(
        system: Option<&str>,
        version: Option<&str>,
        code: Option<&str>,
        display: Option<&str>,
    ) -> Vec<u8> {
        let mut out = vec![b'{'];
        for (name, value) in [
            ("system", system),
            ("version", version),
            ("code", code),
            ("display", display),
        ] {
            if let Some(value) = value {
                if out.len() > 1 {
                    out.push(b',');
                }
                pair(name, value, &mut out);
            }
        }
        out.push(b'}');
        out
    }
}

/// `"name":"value"`
fn pair(name: &str, value: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    write_string(value, out);
}

/// An OperationOutcome in JSON.
pub(crate) fn outcome(issues: &[Issue]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + issues.len() * 512);
    out.extend_from_slice(b"{\"resourceType\":\"OperationOutcome\",\"issue\":[");
    for (at, issue) in issues.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.push(b'{');
        if !issue.message_id.is_empty() {
            out.extend_from_slice(b"\"extension\":[{");
            pair("url", MESSAGE_ID, &mut out);
            out.push(b',');
            pair("valueString", issue.message_id, &mut out);
            out.extend_from_slice(b"}],");
        }
        pair("severity", issue.severity.code(), &mut out);
        out.push(b',');
        pair("code", issue.code.code(), &mut out);
        out.extend_from_slice(b",\"details\":{");
        if let Some(about) = issue.about {
            out.extend_from_slice(b"\"coding\":[{");
            pair("system", ISSUE_TYPE, &mut out);
            out.push(b',');
            pair("code", about, &mut out);
            out.extend_from_slice(b"}],");
        }
        pair("text", &issue.text, &mut out);
        out.push(b'}');
        if let Some(diagnostics) = &issue.diagnostics {
            out.push(b',');
            pair("diagnostics", diagnostics, &mut out);
        }
        if let Some(place) = &issue.place {
            for name in ["location", "expression"] {
                out.extend_from_slice(b",\"");
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"\":[");
                write_string(place, &mut out);
                out.push(b']');
            }
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}

/// The answer where there is none: what was asked is not possible.
pub(crate) fn refusal(issue: &Issue) -> Reply {
    let status = match issue.code {
        IssueType::NotFound => StatusCode::NOT_FOUND,
        IssueType::Invalid | IssueType::Processing | IssueType::NotSupported => {
            StatusCode::BAD_REQUEST
        }
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Reply::new(status, Answer::Json(outcome(std::slice::from_ref(issue))))
}
