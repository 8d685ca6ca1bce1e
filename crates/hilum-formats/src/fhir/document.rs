//! A resource as the document that travels through a channel.
//!
//! A resource that was changed is written anew in the form that it came in, without white space.

use std::any::Any;

use hilum_component::{Document, DocumentProblem, EditError, Target};
use hilum_fhir::{Resource, Style, json, xml};
use hilum_fhirpath::{NodeId, Tree};
use hilum_message::{Payload, Tokens};

use super::Form;
use super::place::{self, Place};

#[derive(Clone)]
pub(super) struct FhirDocument {
    resource: Resource,
    form: Form,
    received: Payload,
    attachments: Option<Tokens>,
    touched: bool,
}

impl FhirDocument {
    pub(super) const fn new(
        resource: Resource,
        form: Form,
        received: Payload,
        attachments: Option<Tokens>,
    ) -> Self {
        Self {
            resource,
            form,
            received,
            attachments,
            touched: false,
        }
    }

    fn keep(&mut self, changed: Result<Resource, EditError>) -> Result<(), EditError> {
        self.resource = changed?;
        self.touched = true;
        Ok(())
    }
}

fn place_of(target: &Target) -> Result<&Place, EditError> {
    target
        .compiled
        .downcast_ref::<Place>()
        .ok_or_else(|| EditError {
            path: target.text.clone(),
            reason: "the path belongs to another format".to_owned(),
        })
}

impl Document for FhirDocument {
    fn tree(&self) -> &dyn Tree {
        &self.resource
    }

    fn set(&mut self, target: &Target, values: &[String]) -> Result<(), EditError> {
        let changed = place::set(&self.resource, place_of(target)?, values);
        self.keep(changed)
    }

    fn set_node(&mut self, node: NodeId, value: &str) -> Result<(), EditError> {
        let changed = place::set_node(&self.resource, node, value);
        self.keep(changed)
    }

    fn delete(&mut self, target: &Target) -> Result<(), EditError> {
        let changed = place::set(&self.resource, place_of(target)?, &[]);
        self.keep(changed)
    }

    fn write(&self) -> Payload {
        if !self.touched {
            return self.received.clone();
        }
        let mut text = Vec::new();
        match self.form {
            Form::Json => json::write(&self.resource, Style::Compact, &mut text),
            Form::Xml => xml::write(&self.resource, Style::Compact, &mut text),
        }
        match &self.attachments {
            Some(attachments) => attachments.extract(&text.into()),
            None => Payload::inline(text.into()),
        }
    }

    fn touched(&self) -> bool {
        self.touched
    }

    fn problems(&self) -> Vec<DocumentProblem> {
        Vec::new()
    }

    fn boxed_clone(&self) -> Box<dyn Document> {
        Box::new(self.clone())
    }

    fn payload_of(&self, text: bytes::Bytes) -> Payload {
        match &self.attachments {
            Some(attachments) => attachments.extract(&text),
            None => Payload::inline(text),
        }
    }

    fn as_any(&self) -> &dyn Any {
        &self.resource
    }

    /// Whoever takes the resource to change it is taken to have done so.
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self.touched = true;
        &mut self.resource
    }
}
