//! A v2 message as the document that travels through a channel.

use std::any::Any;

use hilum_component::{Document, DocumentProblem, EditError, Severity, Target};
use hilum_fhirpath::{NodeId, Tree};
use hilum_hl7v2::path::Which;
use hilum_hl7v2::{Message, Path, Warning};
use hilum_message::{Payload, Tokens};

#[derive(Clone)]
pub(super) struct V2Document {
    message: Message,
    received: Payload,
    attachments: Option<Tokens>,
}

impl V2Document {
    pub(super) const fn new(
        message: Message,
        received: Payload,
        attachments: Option<Tokens>,
    ) -> Self {
        Self {
            message,
            received,
            attachments,
        }
    }

    fn set_several(&mut self, path: &Path, values: &[String]) -> Result<(), EditError> {
        let text = path.to_string();
        let refuse = |reason: &str| EditError {
            path: text.clone(),
            reason: reason.to_owned(),
        };
        let repetition = path.field().map_or(Which::Unsaid, |field| field.repetition);
        match (path.occurrence(), repetition) {
            (Which::All, Which::All) => Err(refuse("write `[*]` in one place to set a list")),
            (_, Which::All) => {
                for (n, value) in (1_u32..).zip(values) {
                    self.set_one(&nth_repetition(path, n)?, value)?;
                }
                let beyond = u32::try_from(values.len())
                    .unwrap_or(u32::MAX)
                    .saturating_add(1);
                let beyond = without_component(&nth_repetition(path, beyond)?)?;
                while self
                    .message
                    .delete(&beyond)
                    .map_err(|e| edit_error(&text, &e))?
                    > 0
                {}
                Ok(())
            }
            (Which::All, _) => {
                let present = self.message.segments_named(path.segment()).count();
                if present != values.len() {
                    return Err(refuse("as many values as segments are needed"));
                }
                for (n, value) in (1_u32..).zip(values) {
                    self.set_one(&nth_segment(path, n)?, value)?;
                }
                Ok(())
            }
            _ => Err(refuse(
                "several values for one place: write `[*]` to set a list",
            )),
        }
    }

    fn set_one(&mut self, path: &Path, value: &str) -> Result<(), EditError> {
        self.message
            .set(path, value)
            .map(|_| ())
            .map_err(|e| edit_error(&path.to_string(), &e))
    }
}

/// The path as the target compiled it.
fn path_of(target: &Target) -> Result<&Path, EditError> {
    target
        .compiled
        .downcast_ref::<Path>()
        .ok_or_else(|| EditError {
            path: target.text.clone(),
            reason: "the path belongs to another format".to_owned(),
        })
}

/// The model's reasons name path and sets, never content.
fn edit_error(path: &str, error: &hilum_hl7v2::EditError) -> EditError {
    let text = error.to_string();
    let reason = text
        .strip_prefix(path)
        .map_or(&*text, |rest| rest.trim_start_matches(": "));
    EditError {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

/// The path with another number in place of `[*]`, before or behind the hyphen.
fn renumbered(path: &Path, change: impl FnOnce(&str, &str) -> String) -> Result<Path, EditError> {
    let text = path.to_string();
    let (segment, field) = text.rsplit_once('-').unwrap_or((&text, ""));
    Path::parse(&change(segment, field)).map_err(|error| EditError {
        path: text.clone(),
        reason: error.to_string(),
    })
}

fn nth_repetition(path: &Path, n: u32) -> Result<Path, EditError> {
    renumbered(path, |segment, field| {
        format!("{segment}-{}", field.replacen("[*]", &format!("[{n}]"), 1))
    })
}

fn nth_segment(path: &Path, n: u32) -> Result<Path, EditError> {
    renumbered(path, |segment, field| {
        let segment = segment.strip_suffix("[*]").unwrap_or(segment);
        format!("{segment}[{n}]-{field}")
    })
}

fn without_component(path: &Path) -> Result<Path, EditError> {
    renumbered(path, |segment, field| {
        let field = field.split_once('.').map_or(field, |(field, _)| field);
        format!("{segment}-{field}")
    })
}

impl Document for V2Document {
    fn tree(&self) -> &dyn Tree {
        &self.message
    }

    fn set(&mut self, target: &Target, values: &[String]) -> Result<(), EditError> {
        let path = path_of(target)?;
        match values {
            [] => self.delete(target),
            [value] => self.set_one(path, value),
            values => self.set_several(path, values),
        }
    }

    fn set_node(&mut self, node: NodeId, value: &str) -> Result<(), EditError> {
        let refuse = |path: String, reason: &str| EditError {
            path,
            reason: reason.to_owned(),
        };
        let Some(part) = self.message.part_of(node) else {
            return Err(refuse(self.message.location(node), "it is no field"));
        };
        let place = part.location();
        let path =
            Path::parse(&place).map_err(|_| refuse(place, "the place has no path of its own"))?;
        self.set_one(&path, value)
    }

    fn delete(&mut self, target: &Target) -> Result<(), EditError> {
        let path = path_of(target)?;
        self.message
            .delete(path)
            .map(|_| ())
            .map_err(|e| edit_error(&target.text, &e))
    }

    fn write(&self) -> Payload {
        if !self.message.is_touched() {
            return self.received.clone();
        }
        let text = self.message.write();
        match &self.attachments {
            Some(attachments) => attachments.extract(&text),
            None => Payload::inline(text),
        }
    }

    fn touched(&self) -> bool {
        self.message.is_touched()
    }

    fn problems(&self) -> Vec<DocumentProblem> {
        self.message
            .warnings()
            .iter()
            .map(|warning| problem(&self.message, warning))
            .collect()
    }

    fn payload_of(&self, text: bytes::Bytes) -> Payload {
        match &self.attachments {
            Some(attachments) => attachments.extract(&text),
            None => Payload::inline(text),
        }
    }

    fn tokens(&self) -> Option<&Tokens> {
        self.attachments.as_ref()
    }

    fn boxed_clone(&self) -> Box<dyn Document> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        &self.message
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        &mut self.message
    }
}

fn problem(message: &Message, warning: &Warning) -> DocumentProblem {
    DocumentProblem {
        code: warning.code.as_str().to_owned(),
        path: message.warning_location(warning),
        severity: Severity::Warning,
        text: warning.text.clone().into_owned(),
    }
}
