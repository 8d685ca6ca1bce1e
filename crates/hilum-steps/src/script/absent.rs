//! What stands in a message's place while a script holds it.

use std::any::Any;
use std::borrow::Cow;

use hilum_component::{Document, DocumentProblem, EditError, Target};
use hilum_fhirpath::{NodeId, Scalar, Tree, Visit};
use hilum_message::Payload;

/// A document without content.
#[derive(Clone, Copy)]
pub(super) struct Absent;

fn refused() -> EditError {
    EditError {
        path: String::new(),
        reason: "the message is in use".to_owned(),
    }
}

impl Document for Absent {
    fn tree(&self) -> &dyn Tree {
        self
    }
    fn set(&mut self, _: &Target, _: &[String]) -> Result<(), EditError> {
        Err(refused())
    }
    fn set_node(&mut self, _: NodeId, _: &str) -> Result<(), EditError> {
        Err(refused())
    }
    fn delete(&mut self, _: &Target) -> Result<(), EditError> {
        Err(refused())
    }
    fn write(&self) -> Payload {
        Payload::default()
    }
    fn touched(&self) -> bool {
        false
    }
    fn problems(&self) -> Vec<DocumentProblem> {
        Vec::new()
    }
    fn boxed_clone(&self) -> Box<dyn Document> {
        Box::new(*self)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

impl Tree for Absent {
    fn root(&self) -> NodeId {
        NodeId::default()
    }
    fn children(&self, _: NodeId, _: &str, _: &mut Visit<'_>) {}
    fn all_children(&self, _: NodeId, _: &mut Visit<'_>) {}
    fn name(&self, _: NodeId) -> Cow<'_, str> {
        Cow::Borrowed("")
    }
    fn value(&self, _: NodeId) -> Option<Scalar<'_>> {
        None
    }
    fn location(&self, _: NodeId) -> String {
        String::new()
    }
}
