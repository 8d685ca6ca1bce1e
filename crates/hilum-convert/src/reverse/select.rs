//! Finding elements by paths, and conditions on them.

use std::ops::ControlFlow;

use hilum_fhir::Node;

use super::plan::{Begin, Cond, Path, Step};
use super::run::Run;
use crate::text::Compare;

impl<'r, 'p> Run<'r, 'p> {
    /// Appends what a path finds.
    pub(super) fn select(
        &mut self,
        path: &'p Path,
        context: Option<Node<'r>>,
        out: &mut Vec<Node<'r>>,
    ) {
        if path.plain {
            if let Some(node) = context {
                let _all: ControlFlow<()> = visit(&path.steps, node, &mut |node| {
                    out.push(node);
                    ControlFlow::Continue(())
                });
            }
            return;
        }
        let mut at = self.pool.pop().unwrap_or_default();
        let mut steps = path.steps.as_slice();
        match path.start {
            Begin::Context => match (context, steps) {
                (Some(node), _) => at.push(node),
                (None, [Step::Back { ty, element }, rest @ ..]) => {
                    self.sources
                        .back(*ty, *element, None, |holder, _| at.push(holder));
                    steps = rest;
                }
                (None, _) => {}
            },
            Begin::All(ty) => at.extend(self.sources.of_type(ty)),
            Begin::Subjects { .. } => {}
        }
        let mut next = self.pool.pop().unwrap_or_default();
        for step in steps {
            if at.is_empty() {
                break;
            }
            self.step(step, &at, &mut next);
            std::mem::swap(&mut at, &mut next);
            next.clear();
        }
        out.append(&mut at);
        self.pool.push(at);
        self.pool.push(next);
    }

    fn step(&mut self, step: &'p Step, at: &[Node<'r>], next: &mut Vec<Node<'r>>) {
        match step {
            Step::Child { .. } | Step::Extension { .. } => {
                for node in at {
                    let _all: ControlFlow<()> =
                        visit(std::slice::from_ref(step), *node, &mut |node| {
                            next.push(node);
                            ControlFlow::Continue(())
                        });
                }
            }
            Step::Where(condition) => {
                for node in at {
                    let before = self.touched.len();
                    if self.condition(condition, Some(*node)) {
                        next.push(*node);
                    } else {
                        self.touched.truncate(before);
                    }
                }
            }
            Step::Resolve(ty) => {
                for node in at {
                    let Some(target) = self.sources.resolve(*node) else {
                        continue;
                    };
                    if target.type_id() == *ty {
                        self.touched.push((*node, true));
                        if !next.contains(&target) {
                            next.push(target);
                        }
                    }
                }
            }
            Step::Back { ty, element } => {
                let touched = &mut self.touched;
                for node in at {
                    self.sources
                        .back(*ty, *element, Some(*node), |holder, link| {
                            touched.extend(link.map(|link| (link, true)));
                            if !next.contains(&holder) {
                                next.push(holder);
                            }
                        });
                }
            }
            Step::Index(index) => next.extend(at.get(*index)),
            Step::Skip(count) => next.extend(at.iter().skip(*count)),
        }
    }

    pub(super) fn condition(&mut self, of: &'p Cond, context: Option<Node<'r>>) -> bool {
        match of {
            Cond::And(parts) => parts.iter().all(|part| self.condition(part, context)),
            Cond::Or(parts) => parts.iter().any(|part| self.condition(part, context)),
            Cond::Not(inner) => {
                let before = self.touched.len();
                let holds = self.condition(inner, context);
                self.touched.truncate(before);
                !holds
            }
            Cond::Exists(path) => self.any(path, context, false, |_| true),
            Cond::Empty(path) => !self.any(path, context, false, |_| true),
            Cond::TargetEmpty => self.target.is_none_or(|spot| !self.draft.is_valued(spot)),
            Cond::Compare(path, how, text) => self.compare(path, *how, text, context),
            Cond::In(path, texts) => self.any(path, context, true, |value| {
                texts.iter().any(|text| **text == *value)
            }),
            Cond::Count(path, how, number) => {
                let mut found = self.pool.pop().unwrap_or_default();
                self.select(path, context, &mut found);
                let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
                found.clear();
                self.pool.push(found);
                match how {
                    Compare::Equal | Compare::Alike => count == *number,
                    Compare::Differs | Compare::Unlike => count != *number,
                    Compare::Less => count < *number,
                    Compare::AtMost => count <= *number,
                    Compare::More => count > *number,
                    Compare::AtLeast => count >= *number,
                }
            }
            Cond::StartsWith(path, text) => {
                self.any(path, context, true, |value| value.starts_with(&**text))
            }
            Cond::EndsWith(path, text) => {
                self.any(path, context, true, |value| value.ends_with(&**text))
            }
            Cond::Contains(path, text) => {
                self.any(path, context, true, |value| value.contains(&**text))
            }
            Cond::Matches(path, regex) => {
                self.any(path, context, true, |value| regex.is_match(value))
            }
            Cond::Given(given, how, text) => {
                let value = self.givens.text(*given);
                match how {
                    Compare::Differs | Compare::Unlike => *value != **text,
                    _ => *value == **text,
                }
            }
            Cond::GivenIn(given, texts) => {
                let value = self.givens.text(*given);
                texts.iter().any(|text| **text == *value)
            }
        }
    }

    /// As FHIRPath compares: `!=` is false where nothing is there, `!~` is true.
    fn compare(
        &mut self,
        path: &'p Path,
        how: Compare,
        text: &str,
        context: Option<Node<'r>>,
    ) -> bool {
        match how {
            Compare::Equal => self.any(path, context, true, |value| value == text),
            Compare::Alike => self.any(path, context, true, |value| {
                value.eq_ignore_ascii_case(text)
            }),
            Compare::Differs => self.any(path, context, false, |value| value != text),
            Compare::Unlike => !self.any(path, context, false, |value| {
                value.eq_ignore_ascii_case(text)
            }),
            Compare::Less | Compare::AtMost | Compare::More | Compare::AtLeast => false,
        }
    }

    /// Whether a value at a path passes; the values that do are noted as what decided.
    fn any(
        &mut self,
        path: &'p Path,
        context: Option<Node<'r>>,
        note: bool,
        test: impl Fn(&str) -> bool,
    ) -> bool {
        let test = |node: &Node<'r>| test(node.text().unwrap_or_default());
        if path.plain {
            let holds = context.and_then(|node| {
                let found = visit(&path.steps, node, &mut |node| match test(&node) {
                    true => ControlFlow::Break(node),
                    false => ControlFlow::Continue(()),
                });
                found.break_value()
            });
            self.touched
                .extend(holds.filter(|_| note).map(|node| (node, false)));
            return holds.is_some();
        }
        let mut found = self.pool.pop().unwrap_or_default();
        let before = self.touched.len();
        self.select(path, context, &mut found);
        self.touched.truncate(before);
        let holds = found.iter().copied().find(test);
        if note && let Some(node) = holds {
            self.touched.push((node, false));
        }
        found.clear();
        self.pool.push(found);
        holds.is_some()
    }
}

/// Visits what children of children a node has, until it is told to stop.
fn visit<'r, B>(
    steps: &[Step],
    node: Node<'r>,
    found: &mut impl FnMut(Node<'r>) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let Some((step, rest)) = steps.split_first() else {
        return found(node);
    };
    let (element, ty, url) = match step {
        Step::Child { element, ty } => (*element, *ty, None),
        Step::Extension { element, url } => (*element, None, Some(&**url)),
        // A plain path has no other steps.
        Step::Where(_) | Step::Resolve(_) | Step::Back { .. } | Step::Index(_) | Step::Skip(_) => {
            return ControlFlow::Continue(());
        }
    };
    let mut children = node.children_of(element).filter(|child| {
        ty.is_none_or(|ty| child.type_id() == ty)
            && url.is_none_or(|url| child.child_text("url") == Some(url))
    });
    if let [Step::Index(index), rest @ ..] = rest {
        return match children.nth(*index) {
            Some(child) => visit(rest, child, found),
            None => ControlFlow::Continue(()),
        };
    }
    for child in children {
        visit(rest, child, found)?;
    }
    ControlFlow::Continue(())
}
