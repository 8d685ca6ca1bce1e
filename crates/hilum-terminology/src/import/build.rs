//! What all formats make systems with.

use std::sync::Arc;

use super::error::ImportError;
use super::{Imported, input::Input};
use crate::system::{Body, Content, PropertyDef, Standing, System};
use crate::table::{At, TableBuilder, ValueKind};

/// Who a code system is.
pub(super) struct Identity<'i> {
    pub(super) url: &'i str,
    pub(super) version: String,
    pub(super) name: &'i str,
    pub(super) title: &'i str,
    pub(super) language: Option<&'i str>,
    pub(super) properties: &'i [(&'i str, ValueKind)],
}

impl Identity<'_> {
    /// The code system with a table.
    pub(super) fn system(self, table: TableBuilder) -> Arc<System> {
        let properties = self.properties.iter().map(|(code, kind)| PropertyDef {
            code: (*code).into(),
            uri: None,
            kind: *kind,
        });
        Arc::new(System {
            url: self.url.into(),
            version: Some(self.version.into()),
            name: Some(self.name.into()),
            title: Some(self.title.into()),
            language: self.language.map(Into::into),
            standing: Standing {
                status: "active".into(),
                ..Standing::default()
            },
            content: Content::Complete,
            version_needed: false,
            supplements: None,
            properties: properties.collect(),
            body: Body::Table(Arc::new(table.finish())),
        })
    }

    pub(super) fn imported(self, table: TableBuilder) -> Imported {
        Imported {
            systems: vec![self.system(table)],
            ..Imported::default()
        }
    }
}

/// Adds a property that says something.
pub(super) fn say(
    table: &mut TableBuilder,
    at: At,
    name: &str,
    kind: ValueKind,
    value: &str,
) -> Result<(), ImportError> {
    if !value.is_empty() {
        table.property(at, name, kind, value)?;
    }
    Ok(())
}

/// The version that was named, or the one that the name of the release tells.
pub(super) fn version_of(
    named: Option<&str>,
    input: &Input<'_>,
    tells: impl Fn(&str) -> Option<String>,
) -> Result<String, ImportError> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let names = std::iter::once(input.name());
    let mut names = names.chain(input.members().iter().map(|member| member.name.clone()));
    names
        .find_map(|name| tells(&name))
        .ok_or(ImportError::Version)
}

/// Runs of digits in a name.
pub(super) fn digits(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_ascii_digit())
        .filter(|run| !run.is_empty())
}
