//! Finding the type of a resource before its properties are read: `resourceType` may come last.

use std::borrow::Cow;

use super::lex::Reader;
use crate::definitions::TypeId;
use crate::problem::IssueType;
use crate::report::{Stop, nameable};

/// How many times the document's size may be looked at before its turn, for a `resourceType` that
/// is not the first property.
const AHEAD_MAX: usize = 4;

impl<'s> Reader<'s> {
    /// The type of the object that is next, wherever in it `resourceType` stands; nothing is taken.
    /// `None` where there is none that is known, which is then reported.
    pub(super) fn resource_type(
        &mut self,
        place: Option<(u32, &str)>,
    ) -> Result<Option<TypeId>, Stop> {
        let start = self.at;
        let found = self.find_resource_type()?;
        self.ahead += self.at - start;
        let end = std::mem::replace(&mut self.at, start);
        if self.ahead / AHEAD_MAX > self.source.len() {
            let text = "resourceType has to be the first property in a resource this deep";
            return Err(self.report.fatal(IssueType::TooCostly, start, text));
        }
        let (code, at, text) = match found {
            Some(Ok(name)) => {
                let ty = self.definitions.type_named(name).filter(|ty| {
                    let def = self.definitions.type_def(*ty);
                    def.is_resource() && !def.is_abstract
                });
                if ty.is_some() {
                    return Ok(ty);
                }
                let text = format!("there is no resource type `{}`", nameable(name));
                (IssueType::Value, end, Cow::Owned(text))
            }
            Some(Err(at)) => {
                let text = "resourceType is not a string";
                (IssueType::Structure, at, Cow::Borrowed(text))
            }
            None => {
                let text = "a resource needs a resourceType";
                (IssueType::Structure, start, Cow::Borrowed(text))
            }
        };
        let path = place.map(|(node, name)| self.path(node, name));
        self.report.add(code, at, path.unwrap_or_default(), text)?;
        Ok(None)
    }

    fn find_resource_type(&mut self) -> Result<Option<Result<&'s str, usize>>, Stop> {
        self.at += 1;
        self.blank();
        if self.peek() == Some(b'}') {
            return Ok(None);
        }
        loop {
            self.blank();
            if self.peek() != Some(b'"') {
                return Err(self.expected("a property in quotes"));
            }
            let key = self.string()?;
            self.take(b':', "`:`")?;
            self.blank();
            if key.raw == "resourceType" {
                if self.peek() != Some(b'"') {
                    return Ok(Some(Err(self.at)));
                }
                return Ok(Some(Ok(self.string()?.raw)));
            }
            self.skip(self.limits.depth_max)?;
            if !self.another(b'}')? {
                return Ok(None);
            }
        }
    }
}
