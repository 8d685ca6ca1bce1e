//! A resource as the document that travels through a channel.

use std::any::Any;

use hilum_component::{Document, DocumentProblem, EditError, Target};
use hilum_fhir::Resource;
use hilum_fhirpath::{NodeId, Tree};
use hilum_message::Payload;

/// Why nothing can be written.
pub(super) const READ_ONLY: &str = "a message of the format fhir cannot be changed";

#[derive(Clone)]
pub(super) struct FhirDocument {
    resource: Resource,
    received: Payload,
}

impl FhirDocument {
    pub(super) const fn new(resource: Resource, received: Payload) -> Self {
        Self { resource, received }
    }

    fn refuse<T>(path: &str) -> Result<T, EditError> {
        Err(EditError {
            path: path.to_owned(),
            reason: READ_ONLY.to_owned(),
        })
    }
}

impl Document for FhirDocument {
    fn tree(&self) -> &dyn Tree {
        &self.resource
    }

    fn set(&mut self, target: &Target, _values: &[String]) -> Result<(), EditError> {
        Self::refuse(&target.text)
    }

    fn set_node(&mut self, node: NodeId, _value: &str) -> Result<(), EditError> {
        Self::refuse(&self.resource.location(node))
    }

    fn delete(&mut self, target: &Target) -> Result<(), EditError> {
        Self::refuse(&target.text)
    }

    fn write(&self) -> Payload {
        self.received.clone()
    }

    fn touched(&self) -> bool {
        false
    }

    fn problems(&self) -> Vec<DocumentProblem> {
        Vec::new()
    }

    fn boxed_clone(&self) -> Box<dyn Document> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        &self.resource
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        &mut self.resource
    }
}
