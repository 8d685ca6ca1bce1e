//! A SearchParameter resource as a parameter (FHIR R4 searchparameter.html).
//!
//! What is wrong with it is said here, with place and remedy, before it is stored: a parameter that
//! is in use extracts what its definition says, or there is none.

use hilum_fhirpath::{Expression, Misnamed, NameProblem, Options};

use super::params::CustomParam;
use crate::definitions::{Definitions, SearchParamKind, TypeId};
use crate::fhirpath::R4Shapes;
use crate::problem::{IssueType, Problem};
use crate::resource::{Node, Resource};

/// Characters of a code.
const CODE_CHARS_MAX: usize = 64;

impl CustomParam {
    /// The parameter that a SearchParameter defines; `None` where it is not active.
    ///
    /// # Errors
    /// Everything that keeps it from being used.
    pub fn of(resource: &Resource) -> Result<Option<Self>, Vec<Problem>> {
        let root = resource.root();
        if root.child_text("status") != Some("active") {
            return Ok(None);
        }
        let mut read = Read {
            problems: Vec::new(),
        };
        let param = Self {
            code: read.code(root),
            url: root.child_text("url").unwrap_or_default().to_owned(),
            kind: read.kind(root),
            resources: read.types(root, "base"),
            expression: root.child_text("expression").unwrap_or_default().to_owned(),
            targets: read.types(root, "target"),
            components: read.components(root),
        };
        read.expression(root, &param);
        if read.problems.is_empty() {
            Ok(Some(param))
        } else {
            Err(read.problems)
        }
    }
}

struct Read {
    problems: Vec<Problem>,
}

impl Read {
    fn wrong(&mut self, code: IssueType, place: &str, text: impl Into<String>) {
        let problem = Problem::error(code, text.into());
        self.problems
            .push(problem.at(format!("SearchParameter.{place}")));
    }

    fn code(&mut self, root: Node<'_>) -> String {
        let code = root.child_text("code").unwrap_or_default();
        let mut chars = code.chars();
        let begins = chars.next().is_some_and(|c| c.is_ascii_alphabetic());
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !begins || !chars.all(plain) || code.len() > CODE_CHARS_MAX {
            self.wrong(
                IssueType::Value,
                "code",
                format!(
                    "the code cannot be written in a URL; use letters, digits and `-`, a letter \
                     first, at most {CODE_CHARS_MAX}"
                ),
            );
        }
        code.to_owned()
    }

    fn kind(&mut self, root: Node<'_>) -> SearchParamKind {
        let code = root.child_text("type").unwrap_or_default();
        match SearchParamKind::of(code) {
            Some(SearchParamKind::Special) | None => {
                let text = "a parameter of this type cannot be defined; use number, date, string, \
                            token, reference, composite, quantity or uri";
                self.wrong(IssueType::NotSupported, "type", text);
                SearchParamKind::Token
            }
            Some(kind) => kind,
        }
    }

    fn types(&mut self, root: Node<'_>, name: &str) -> Vec<TypeId> {
        let tables = Definitions::r4();
        let mut types = Vec::new();
        for (at, node) in root.children_named(name).enumerate() {
            let text = node.text().unwrap_or_default();
            match tables.type_named(text) {
                Some(ty) if tables.type_def(ty).is_resource() => types.push(ty),
                _ => {
                    let place = format!("{name}[{at}]");
                    let text = format!("`{text}` is no type of resource");
                    self.wrong(IssueType::Value, &place, text);
                }
            }
        }
        types
    }

    fn components(&mut self, root: Node<'_>) -> Vec<(String, String)> {
        let mut components = Vec::new();
        for component in root.children_named("component") {
            let url = component.child_text("definition").unwrap_or_default();
            let url = url.split('|').next().unwrap_or(url);
            let expression = component.child_text("expression").unwrap_or_default();
            components.push((url.to_owned(), expression.to_owned()));
        }
        components
    }

    fn expression(&mut self, root: Node<'_>, param: &CustomParam) {
        let composite = param.kind == SearchParamKind::Composite;
        if composite && param.components.len() < 2 {
            let text = "a composite parameter needs at least two components";
            self.wrong(IssueType::Required, "component", text);
        }
        if !composite && !param.components.is_empty() {
            let text = "only a parameter of the type composite has components";
            self.wrong(IssueType::Invalid, "component", text);
        }
        let expression = root.child_text("expression").unwrap_or_default();
        if expression.is_empty() {
            let text = "the expression is missing; it is FHIRPath from the resource, such as \
                        `Patient.birthDate`";
            self.wrong(IssueType::Required, "expression", text);
            return;
        }
        self.compiles("expression", expression);
        for (at, (_, expression)) in param.components.iter().enumerate() {
            self.compiles(&format!("component[{at}].expression"), expression);
        }
        if !self.problems.is_empty() {
            return;
        }
        let tables = Definitions::r4();
        let concrete = |ty: &&TypeId| !tables.type_def(**ty).is_abstract;
        for ty in param.resources.iter().filter(concrete) {
            self.names(param, *ty);
        }
    }

    /// Holds the names of the expressions against the tables, seen from one of the types.
    fn names(&mut self, param: &CustomParam, ty: TypeId) {
        let tables = Definitions::r4();
        let Ok(expression) = Expression::compile(&param.expression, &Options::default()) else {
            return;
        };
        // Of a parameter on several types each part may be about another one of them.
        let other = |name: &str| {
            let named = tables.type_named(name);
            named.is_some_and(|named| param.resources.iter().any(|own| tables.is_a(*own, named)))
        };
        let named = expression.named(&R4Shapes, &[R4Shapes::of(ty)]);
        let seen = tables.type_def(ty).name;
        for problem in named.problems {
            if problem.kind != Misnamed::OtherType || !other(&problem.name) {
                self.misnamed("expression", &problem, seen);
            }
        }
        let Some(base) = named.result.filter(|base| !base.is_empty()) else {
            return;
        };
        for (at, (_, expression)) in param.components.iter().enumerate() {
            let Ok(expression) = Expression::compile(expression, &Options::default()) else {
                continue;
            };
            let place = format!("component[{at}].expression");
            for problem in expression.named(&R4Shapes, &base).problems {
                self.misnamed(&place, &problem, "what the composite selects");
            }
        }
    }

    fn misnamed(&mut self, place: &str, problem: &NameProblem, seen: &str) {
        let name = &problem.name;
        let text = match problem.kind {
            Misnamed::NoChild => format!(
                "there is no element `{name}` there, seen from {seen}; a choice is written without \
                 its type: `value.ofType(Quantity)`"
            ),
            Misnamed::OtherType => {
                format!("the path begins with {name}, which is not among the types of `base`")
            }
            Misnamed::NoOrder => format!("`{name}` picks among children, which have no order"),
        };
        self.wrong(IssueType::Value, place, text);
    }

    fn compiles(&mut self, place: &str, expression: &str) {
        if let Err(error) = Expression::compile(expression, &Options::default()) {
            let text = format!("the expression is no FHIRPath: {error}");
            self.wrong(IssueType::Value, place, text);
        }
    }
}
