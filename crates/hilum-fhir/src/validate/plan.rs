//! What is to be checked at each element, worked out once.

use hilum_fhirpath::{Expression, Options};

use super::native::{self, Native};
use crate::definitions::{
    BindingStrength, Definitions, ElementDef, ElementId, Invariant, InvariantId,
};

/// How a rule is tested.
pub(super) enum Test {
    /// What reads resources refuses one that breaks it.
    Given,
    /// By code, because it is everywhere or not expressible.
    Native(Native),
    /// By its expression.
    Path(Expression),
    /// Its expression is not FHIRPath.
    Broken,
}

pub(super) struct Rule {
    pub(super) invariant: &'static Invariant,
    pub(super) test: Test,
}

impl Rule {
    fn new(invariant: &'static Invariant) -> Self {
        let test = if invariant.key == "ele-1" {
            Test::Given
        } else if let Some(native) = native::named(invariant.key) {
            Test::Native(native)
        } else {
            let options = Options::default();
            Expression::compile(invariant.expression, &options).map_or(Test::Broken, Test::Path)
        };
        Self { invariant, test }
    }
}

/// What is to be checked at an element.
#[derive(Default)]
pub(super) struct ElementPlan {
    /// Children that must be there.
    pub(super) required: Box<[ElementId]>,
    /// Rules, those that are given left out.
    pub(super) rules: Box<[InvariantId]>,
    /// A value set that is to be looked at.
    pub(super) bound: Option<(BindingStrength, &'static str)>,
}

/// What is to be checked everywhere.
pub(super) struct Plan {
    elements: Vec<ElementPlan>,
    rules: Vec<Rule>,
    nothing: ElementPlan,
}

impl Plan {
    pub(super) fn new(tables: &'static Definitions) -> Self {
        let rules: Vec<Rule> = tables.invariants().iter().map(Rule::new).collect();
        let elements = tables.elements().iter();
        let elements = elements.map(|element| element_plan(tables, element, &rules));
        Self {
            elements: elements.collect(),
            rules,
            nothing: ElementPlan::default(),
        }
    }

    pub(super) fn at(&self, element: ElementId) -> &ElementPlan {
        self.elements.get(element.index()).unwrap_or(&self.nothing)
    }

    pub(super) fn rule(&self, id: InvariantId) -> Option<&Rule> {
        self.rules.get(id.index())
    }

    /// The keys of rules whose expressions do not compile.
    #[cfg(test)]
    pub(super) fn broken(&self) -> Vec<&'static str> {
        let broken = self
            .rules
            .iter()
            .filter(|rule| matches!(rule.test, Test::Broken));
        broken.map(|rule| rule.invariant.key).collect()
    }
}

fn element_plan(
    tables: &'static Definitions,
    element: &'static ElementDef,
    rules: &[Rule],
) -> ElementPlan {
    let children = element.child_ids();
    let required = children.filter(|child| tables.element(*child).min > 0);
    let tested = |id: &InvariantId| {
        let rule = rules.get(id.index());
        rule.is_some_and(|rule| !matches!(rule.test, Test::Given))
    };
    let bound = element.binding.as_ref().and_then(|binding| {
        let strict = binding.strength >= BindingStrength::Extensible;
        (strict && !binding.value_set.is_empty()).then_some((binding.strength, binding.value_set))
    });
    ElementPlan {
        required: required.collect(),
        rules: element.invariants.iter().copied().filter(tested).collect(),
        bound,
    }
}
