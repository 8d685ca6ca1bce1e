//! Lines as messages: `id|type|patient|text|priority`; several lines are a batch.
//!
//! The answer to a line is `AA|id`, `AE|id|code` or `AR|id|code`. A text that begins with
//! `enhanced` asks for a commit answer (`CA`, `CE`, `CR`) and, after `-`, for application answers:
//! `always`, `error`, `never`.

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

use hilum_component::{
    Answer, AnswerMode, Document, DocumentProblem, EditError, Format, Identity, Marks, Object,
    ObjectKind, Offsets, ParseReject, SealedAnswer, Sent, Severity, Split, Target, TestPatients,
    Verdict,
};
use hilum_fhirpath::{NodeId, Scalar, Tree, Visit};
use hilum_message::{Payload, SourceTime};

const NAMES: [&str; 5] = ["id", "type", "patient", "text", "priority"];

/// The format of lines.
#[derive(Debug)]
pub(crate) struct Lines;

/// A line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    fields: Vec<String>,
    raw: Payload,
    touched: bool,
}

impl Line {
    fn read(payload: &Payload) -> Option<Self> {
        let text = std::str::from_utf8(payload.text()).ok()?;
        let fields: Vec<_> = if text.starts_with('{') {
            // An alert or a timer: nothing but text.
            let kind = if text.starts_with("{\"timer\"") {
                "timer"
            } else {
                "alert"
            };
            ["", kind, "", text].map(str::to_owned).to_vec()
        } else {
            text.trim_end().split('|').map(str::to_owned).collect()
        };
        let raw = payload.clone();
        (4..=NAMES.len()).contains(&fields.len()).then_some(Self {
            fields,
            raw,
            touched: false,
        })
    }

    /// A field by name.
    pub(crate) fn get(&self, name: &str) -> &str {
        let place = NAMES.iter().position(|&known| known == name);
        place
            .and_then(|at| self.fields.get(at))
            .map_or("", String::as_str)
    }

    /// Changes a field.
    pub(crate) fn put(&mut self, name: &str, value: &str) {
        if let Some(field) = NAMES
            .iter()
            .position(|&known| known == name)
            .and_then(|at| self.fields.get_mut(at))
        {
            value.clone_into(field);
            self.touched = true;
        }
    }
}

impl Tree for Line {
    fn root(&self) -> NodeId {
        NodeId::default()
    }

    fn children(&self, of: NodeId, name: &str, visit: &mut Visit<'_>) {
        let found = NAMES.iter().position(|&known| known == name);
        if let Some(at) = found.filter(|&at| of.lo == 0 && at < self.fields.len()) {
            visit(NodeId {
                hi: 0,
                lo: at as u64 + 1,
            });
        }
    }

    fn all_children(&self, of: NodeId, visit: &mut Visit<'_>) {
        for name in NAMES {
            self.children(of, name, visit);
        }
    }

    fn name(&self, node: NodeId) -> Cow<'_, str> {
        match node.lo {
            0 => "".into(),
            at => NAMES[at as usize - 1].into(),
        }
    }

    fn value(&self, node: NodeId) -> Option<Scalar<'_>> {
        let at = usize::try_from(node.lo).ok()?.checked_sub(1)?;
        let field = self.fields.get(at).filter(|field| !field.is_empty())?;
        Some(Scalar::String(field.as_str().into()))
    }

    fn location(&self, node: NodeId) -> String {
        self.name(node).into_owned()
    }
}

impl Document for Line {
    fn tree(&self) -> &dyn Tree {
        self
    }

    fn set(&mut self, target: &Target, values: &[String]) -> Result<(), EditError> {
        self.put(&target.text, values.first().map_or("", String::as_str));
        Ok(())
    }

    fn set_node(&mut self, node: NodeId, value: &str) -> Result<(), EditError> {
        let name = self.name(node).into_owned();
        self.put(&name, value);
        Ok(())
    }

    fn delete(&mut self, target: &Target) -> Result<(), EditError> {
        self.set(target, &[])
    }

    fn write(&self) -> Payload {
        if self.touched {
            Payload::inline(self.fields.join("|").into())
        } else {
            self.raw.clone()
        }
    }

    fn touched(&self) -> bool {
        self.touched
    }

    fn problems(&self) -> Vec<DocumentProblem> {
        let odd = |&&name: &&&str| self.get(name).ends_with(' ');
        let problem = |name: &&str| DocumentProblem {
            code: "trailing-space".to_owned(),
            path: (*name).to_owned(),
            severity: Severity::Warning,
            text: "a field ends with a space".to_owned(),
        };
        NAMES.iter().filter(odd).map(problem).collect()
    }

    fn boxed_clone(&self) -> Box<dyn Document> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

impl Format for Lines {
    fn name(&self) -> &'static str {
        "lines"
    }

    fn sniff(&self, start: &[u8]) -> bool {
        start.contains(&b'|')
    }

    fn parse(&self, payload: &Payload) -> Result<Box<dyn Document>, ParseReject> {
        let reason = "it has not four or five fields".to_owned();
        match Line::read(payload) {
            Some(line) => Ok(Box::new(line)),
            None => Err(ParseReject {
                format: "lines",
                reason,
            }),
        }
    }

    fn split(&self, payload: &Payload) -> Split {
        let text = payload.text();
        if !text.contains(&b'\n') {
            return Split::One;
        }
        let mut ranges = Vec::new();
        let mut start = 0;
        for line in text.split(|&byte| byte == b'\n') {
            if !line.is_empty() {
                ranges.push(start..start + line.len());
            }
            start += line.len() + 1;
        }
        Split::Many(ranges, Vec::new())
    }

    fn identify(&self, document: &dyn Document) -> Identity {
        let Some(line) = document.as_any().downcast_ref::<Line>() else {
            return Identity::default();
        };
        let some = |name| Some(line.get(name).to_owned()).filter(|value| !value.is_empty());
        Identity {
            control_id: some("id"),
            message_type: some("type"),
            patients: some("patient").map(|id| (id, None)).into_iter().collect(),
            orders: some("patient")
                .filter(|_| line.get("text").starts_with("result "))
                .map(|id| (id, None))
                .into_iter()
                .collect(),
            ..Identity::default()
        }
    }

    /// A text `as of N` tells the state of the patient at that time, `result as of N` that of an order
    /// with the patient's number; `result withdrawn as of N` takes it back.
    fn objects(&self, document: &dyn Document, _arrived_ms: u64) -> Vec<Object> {
        let Some(line) = document.as_any().downcast_ref::<Line>() else {
            return Vec::new();
        };
        let (kind, text) = match line.get("text").strip_prefix("result ") {
            Some(text) => (ObjectKind::Result, text),
            None => (ObjectKind::Patient, line.get("text")),
        };
        let withdrawn = text.starts_with("withdrawn ");
        let at_ms = text.trim_start_matches("withdrawn ").strip_prefix("as of ");
        let object = |at_ms: i64| Object {
            kind,
            numbers: vec![(line.get("patient").to_owned(), None)],
            part: String::new(),
            as_of: SourceTime::new(at_ms, at_ms),
            withdrawn,
        };
        let at_ms = at_ms.and_then(|at| at.parse().ok());
        at_ms.map(object).into_iter().collect()
    }

    /// A text `sent N` was sent at that time, Unix milliseconds.
    fn sent(
        &self,
        document: &dyn Document,
        received_ms: u64,
        _zone: Option<&Offsets>,
    ) -> Option<Sent> {
        let line = document.as_any().downcast_ref::<Line>()?;
        let sent_ms: i64 = line.get("text").strip_prefix("sent ")?.parse().ok()?;
        Some(Sent {
            path: "text",
            behind_ms: i64::try_from(received_ms).ok()? - sent_ms,
        })
    }

    fn marks(&self, document: &dyn Document, _test_patients: &[TestPatients]) -> Marks {
        let line = document.as_any().downcast_ref::<Line>();
        let text = line.map_or("", |line| line.get("text"));
        Marks {
            withdraws: usize::from(text.starts_with("result withdrawn ")),
            ..Marks::default()
        }
    }

    fn answer(&self, answer: &Answer<'_>) -> Option<SealedAnswer> {
        let line = Line::read(answer.received);
        let id = line.as_ref().map_or("", |line| line.get("id"));
        let kind = if answer.commit { 'C' } else { 'A' };
        Some(match answer.verdict {
            Verdict::Accept => {
                SealedAnswer::positive(format!("{kind}A|{id}|{}", answer.message).into())
            }
            Verdict::Error { code, text, .. } => {
                SealedAnswer::negative(format!("{kind}E|{id}|{code}|{text}").into())
            }
            Verdict::Refuse { code, text, .. } => {
                SealedAnswer::negative(format!("{kind}R|{id}|{code}|{text}").into())
            }
        })
    }

    fn answer_mode(&self, document: &dyn Document) -> AnswerMode {
        let line = document.as_any().downcast_ref::<Line>();
        let asks = line.and_then(|line| line.get("text").strip_prefix("enhanced-"));
        let Some(asks) = asks else {
            return AnswerMode::Original;
        };
        AnswerMode::Enhanced {
            commit_on_success: true,
            commit_on_error: true,
            application_on_success: asks == "always",
            application_on_error: asks != "never",
        }
    }

    fn successors_depend(&self, identity: &Identity) -> bool {
        identity
            .message_type
            .as_deref()
            .is_some_and(|kind| kind.starts_with("ADT"))
    }

    fn target(&self, path: &str) -> Result<Target, String> {
        Ok(Target {
            text: path.to_owned(),
            compiled: Box::new(()),
        })
    }
}

/// The format, shared.
pub(crate) fn lines() -> Arc<dyn Format> {
    Arc::new(Lines)
}
