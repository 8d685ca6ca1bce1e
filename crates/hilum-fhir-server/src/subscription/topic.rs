//! Topics: what the site offers to subscribe to, after the R5 SubscriptionTopic
//! (`http://hl7.org/fhir/5.0/StructureDefinition/SubscriptionTopic`).

use std::collections::BTreeMap;
use std::sync::Arc;

use hilum_fhir_store::ResourceType;

use super::commit::Moment;
use super::criteria::{self, Criteria};
use crate::open::OpenError;
use crate::tenant::Tenant;

/// A topic, as a site describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicOptions {
    /// Its canonical URL, which subscriptions name as their criteria.
    pub url: String,
    /// Any of these makes an event.
    pub triggers: Vec<TriggerOptions>,
    /// What subscriptions may narrow it by: type and search parameter (`Encounter?patient`).
    pub filters: Vec<String>,
}

/// What makes an event of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TriggerOptions {
    /// The type of the resource.
    pub resource: String,
    /// The interactions; all of them if none is named.
    pub on: Vec<Interaction>,
    /// A search that must match the resource as it was; a create passes.
    pub previous: Option<String>,
    /// A search that must match the resource as it will be; a delete passes.
    pub current: Option<String>,
    /// Both searches must match; else one is enough.
    pub require_both: bool,
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
pub(crate) type Topics = BTreeMap<String, Topic>;

/// A topic, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(super) triggers: Vec<Arc<Trigger>>,
    filters: Vec<String>,
}

/// What makes an event, compiled.
#[derive(Clone, Debug)]
pub(super) struct Trigger {
    pub(super) resource_type: ResourceType,
    on: Vec<Interaction>,
    previous: Option<Criteria>,
    current: Option<Criteria>,
    require_both: bool,
}

impl Trigger {
    pub(super) fn holds(&self, moment: &Moment<'_>) -> bool {
        let done = match (moment.before, moment.now) {
            (None, Some(_)) => Interaction::Create,
            (Some(_), Some(_)) => Interaction::Update,
            (Some(_), None) => Interaction::Delete,
            (None, None) => return false,
        };
        if !self.on.is_empty() && !self.on.contains(&done) {
            return false;
        }
        // What is not there passes, as the defaults of the standard's own data say.
        let test =
            |criteria: &Criteria, of: Option<&_>| of.is_none_or(|of| criteria.condition.holds(of));
        let previous = self.previous.as_ref();
        let previous = previous.map(|criteria| test(criteria, moment.before));
        let current = self.current.as_ref();
        let current = current.map(|criteria| test(criteria, moment.now));
        match (previous, current) {
            (None, None) => true,
            (Some(one), None) | (None, Some(one)) => one,
            (Some(previous), Some(current)) if self.require_both => previous && current,
            (Some(previous), Some(current)) => previous || current,
        }
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
        let mut triggers = Vec::with_capacity(topic.triggers.len());
        for trigger in &topic.triggers {
            triggers.push(Arc::new(one(tenant, trigger).map_err(wrong)?));
        }
        let filters = topic.filters.clone();
        let known = compiled.insert(topic.url.clone(), Topic { triggers, filters });
        if known.is_some() {
            return Err(wrong("it is described twice".to_owned()));
        }
    }
    Ok(compiled)
}

fn one(tenant: &Tenant, trigger: &TriggerOptions) -> Result<Trigger, String> {
    let of = criteria::compile(tenant, &trigger.resource)?.resource_type;
    let compiled = |query: &Option<String>| {
        let query = query.as_ref()?;
        Some(criteria::compile(
            tenant,
            &format!("{}?{query}", trigger.resource),
        ))
    };
    Ok(Trigger {
        resource_type: of,
        on: trigger.on.clone(),
        previous: compiled(&trigger.previous).transpose()?,
        current: compiled(&trigger.current).transpose()?,
        require_both: trigger.require_both,
    })
}
