//! Rules, tested at a node.

use hilum_fhirpath::{self as fhirpath, Env, Expression, Item, NodeId};

use super::host::Host;
use super::plan::Test;
use super::{Check, native};
use crate::definitions::InvariantId;
use crate::problem::{IssueType, Problem, Severity};
use crate::resource::Node;

impl Check<'_> {
    /// Tests a rule of the tables.
    pub(super) fn rule(&mut self, node: Node<'_>, id: InvariantId) {
        let Some(rule) = self.validator.plan.rule(id) else {
            return;
        };
        let invariant = rule.invariant;
        let severity = if invariant.best_practice {
            let Some(severity) = self.request.best_practice else {
                return;
            };
            severity
        } else if invariant.warning {
            Severity::Warning
        } else {
            Severity::Error
        };
        let holds = match &rule.test {
            Test::Given | Test::Broken => return,
            Test::Native(native) => Ok(native(node)),
            Test::Path(expression) => self.holds(node, expression),
        };
        self.judge(node, severity, invariant.key, invariant.human, holds);
    }

    /// Reports a rule that does not hold, or that could not be tested.
    pub(super) fn judge(
        &mut self,
        node: Node<'_>,
        severity: Severity,
        key: &str,
        human: &str,
        holds: Result<bool, fhirpath::EvalError>,
    ) {
        let problem = match holds {
            Ok(true) => return,
            Ok(false) => Problem::error(IssueType::Invariant, format!("{key}: {human}")),
            Err(error) => {
                let text = format!("{key} could not be tested: {error}");
                Problem::warning(IssueType::Processing, text)
            }
        };
        let severity = severity.max(problem.severity);
        let problem = problem.with_severity(severity).with_details(key.to_owned());
        self.push(problem, node);
    }

    /// Whether a condition holds, seen from a node. An empty answer is not true, so that the rule
    /// does not hold (FHIR R4 conformance-rules.html#constraints).
    pub(super) fn holds(
        &self,
        node: Node<'_>,
        expression: &Expression,
    ) -> Result<bool, fhirpath::EvalError> {
        self.holds_in(node, node.nearest_resource(), expression)
    }

    /// The same with `%resource` said.
    pub(super) fn holds_in(
        &self,
        node: Node<'_>,
        resource: Node<'_>,
        expression: &Expression,
    ) -> Result<bool, fhirpath::EvalError> {
        let host = self.host();
        expression.holds(self.resource, node.id(), &self.env(resource, &host))
    }

    /// The nodes that an expression selects, seen from a node.
    pub(super) fn select(&self, node: Node<'_>, expression: &Expression) -> Option<Vec<NodeId>> {
        let host = self.host();
        let env = self.env(node.nearest_resource(), &host);
        let found = expression.evaluate(self.resource, node.id(), &env).ok()?;
        let id = |item: &Item<'_>| match item {
            Item::Node(node) => Some(node.id),
            Item::Value(_) => None,
        };
        Some(found.items().iter().filter_map(id).collect())
    }

    fn host(&self) -> Host<'_> {
        Host { check: self }
    }

    fn env<'e>(&'e self, resource: Node<'_>, host: &'e Host<'e>) -> Env<'e> {
        let place = |node: Node<'_>| {
            Some(fhirpath::Node {
                tree: self.resource,
                id: node.id(),
            })
        };
        Env {
            resource: place(resource),
            root_resource: place(native::container(resource)),
            ..Env::new(self.request.now).with_host(host)
        }
    }
}
