//! What JSON, XML and delimited text share as documents: all are trees of `hilum-tree`.

use std::any::Any;

use bytes::Bytes;
use hilum_component::{Document, DocumentProblem, EditError, ParseReject, Target};
use hilum_fhirpath::{NodeId, Tree};
use hilum_message::{Payload, Tokens};
use hilum_tree::{Editable, ParseError, Path};

/// A tree with the payload that it was read from.
#[derive(Clone)]
pub(crate) struct TreeDocument<T> {
    tree: T,
    received: Payload,
    attachments: Option<Tokens>,
}

impl<T: Editable + Clone + 'static> TreeDocument<T> {
    /// Reads a payload with `parse`.
    pub(crate) fn read(
        format: &'static str,
        payload: &Payload,
        parse: impl FnOnce(&Bytes) -> Result<T, ParseError>,
    ) -> Result<Box<dyn Document>, ParseReject> {
        let (text, attachments) = Tokens::embed(payload);
        let tree = parse(&text).map_err(|error| ParseReject {
            format,
            reason: error.to_string(),
        })?;
        Ok(Box::new(Self {
            tree,
            received: payload.clone(),
            attachments,
        }))
    }
}

/// Compiles a path of these formats.
pub(crate) fn target(path: &str) -> Result<Target, String> {
    let compiled = Path::parse(path).map_err(|error| error.to_string())?;
    Ok(Target {
        text: path.to_owned(),
        compiled: Box::new(compiled),
    })
}

fn path_of(target: &Target) -> Result<&Path, EditError> {
    target
        .compiled
        .downcast_ref::<Path>()
        .ok_or_else(|| EditError {
            path: target.text.clone(),
            reason: "the path belongs to another format".to_owned(),
        })
}

fn edit_error(error: hilum_tree::EditError) -> EditError {
    EditError {
        path: error.path,
        reason: error.reason.to_owned(),
    }
}

impl<T: Editable + Clone + 'static> Document for TreeDocument<T> {
    fn tree(&self) -> &dyn Tree {
        &self.tree
    }

    fn set(&mut self, target: &Target, values: &[String]) -> Result<(), EditError> {
        self.tree.set(path_of(target)?, values).map_err(edit_error)
    }

    fn set_node(&mut self, node: NodeId, value: &str) -> Result<(), EditError> {
        self.tree.set_node(node, value).map_err(edit_error)
    }

    fn delete(&mut self, target: &Target) -> Result<(), EditError> {
        self.tree.delete(path_of(target)?).map_err(edit_error)
    }

    fn write(&self) -> Payload {
        if !self.tree.touched() {
            return self.received.clone();
        }
        let text = self.tree.write();
        match &self.attachments {
            Some(attachments) => attachments.extract(&text),
            None => Payload::inline(text),
        }
    }

    fn touched(&self) -> bool {
        self.tree.touched()
    }

    fn problems(&self) -> Vec<DocumentProblem> {
        Vec::new()
    }

    fn boxed_clone(&self) -> Box<dyn Document> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        &self.tree
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        &mut self.tree
    }
}
