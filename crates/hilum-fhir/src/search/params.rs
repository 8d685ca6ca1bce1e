//! The search parameters that a server has.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use hilum_fhirpath::{Expression, Options};

use super::way::{Way, Ways};
use crate::definitions::{Definitions, SearchParamKind, TypeId};

/// A parameter on one resource type, by its place in its [`ParamSet`]. Those of R4 come first, in
/// the order of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamId(pub u32);

/// A search parameter on one resource type.
#[derive(Clone, Debug)]
pub struct SearchParam {
    /// Its place.
    pub id: ParamId,
    /// The name in a URL.
    pub code: Cow<'static, str>,
    /// Its canonical URL.
    pub url: Cow<'static, str>,
    /// How values are compared.
    pub kind: SearchParamKind,
    /// The type it is on; `Resource` and `DomainResource` stand for all below them.
    pub resource: TypeId,
    /// FHIRPath from the resource; empty for those without.
    pub expression: Cow<'static, str>,
    /// What a reference may point at; empty for any.
    pub targets: Vec<TypeId>,
    /// The parameters of a composite, each with its FHIRPath from what the composite selects.
    pub components: Vec<(ParamId, Cow<'static, str>)>,
}

/// A parameter that is added to those of R4 (a SearchParameter resource).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomParam {
    /// The name in a URL.
    pub code: String,
    /// Its canonical URL.
    pub url: String,
    /// How values are compared.
    pub kind: SearchParamKind,
    /// The types it is on.
    pub resources: Vec<TypeId>,
    /// FHIRPath from the resource.
    pub expression: String,
    /// What a reference may point at; empty for any.
    pub targets: Vec<TypeId>,
    /// URLs of the parameters of a composite, each with its FHIRPath.
    pub components: Vec<(String, String)>,
}

/// Why a parameter cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamError {
    /// Its type has a parameter of this name.
    #[error("there is a search parameter `{0}` already")]
    Taken(String),
    /// Its expression is no FHIRPath.
    #[error("the expression of the search parameter `{code}` cannot be compiled")]
    Expression {
        /// The parameter.
        code: String,
        /// Why.
        #[source]
        source: hilum_fhirpath::CompileError,
    },
    /// A composite names a parameter that is not there.
    #[error(
        "the composite search parameter `{0}` has a component that is no parameter of its type"
    )]
    Component(String),
}

/// `DocumentReference.relationship` of R4 has the expressions of its two components exchanged: the
/// code is read where the reference belongs.
fn mend(param: &mut SearchParam) {
    if param.url == "http://hl7.org/fhir/SearchParameter/DocumentReference-relationship"
        && let [(_, first), (_, second)] = param.components.as_mut_slice()
    {
        std::mem::swap(first, second);
    }
}

/// How the values of a parameter are found in a resource of one type.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    Ways(Ways),
    Expression(Expression),
    Composite(Vec<Part>),
    CompositeExpression(Expression, Vec<(SearchParamKind, Expression)>),
    /// The parameter is about something else than an element.
    Nothing,
}

/// What one path of a composite leads to, and the components seen from there.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) way: Way,
    pub(super) components: Vec<Component>,
}

#[derive(Clone, Debug)]
pub(super) struct Component {
    pub(super) kind: SearchParamKind,
    pub(super) ways: Ways,
    /// Seen from the resource instead.
    pub(super) from_root: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) id: ParamId,
    pub(super) kind: SearchParamKind,
    pub(super) plan: Plan,
}

/// The search parameters of R4, and those that were added.
pub struct ParamSet {
    params: Vec<Arc<SearchParam>>,
    /// By code, with the type that each is on.
    by_code: HashMap<Cow<'static, str>, Vec<(TypeId, ParamId)>>,
    /// What is planned at the first resource of a type.
    planned: Vec<OnceLock<Vec<Planned>>>,
}

impl ParamSet {
    /// The parameters of R4.
    #[must_use]
    pub fn r4() -> Self {
        let tables = Definitions::r4();
        let params = tables.all_search_params().iter().map(|def| SearchParam {
            id: id_of(def.id.index()),
            code: Cow::Borrowed(def.code),
            url: Cow::Borrowed(def.url),
            kind: def.kind,
            resource: def.resource,
            expression: Cow::Borrowed(def.expression),
            targets: def.targets.clone(),
            components: def
                .components
                .iter()
                .map(|part| (id_of(part.param.index()), Cow::Borrowed(part.expression)))
                .collect(),
        });
        let mut params: Vec<SearchParam> = params.collect();
        params.iter_mut().for_each(mend);
        Self::of_params(params.into_iter().map(Arc::new).collect())
    }

    fn of_params(params: Vec<Arc<SearchParam>>) -> Self {
        let mut by_code: HashMap<_, Vec<_>> = HashMap::new();
        for param in &params {
            let same = by_code.entry(param.code.clone()).or_default();
            same.push((param.resource, param.id));
        }
        Self {
            by_code,
            planned: Definitions::r4().types().map(|_| OnceLock::new()).collect(),
            params,
        }
    }

    /// These parameters and one more, on each of its types.
    pub fn with(&self, custom: &CustomParam) -> Result<Self, ParamError> {
        let compiled = Expression::compile(&custom.expression, &Options::default());
        compiled.map_err(|source| ParamError::Expression {
            code: custom.code.clone(),
            source,
        })?;
        let mut params = self.params.clone();
        for resource in &custom.resources {
            if self.find(*resource, &custom.code).is_some() {
                return Err(ParamError::Taken(custom.code.clone()));
            }
            let mut components = Vec::new();
            for (url, expression) in &custom.components {
                let known = self.of(*resource).find(|param| param.url == *url);
                let known = known.ok_or_else(|| ParamError::Component(custom.code.clone()))?;
                let relative = Expression::compile(expression, &Options::default());
                relative.map_err(|source| ParamError::Expression {
                    code: custom.code.clone(),
                    source,
                })?;
                components.push((known.id, Cow::Owned(expression.clone())));
            }
            params.push(Arc::new(SearchParam {
                id: id_of(params.len()),
                code: Cow::Owned(custom.code.clone()),
                url: Cow::Owned(custom.url.clone()),
                kind: custom.kind,
                resource: *resource,
                expression: Cow::Owned(custom.expression.clone()),
                targets: custom.targets.clone(),
                components,
            }));
        }
        Ok(Self::of_params(params))
    }

    /// Every parameter, in the order of its id.
    pub fn all(&self) -> impl ExactSizeIterator<Item = &SearchParam> {
        self.params.iter().map(Arc::as_ref)
    }

    /// Those that were added to the ones of R4.
    #[must_use]
    pub fn custom(&self) -> &[Arc<SearchParam>] {
        let standard = Definitions::r4().all_search_params().len();
        self.params.get(standard..).unwrap_or_default()
    }

    /// A parameter.
    #[must_use]
    pub fn get(&self, id: ParamId) -> Option<&SearchParam> {
        self.params.get(id.0 as usize).map(Arc::as_ref)
    }

    /// The parameters that may be used on a resource type, inherited ones included.
    pub fn of(&self, ty: TypeId) -> impl Iterator<Item = &SearchParam> {
        let tables = Definitions::r4();
        self.params
            .iter()
            .map(Arc::as_ref)
            .filter(move |param| tables.is_a(ty, param.resource))
    }

    /// The parameter of a resource type with this name, inherited ones included.
    #[must_use]
    pub fn find(&self, ty: TypeId, code: &str) -> Option<&SearchParam> {
        let tables = Definitions::r4();
        let mut same = self.by_code.get(code)?.iter();
        let (_, id) = same.find(|(own, _)| tables.is_a(ty, *own))?;
        self.get(*id)
    }

    /// How the parameters of a type are found.
    pub(super) fn planned(&self, ty: TypeId) -> &[Planned] {
        let Some(planned) = self.planned.get(ty.index()) else {
            return &[];
        };
        planned.get_or_init(|| {
            let plan = |param: &SearchParam| Planned {
                id: param.id,
                kind: param.kind,
                plan: self.plan(param, ty),
            };
            let planned = self.of(ty).map(plan);
            planned
                .filter(|planned| !matches!(planned.plan, Plan::Nothing))
                .collect()
        })
    }

    fn plan(&self, param: &SearchParam, ty: TypeId) -> Plan {
        if param.expression.is_empty() || param.kind == SearchParamKind::Special {
            return Plan::Nothing;
        }
        let ways = Ways::compile(&param.expression, ty);
        if param.kind == SearchParamKind::Composite {
            let parts = ways.and_then(|ways| self.parts(param, ty, ways));
            return match parts {
                Some(parts) => Plan::Composite(parts),
                None => self.composite_expression(param),
            };
        }
        match ways {
            Some(ways) => Plan::Ways(ways),
            None => match Expression::compile(&param.expression, &Options::default()) {
                Ok(expression) => Plan::Expression(expression),
                // Those of R4 all compile, which a test shows, and others are checked before.
                Err(_) => Plan::Nothing,
            },
        }
    }

    fn parts(&self, param: &SearchParam, ty: TypeId, ways: Ways) -> Option<Vec<Part>> {
        let mut parts = Vec::new();
        for way in ways.0 {
            let mut components = Vec::new();
            for (id, expression) in &param.components {
                let (ways, from_root) = match expression.strip_prefix("%resource.") {
                    Some(expression) => (Ways::compile(expression, ty)?, true),
                    None => (way.compile_behind(expression)?, false),
                };
                components.push(Component {
                    kind: self.get(*id)?.kind,
                    ways,
                    from_root,
                });
            }
            parts.push(Part { way, components });
        }
        Some(parts)
    }

    fn composite_expression(&self, param: &SearchParam) -> Plan {
        let compile = |text: &str| Expression::compile(text, &Options::default()).ok();
        let components = param
            .components
            .iter()
            .map(|(id, expression)| Some((self.get(*id)?.kind, compile(expression)?)))
            .collect::<Option<Vec<_>>>();
        match (compile(&param.expression), components) {
            (Some(base), Some(components)) => Plan::CompositeExpression(base, components),
            _ => Plan::Nothing,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a set has thousands of parameters, not billions"
)]
const fn id_of(index: usize) -> ParamId {
    ParamId(index as u32)
}

impl fmt::Debug for ParamSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParamSet")
            .field("params", &self.params.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_r4_are_ways_but_for_one() {
        let (set, tables) = (ParamSet::r4(), Definitions::r4());
        let mut others = Vec::new();
        for (ty, def) in tables.types().filter(|(_, def)| def.is_resource()) {
            for param in set.of(ty) {
                let simple = matches!(set.plan(param, ty), Plan::Ways(_) | Plan::Composite(_));
                let none = param.expression.is_empty() || param.kind == SearchParamKind::Special;
                if !simple && !none && !def.is_abstract {
                    others.push(format!("{}.{}", def.name, param.code));
                }
                let compiled = Expression::compile(&param.expression, &Options::default());
                assert!(
                    param.expression.is_empty() || compiled.is_ok(),
                    "{}",
                    param.expression
                );
            }
        }
        assert_eq!(others, ["Patient.deceased"]);
    }
}
