//! What the parser sees in a payload, for people and for outside checks.

use bytes::Bytes;

use crate::batch;
use crate::message::{Message, ParseOptions};
use crate::warning::Warning;

/// How a payload fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing odd.
    Ok,
    /// Read, with warnings.
    Warning,
    /// Not a message.
    Reject,
}

impl Status {
    /// `ok`, `warning`, `reject`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Reject => "reject",
        }
    }
}

/// What the parser sees in a payload. Holds control ids and types, no other content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The worst of all.
    pub status: Status,
    /// Each message; none if rejected.
    pub messages: Vec<Inspected>,
    /// Why it was rejected.
    pub reason: Option<String>,
}

/// What the parser sees in one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// MSH-10.
    pub control_id: Option<String>,
    /// MSH-9.1 and MSH-9.2 as `ADT^A01`.
    pub message_type: Option<String>,
    /// MSH-12.1.
    pub version: Option<String>,
    /// How many segments.
    pub segments: usize,
    /// What was odd.
    pub warnings: Vec<Warning>,
}

/// Looks at a payload: one message or several.
pub fn inspect(payload: impl Into<Bytes>, options: &ParseOptions) -> Inspection {
    let payload: Bytes = payload.into();
    let split = batch::split(&payload);
    let mut messages = Vec::with_capacity(split.messages.len());
    let mut reason = split.reject(&payload).map(|reject| reject.to_string());
    for (index, range) in split.messages.iter().enumerate() {
        match Message::parse_with(payload.slice(range.clone()), options) {
            Ok(message) => {
                let mut seen = inspected(&message);
                let own = split.warnings.iter().filter(|(of, _)| *of == index);
                seen.warnings
                    .extend(own.map(|(_, warning)| warning.clone()));
                messages.push(seen);
            }
            Err(reject) => reason = reason.or_else(|| Some(reject.to_string())),
        }
    }
    if reason.is_some() {
        messages.clear();
    }
    let status = match (
        &reason,
        messages.iter().all(|message| message.warnings.is_empty()),
    ) {
        (Some(_), _) => Status::Reject,
        (None, true) => Status::Ok,
        (None, false) => Status::Warning,
    };
    Inspection {
        status,
        messages,
        reason,
    }
}

fn inspected(message: &Message) -> Inspected {
    let part = |n| {
        message
            .component("MSH", 9, n)
            .map(std::borrow::Cow::into_owned)
    };
    let mut parts: Vec<String> = (1..=2).map(|n| part(n).unwrap_or_default()).collect();
    while parts.last().is_some_and(String::is_empty) {
        parts.pop();
    }
    Inspected {
        control_id: message.field("MSH", 10).map(std::borrow::Cow::into_owned),
        message_type: (!parts.is_empty()).then(|| parts.join("^")),
        version: message
            .component("MSH", 12, 1)
            .map(std::borrow::Cow::into_owned),
        segments: message.segment_count(),
        warnings: message.findings(),
    }
}

impl Inspection {
    /// The form that `hilum inspect --json` prints.
    pub fn to_json(&self) -> String {
        let mut out = format!("{{\"status\":\"{}\",\"messages\":[", self.status.as_str());
        for (at, message) in self.messages.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            message.to_json(&mut out);
        }
        out.push(']');
        if let Some(reason) = &self.reason {
            out.push_str(",\"reason\":");
            quote(&mut out, reason);
        }
        out.push('}');
        out
    }
}

impl Inspected {
    fn to_json(&self, out: &mut String) {
        let fields = [
            ("{\"control_id\":", &self.control_id),
            (",\"type\":", &self.message_type),
            (",\"version\":", &self.version),
        ];
        for (name, value) in fields {
            out.push_str(name);
            match value {
                Some(value) => quote(out, value),
                None => out.push_str("null"),
            }
        }
        out.push_str(&format!(",\"segments\":{},\"warnings\":[", self.segments));
        for (at, warning) in self.warnings.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            out.push_str("{\"code\":");
            quote(out, warning.code.as_str());
            out.push_str(",\"text\":");
            quote(out, &warning.text);
            out.push('}');
        }
        out.push_str("]}");
    }
}

/// A JSON string.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
