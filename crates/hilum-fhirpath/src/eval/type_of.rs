//! Types: `is`, `as`, `ofType`, `type()`.
//!
//! A node's type is what its document says; where the document has no types, a leaf has the type
//! of its value in the `System` namespace.

use super::{Eval, Machine};
use crate::error::EvalError;
use crate::syntax::Span;
use crate::syntax::ast::TypeName;
use crate::value::{Collection, Item, TypeInfo, Value};

/// The item's type, for messages and `type()`.
pub(super) fn type_info(item: &Item<'_>) -> Option<TypeInfo> {
    let (namespace, name) = match item {
        Item::Value(value) => ("System".to_owned(), value.type_name().to_owned()),
        Item::Node(node) => match node.tree.type_of(node.id) {
            Some((namespace, name)) => (namespace.into_owned(), name.into_owned()),
            None => ("System".to_owned(), node.value()?.type_name().to_owned()),
        },
    };
    Some(TypeInfo { namespace, name })
}

pub(super) fn name_of(item: &Item<'_>) -> String {
    match type_info(item) {
        Some(info) if info.namespace == "System" => info.name,
        Some(info) => format!("{}.{}", info.namespace, info.name),
        None => "a node without value".to_owned(),
    }
}

/// How strictly a type has to match.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// The type itself only.
    Exact,
    /// The type or one that specialises it.
    Kind,
}

impl<'t> Machine<'t> {
    pub(super) fn matches_type(&self, item: &Item<'t>, wanted: &TypeName, how: Match) -> bool {
        let matches = |namespace: &str, name: &str| {
            wanted.namespace.as_ref().is_none_or(|n| n == namespace)
                && (name == wanted.name
                    // `String` may stand for `string`.
                    || ((how == Match::Kind || name.eq_ignore_ascii_case(&wanted.name))
                        && self.env.host.is_subtype(namespace, name, &wanted.name)))
        };
        match item {
            Item::Value(value) => matches("System", value.type_name()),
            Item::Node(node) => match node.tree.type_of(node.id) {
                Some((namespace, name)) => matches(&namespace, &name),
                None => node
                    .value()
                    .is_some_and(|v| matches("System", v.type_name())),
            },
        }
    }

    fn known(&self, wanted: &TypeName, operation: &'static str, span: &Span) -> Eval<()> {
        if self
            .env
            .host
            .known_type(wanted.namespace.as_deref(), &wanted.name)
        {
            return Ok(());
        }
        Err(EvalError::Argument {
            operation,
            what: "type",
            span: span.clone(),
        })
    }

    pub(super) fn is_type(
        &self,
        items: Collection<'t>,
        wanted: &TypeName,
        span: &Span,
    ) -> Eval<Collection<'t>> {
        self.known(wanted, "is", span)?;
        let item = self.single(items, "is", span)?;
        let answer = item.map(|item| self.matches_type(&item, wanted, Match::Kind));
        Ok(Collection::maybe(answer.map(Value::Boolean)))
    }

    pub(super) fn as_type(
        &self,
        items: Collection<'t>,
        wanted: &TypeName,
        span: &Span,
    ) -> Eval<Collection<'t>> {
        self.known(wanted, "as", span)?;
        let item = self.single(items, "as", span)?;
        Ok(item
            .filter(|i| self.matches_type(i, wanted, Match::Exact))
            .into_iter()
            .collect())
    }

    pub(super) fn of_type(
        &self,
        items: Collection<'t>,
        wanted: &TypeName,
        span: &Span,
    ) -> Eval<Collection<'t>> {
        self.known(wanted, "ofType", span)?;
        Ok(items
            .into_iter()
            .filter(|i| self.matches_type(i, wanted, Match::Exact))
            .collect())
    }
}
