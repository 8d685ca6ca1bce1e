//! Topics: what may be subscribed to, after the R5 SubscriptionTopic
//! (`http://hl7.org/fhir/5.0/StructureDefinition/SubscriptionTopic`). Those of the configuration and
//! those that are stored as resources (`basic`) mean the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use hilum_fhir::definitions::TypeId;
use hilum_fhir::fhirpath::{R4Shapes, R4Types};
use hilum_fhir_store::ResourceType;
use hilum_fhirpath::{Collection, Env, Expression, Node, Options, Shape, Shapes, Variables};

use super::commit::{Moment, Seen};
use super::criteria::{self, Criteria};
use crate::open::OpenError;
use crate::tenant::Tenant;

/// What one expression may cost at one change; a tenth of a second at most.
const FUEL: u64 = 200_000;
/// Triggers of one topic.
const TRIGGERS_MAX: usize = 100;

/// A topic, as a site or a resource describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicOptions {
    /// Its canonical URL, which subscriptions name as their criteria.
    pub url: String,
    /// Its version, which they may name behind a `|`.
    pub version: Option<String>,
    /// Any of these makes an event.
    pub triggers: Vec<TriggerOptions>,
    /// What subscriptions may narrow it by: type and search parameter (`Encounter?patient`).
    pub filters: Vec<String>,
}

/// What makes an event of a topic. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TriggerOptions {
    /// The type of the resource.
    pub resource: String,
    /// The interactions; all of them if none is named.
    pub on: Vec<Interaction>,
    /// A search that must match the resource as it was.
    pub previous: Option<String>,
    /// What `previous` comes to for a create.
    pub for_create: TestResult,
    /// A search that must match the resource as it will be.
    pub current: Option<String>,
    /// What `current` comes to for a delete.
    pub for_delete: TestResult,
    /// Both searches must match; else one is enough.
    pub require_both: bool,
    /// FHIRPath that must be true, over `%previous` and `%current`.
    pub fhirpath: Option<String>,
}

/// What a search comes to for a resource that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TestResult {
    /// It matches.
    #[default]
    Passes,
    /// It does not match.
    Fails,
}

/// What is done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interaction {
    /// It did not exist before.
    Create,
    /// It existed before.
    Update,
    /// It exists no more.
    Delete,
}

/// The topics of a tenant by their URLs.
pub(crate) type Topics = BTreeMap<String, Arc<Topic>>;

/// The topic that criteria name, which may name a version as well.
pub(super) fn named<'t>(topics: &'t Topics, canonical: &str) -> Option<&'t Arc<Topic>> {
    let (url, version) = match canonical.split_once('|') {
        Some((url, version)) => (url, Some(version)),
        None => (canonical, None),
    };
    let topic = topics.get(url)?;
    (version.is_none() || version == topic.version.as_deref()).then_some(topic)
}

/// A topic, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    version: Option<String>,
    pub(super) triggers: Vec<Arc<Trigger>>,
    filters: Vec<String>,
}

/// What makes an event, compiled.
#[derive(Clone, Debug)]
pub(super) struct Trigger {
    pub(super) resource_type: ResourceType,
    on: Vec<Interaction>,
    previous: Option<Criteria>,
    for_create: TestResult,
    current: Option<Criteria>,
    for_delete: TestResult,
    require_both: bool,
    expression: Option<Expression>,
}

/// What is wrong with a topic: which part of it, and what.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) part: Part,
    pub(super) text: String,
}

/// A part of a topic; triggers and filters by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Triggers,
    Resource(usize),
    Previous(usize),
    Current(usize),
    FhirPath(usize),
    Filter(usize),
}

impl Part {
    /// As a site calls it.
    fn name(self) -> String {
        match self {
            Self::Triggers => "triggers".to_owned(),
            Self::Resource(at) => format!("triggers[{at}].resource"),
            Self::Previous(at) => format!("triggers[{at}].previous"),
            Self::Current(at) => format!("triggers[{at}].current"),
            Self::FhirPath(at) => format!("triggers[{at}].fhirpath"),
            Self::Filter(at) => format!("filters[{at}]"),
        }
    }
}

impl Trigger {
    pub(super) fn holds(&self, moment: &Moment<'_>) -> bool {
        let done = match (moment.before, moment.now) {
            (None, Some(_)) => Interaction::Create,
            (Some(_), Some(_)) => Interaction::Update,
            (Some(_), None) => Interaction::Delete,
            (None, None) => return false,
        };
        (self.on.is_empty() || self.on.contains(&done))
            && self.searches(moment)
            && self.expressed(moment)
    }

    fn searches(&self, moment: &Moment<'_>) -> bool {
        let test = |criteria: &Option<Criteria>, of: Option<&Seen>, absent: TestResult| {
            let criteria = criteria.as_ref()?;
            Some(of.map_or(absent == TestResult::Passes, |of| criteria.holds(of)))
        };
        let previous = test(&self.previous, moment.before, self.for_create);
        let current = test(&self.current, moment.now, self.for_delete);
        match (previous, current) {
            (None, None) => true,
            (Some(one), None) | (None, Some(one)) => one,
            (Some(previous), Some(current)) if self.require_both => previous && current,
            (Some(previous), Some(current)) => previous || current,
        }
    }

    fn expressed(&self, moment: &Moment<'_>) -> bool {
        let Some(expression) = &self.expression else {
            return true;
        };
        let focus = moment.now.or(moment.before).and_then(Seen::tree);
        let Some(focus) = focus else {
            return false;
        };
        let env = Env::new(hilum_fhirpath::Moment::from_unix_millis(moment.at_ms, 0))
            .with_host(&R4Types)
            .with_variables(moment)
            .with_fuel(FUEL);
        match expression.holds(focus, focus.root().id(), &env) {
            Ok(holds) => holds,
            Err(error) => {
                tracing::warn!(
                    "an expression of a topic cannot be evaluated, so there is no event: {error}"
                );
                false
            }
        }
    }
}

/// The variables of a trigger (FHIR R5 subscriptiontopic.html#fhirpath-criteria).
const VARIABLES: [&str; 2] = ["previous", "current"];

impl Variables for Moment<'_> {
    fn variable<'v>(&'v self, name: &str) -> Option<Collection<'v>> {
        let seen = match name {
            "previous" => self.before,
            "current" => self.now,
            _ => return None,
        };
        let tree = seen.and_then(Seen::tree);
        Some(tree.map_or_else(Collection::new, |tree| {
            Collection::one(Node {
                tree,
                id: tree.root().id(),
            })
        }))
    }
}

impl Topic {
    /// A filter that a subscription asks for (`Encounter?patient=Patient/7`).
    pub(super) fn filter(&self, tenant: &Tenant, text: &str) -> Result<Criteria, String> {
        let (name, query) = text.split_once('?').unwrap_or(("", text));
        // Without a type it is that of the only trigger.
        let name = if name.is_empty() {
            let first = self.triggers.first();
            first.map_or("", |first| tenant.type_name(first.resource_type))
        } else {
            name
        };
        for pair in query.split('&') {
            let code = pair.split(['=', ':']).next().unwrap_or_default();
            let asked = format!("{name}?{code}");
            if !self.filters.contains(&asked) {
                return Err(format!(
                    "the topic cannot be filtered so; its filters: {}",
                    self.filters.join(", ")
                ));
            }
        }
        let criteria = criteria::compile(tenant, &format!("{name}?{query}"))?;
        let mut triggers = self.triggers.iter();
        if triggers.any(|trigger| trigger.resource_type == criteria.resource_type) {
            return Ok(criteria);
        }
        Err("a filter is about a type that the topic does not look at".to_owned())
    }
}

/// Compiles the topics of a site for a tenant.
pub(crate) fn compile(tenant: &Tenant, topics: &[TopicOptions]) -> Result<Topics, OpenError> {
    let mut compiled = Topics::new();
    for topic in topics {
        let wrong = |text: String| OpenError::Topic {
            url: topic.url.clone(),
            text,
        };
        let one = one(tenant, topic);
        let one = one.map_err(|error| wrong(format!("{}: {}", error.part.name(), error.text)))?;
        if compiled.insert(topic.url.clone(), Arc::new(one)).is_some() {
            return Err(wrong("it is described twice".to_owned()));
        }
    }
    Ok(compiled)
}

/// Compiles a topic.
pub(super) fn one(tenant: &Tenant, topic: &TopicOptions) -> Result<Topic, Wrong> {
    if topic.triggers.is_empty() || topic.triggers.len() > TRIGGERS_MAX {
        let text = format!("a topic has triggers, {TRIGGERS_MAX} at most");
        return Err(Wrong {
            part: Part::Triggers,
            text,
        });
    }
    let mut triggers = Vec::with_capacity(topic.triggers.len());
    for (at, trigger) in topic.triggers.iter().enumerate() {
        triggers.push(Arc::new(compiled(tenant, at, trigger)?));
    }
    for (at, filter) in topic.filters.iter().enumerate() {
        known_filter(tenant, filter).map_err(|text| Wrong {
            part: Part::Filter(at),
            text,
        })?;
    }
    Ok(Topic {
        version: topic.version.clone(),
        triggers,
        filters: topic.filters.clone(),
    })
}

/// A filter is a type of resource and a parameter by which it can be searched.
fn known_filter(tenant: &Tenant, filter: &str) -> Result<(), String> {
    let (name, code) = filter.split_once('?').unwrap_or((filter, ""));
    let ty = tenant.table.type_named(name);
    let ty = ty.ok_or_else(|| format!("`{name}` is no type of resource"))?;
    if code == "_id" || tenant.table.param(ty, code).is_some() {
        return Ok(());
    }
    Err(format!("{name} has no search parameter `{code}`"))
}

fn compiled(tenant: &Tenant, at: usize, trigger: &TriggerOptions) -> Result<Trigger, Wrong> {
    let wrong = |part: fn(usize) -> Part| {
        move |text: String| Wrong {
            part: part(at),
            text,
        }
    };
    let name = &trigger.resource;
    let ty = tenant.table.type_named(name);
    let of = ty.and_then(|ty| Some((ty, tenant.table.stored(ty)?)));
    let of = of.ok_or_else(|| format!("`{name}` is no type of resource"));
    let (ty, resource_type) = of.map_err(wrong(Part::Resource))?;
    let search = |query: &Option<String>| {
        let query = query.as_ref()?;
        Some(criteria::compile(tenant, &format!("{name}?{query}")))
    };
    let previous = search(&trigger.previous).transpose();
    let current = search(&trigger.current).transpose();
    let expression = trigger.fhirpath.as_deref().map(|text| expression(text, ty));
    Ok(Trigger {
        resource_type,
        on: trigger.on.clone(),
        previous: previous.map_err(wrong(Part::Previous))?,
        for_create: trigger.for_create,
        current: current.map_err(wrong(Part::Current))?,
        for_delete: trigger.for_delete,
        require_both: trigger.require_both,
        expression: expression.transpose().map_err(wrong(Part::FhirPath))?,
    })
}

/// The types as an expression of a trigger sees them: its variables are versions of a resource.
struct Versions(TypeId);

impl Shapes for Versions {
    fn child(&self, of: Shape, name: &str) -> Option<Vec<Shape>> {
        R4Shapes.child(of, name)
    }

    fn named(&self, namespace: Option<&str>, name: &str) -> Option<Shape> {
        R4Shapes.named(namespace, name)
    }

    fn is(&self, shape: Shape, ty: Shape) -> bool {
        R4Shapes.is(shape, ty)
    }

    fn variable(&self, name: &str) -> Option<Vec<Shape>> {
        VARIABLES
            .contains(&name)
            .then(|| vec![R4Shapes::of(self.0)])
    }
}

/// Compiles an expression and holds its names against the type.
fn expression(text: &str, ty: TypeId) -> Result<Expression, String> {
    let options = Options {
        variables: &VARIABLES,
        ..Options::default()
    };
    let expression = Expression::compile(text, &options).map_err(|error| {
        let hint = error.hint.map(|hint| format!("; {hint}"));
        format!("{}{}", error.message, hint.unwrap_or_default())
    })?;
    let named = expression.named(&Versions(ty), &[R4Shapes::of(ty)]);
    match named.problems.first() {
        Some(problem) => Err(format!("there is no `{}` there", problem.name)),
        None => Ok(expression),
    }
}
