//! Functions that move in the document or ask the host, and those about types.

use std::borrow::Cow;

use super::{Called, Eval, Machine};
use crate::env::HostError;
use crate::error::EvalError;
use crate::eval::type_of::type_info;
use crate::syntax::Navigate;
use crate::tree::Scalar;
use crate::value::{Collection, Item, Node, Value};

impl<'t> Machine<'t> {
    pub(super) fn navigate_call(
        &self,
        function: Navigate,
        input: Collection<'t>,
        called: &Called<'_, 't>,
    ) -> Eval<Collection<'t>> {
        match function {
            Navigate::Children => {
                let mut found = Collection::new();
                for item in input.iter() {
                    if let Item::Node(Node { tree, id }) = item {
                        tree.all_children(*id, &mut |id| found.push(Node { tree: *tree, id }));
                    }
                }
                self.spend(found.len())?;
                Ok(found)
            }
            Navigate::Descendants => self.descendants(&input),
            Navigate::Extension => self.extension(&input, called),
            Navigate::GetValue => {
                let item = self.single(input, "getValue", called.span)?;
                Ok(Collection::maybe(item.and_then(|i| i.value())))
            }
            Navigate::Resolve => self.resolve(&input, called),
            Navigate::MemberOf => self.member_of(input, called),
            Navigate::ConformsTo => self.conforms_to(input, called),
            Navigate::OfType | Navigate::Is | Navigate::As => {
                let Some(wanted) = &called.call.type_name else {
                    return Ok(Collection::new());
                };
                match function {
                    Navigate::OfType => self.of_type(input, wanted, called.span),
                    Navigate::Is => self.is_type(input, wanted, called.span),
                    _ => self.as_type(input, wanted, called.span),
                }
            }
            Navigate::Type => Ok(input
                .iter()
                .filter_map(type_info)
                .map(|info| Item::Value(Value::Type(Box::new(info))))
                .collect()),
        }
    }

    /// Everything below, in document order.
    fn descendants(&self, input: &Collection<'t>) -> Eval<Collection<'t>> {
        let mut found = Collection::new();
        // The stack holds what is still to visit, next on top.
        let mut stack: Vec<Node<'t>> = Vec::new();
        for item in input.iter() {
            let Item::Node(top) = item else { continue };
            let below = |node: Node<'t>, stack: &mut Vec<Node<'t>>| {
                let start = stack.len();
                node.tree.all_children(node.id, &mut |id| {
                    stack.push(Node {
                        tree: node.tree,
                        id,
                    })
                });
                stack.get_mut(start..).unwrap_or_default().reverse();
            };
            below(*top, &mut stack);
            while let Some(node) = stack.pop() {
                self.spend(1)?;
                found.push(node);
                below(node, &mut stack);
            }
        }
        Ok(found)
    }

    fn extension(&self, input: &Collection<'t>, called: &Called<'_, 't>) -> Eval<Collection<'t>> {
        let Some(wanted) = self.text_arg(called, 0)? else {
            return Ok(Collection::new());
        };
        let all = self.children(input, "extension")?;
        let mut found = Collection::new();
        for item in all {
            let url = self.children(&Collection::one(item.clone()), "url")?;
            if url.first_string().is_some_and(|u| u == wanted) {
                found.push(item);
            }
        }
        Ok(found)
    }

    /// Follows references: texts, or nodes with a `reference` child.
    fn resolve(&self, input: &Collection<'t>, called: &Called<'_, 't>) -> Eval<Collection<'t>> {
        let mut found = Collection::new();
        for item in input.iter() {
            self.spend(1)?;
            let (from, reference) = match item {
                Item::Value(value) => (None, Some(value.clone().into_text())),
                Item::Node(node) => (Some(*node), reference_of(node)),
            };
            let Some(reference) = reference else { continue };
            let answer = self.env.host.resolve(&reference, from);
            if let Some(node) = self.answered(answer, called)? {
                found.push(node);
            }
        }
        Ok(found)
    }

    fn member_of(&self, input: Collection<'t>, called: &Called<'_, 't>) -> Eval<Collection<'t>> {
        let item = self.single(input, "memberOf", called.span)?;
        let (Some(item), Some(value_set)) = (item, self.text_arg(called, 0)?) else {
            return Ok(Collection::new());
        };
        let answer = self.env.host.member_of(&item, &value_set);
        Ok(Collection::maybe(
            self.answered(answer, called)?.map(Value::Boolean),
        ))
    }

    fn conforms_to(&self, input: Collection<'t>, called: &Called<'_, 't>) -> Eval<Collection<'t>> {
        let item = self.single(input, "conformsTo", called.span)?;
        let (Some(item), Some(profile)) = (item, self.text_arg(called, 0)?) else {
            return Ok(Collection::new());
        };
        let Item::Node(node) = item else {
            return Err(self.refuse(called, "a node", &item));
        };
        let answer = self.env.host.conforms_to(node, &profile);
        Ok(Collection::maybe(
            self.answered(answer, called)?.map(Value::Boolean),
        ))
    }

    fn answered<T>(&self, answer: Result<T, HostError>, called: &Called<'_, 't>) -> Eval<T> {
        answer.map_err(|source| EvalError::Host {
            operation: called.call.name,
            span: called.span.clone(),
            source,
        })
    }
}

fn reference_of<'t>(node: &Node<'t>) -> Option<Cow<'t, str>> {
    let text = |id| match node.tree.value(id) {
        Some(Scalar::String(text)) => Some(text),
        _ => None,
    };
    text(node.id).or_else(|| {
        let mut found = None;
        node.tree
            .children(node.id, "reference", &mut |id| found = found.or(Some(id)));
        found.and_then(text)
    })
}
