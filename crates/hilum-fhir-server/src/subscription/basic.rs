//! Topics as resources: in FHIR R4 a SubscriptionTopic is a Basic, whose extensions are the elements
//! of R5 (Subscriptions R5 Backport, components.html#subscription-topics-in-r4; hl7.org/fhir/versions
//! .html#extensions). The guide's own example writes some of them with the version 4.3, so both are
//! read.
//!
//! One that is `active` is checked before it is stored, so what is stored can be used. Descriptions
//! are for people; whatever else would change what a topic means is read or refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use hilum_fhir::{IssueType, Node, Problem, Resource};
use hilum_fhir_store::{Change, Method, Query, ResourceType, StoreError};

use super::topic::{self, Interaction, Part, TestResult, Topic, TopicOptions, TriggerOptions};
use crate::fault::Fault;
use crate::tenant::Tenant;
use crate::write;

const TYPE: &str = "Basic";
const SYSTEM: &str = "http://hl7.org/fhir/fhir-types";
const CODE: &str = "SubscriptionTopic";
/// Where the elements of R5 are defined as extensions.
const ELEMENTS: [&str; 2] = [
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.",
    "http://hl7.org/fhir/4.3/StructureDefinition/extension-SubscriptionTopic.",
];
/// What a resource that may be a topic holds.
const MARK: &[u8] = b"extension-SubscriptionTopic.";
/// Elements that are for people.
const FOR_PEOPLE: [&str; 16] = [
    "identifier",
    "name",
    "title",
    "derivedFrom",
    "experimental",
    "date",
    "publisher",
    "contact",
    "description",
    "useContext",
    "jurisdiction",
    "purpose",
    "copyright",
    "copyrightLabel",
    "approvalDate",
    "lastReviewDate",
];
/// Basics that are read at once.
const PAGE: u32 = 500;
/// Topics of one tenant.
const TOPICS_MAX: usize = 1_000;

/// The topics that are stored, by the ids of their resources.
pub(super) type Stored = BTreeMap<String, (String, Arc<Topic>)>;

/// The number of the type in the store.
pub(super) fn stored_type(tenant: &Tenant) -> Option<ResourceType> {
    let ty = tenant.table.type_named(TYPE)?;
    tenant.table.stored(ty)
}

/// A change that may be about a topic.
pub(super) fn concerns(change: &Change, basics: Option<ResourceType>, known: &Stored) -> bool {
    if Some(change.resource_type) != basics {
        return false;
    }
    let marked = match &change.method {
        Method::Create { body, .. } | Method::Update { body, .. } => {
            let mut windows = body.bytes.windows(MARK.len());
            windows.any(|window| window == MARK)
        }
        Method::Delete => false,
    };
    marked || known.contains_key(&change.id)
}

/// Refuses a topic that is active and cannot be used.
pub(crate) fn check(tenant: &Tenant, resource: &Resource) -> Result<(), Fault> {
    if !is_topic(resource) {
        return Ok(());
    }
    let compiled = compiled(tenant, resource).map_err(Fault::unprocessable)?;
    let Some((url, _)) = compiled else {
        return Ok(());
    };
    let wrong = |code, text: String| {
        let problem = Problem::error(code, text).at(TYPE);
        Err(Fault::unprocessable(vec![problem]))
    };
    let known = tenant.subscriptions.stored_topics();
    let own = resource.id();
    let mut others = known.iter().filter(|(id, _)| Some(id.as_str()) != own);
    if tenant.subscriptions.configured(&url) || others.clone().any(|(_, (other, _))| *other == url)
    {
        let text = format!("there is another topic with the URL {url}");
        return wrong(IssueType::Duplicate, text);
    }
    if others.by_ref().count() >= TOPICS_MAX {
        let text = format!("there are {TOPICS_MAX} topics already; retire one that is not used");
        return wrong(IssueType::TooCostly, text);
    }
    Ok(())
}

/// The topics that are stored and active. Of two with one URL the first counts.
pub(super) async fn stored(tenant: &Tenant) -> Result<Stored, StoreError> {
    let mut all = Stored::new();
    let Some(own) = stored_type(tenant) else {
        return Ok(all);
    };
    let mut query = Query {
        types: vec![own],
        count: PAGE,
        ..Query::default()
    };
    let code = tenant.table.type_named(TYPE);
    if let Some(code) = code.and_then(|ty| tenant.table.param(ty, "code")) {
        let test = hilum_fhir_store::TokenTest::SystemCode(SYSTEM.to_owned(), CODE.to_owned());
        query.criteria.push(hilum_fhir_store::Criterion::Param {
            params: vec![code.key],
            test: hilum_fhir_store::Test::Token(vec![test]),
        });
    }
    loop {
        let page = tenant.store.search(query.clone()).await?;
        for found in &page.found {
            let resource = write::spliced(&found.stored).map(|json| write::trusted(&json));
            let Some(Ok(resource)) = resource else {
                continue;
            };
            if !is_topic(&resource) {
                continue;
            }
            match compiled(tenant, &resource) {
                Ok(Some((url, topic))) => {
                    let taken = all.values().any(|(other, _)| *other == url);
                    if !taken && !tenant.subscriptions.configured(&url) {
                        all.insert(found.stored.id.to_string(), (url, Arc::new(topic)));
                    }
                }
                Ok(None) => {}
                Err(problems) => {
                    let first = problems.first();
                    let text = first.map_or("", |problem| &problem.text);
                    tracing::warn!(basic = %found.stored.id, "a topic is not in use: {text}");
                }
            }
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(all),
        }
    }
}

fn is_topic(resource: &Resource) -> bool {
    let root = resource.root();
    let codings = root.children_named("code");
    let mut codings = codings.flat_map(|code| code.children_named("coding").collect::<Vec<_>>());
    resource.type_name() == TYPE
        && codings.any(|coding| {
            coding.child_text("system") == Some(SYSTEM) && coding.child_text("code") == Some(CODE)
        })
}

/// The topic of a Basic with its URL; `None` where it is not active.
fn compiled(tenant: &Tenant, resource: &Resource) -> Result<Option<(String, Topic)>, Vec<Problem>> {
    let mut read = Read::default();
    if !read.all(resource) {
        return if read.problems.is_empty() {
            Ok(None)
        } else {
            Err(read.problems)
        };
    }
    if !read.problems.is_empty() {
        return Err(read.problems);
    }
    let topic = topic::one(tenant, &read.topic).map_err(|wrong| {
        let place = read.parts.iter().find(|(part, _)| *part == wrong.part);
        let place = place.map_or(TYPE, |(_, place)| place);
        vec![Problem::error(IssueType::Value, wrong.text).at(place)]
    })?;
    Ok(Some((read.topic.url, topic)))
}

/// A topic while it is read.
#[derive(Default)]
struct Read {
    topic: TopicOptions,
    /// Where its parts stand.
    parts: Vec<(Part, String)>,
    problems: Vec<Problem>,
}

/// An extension within an extension, or of the resource.
struct Element<'r> {
    name: &'r str,
    node: Node<'r>,
}

impl<'r> Element<'r> {
    fn parts(&self) -> impl Iterator<Item = Self> + use<'r> {
        let inner = self.node.children_named("extension");
        inner.map(|node| Self {
            name: node.child_text("url").unwrap_or_default(),
            node,
        })
    }

    fn place(&self) -> String {
        self.node.path()
    }
}

impl Read {
    fn wrong(&mut self, element: &Element<'_>, code: IssueType, text: impl Into<String>) {
        let problem = Problem::error(code, text.into());
        self.problems.push(problem.at(element.place()));
    }

    fn unknown(&mut self, element: &Element<'_>) {
        let text = format!("`{}` is not supported in a topic here", element.name);
        self.wrong(element, IssueType::NotSupported, text);
    }

    /// The text of a value of one of these types.
    fn text(&mut self, element: &Element<'_>, types: &[&str]) -> String {
        let value = element.node.child("value");
        let value = value.filter(|value| types.contains(&value.type_name()));
        let text = value.and_then(Node::text);
        if text.is_none() {
            let text = format!("the value is no {}", types.join(" or "));
            self.wrong(element, IssueType::Value, text);
        }
        text.unwrap_or_default().to_owned()
    }

    /// Reads the extensions; false for a topic that is not active.
    fn all(&mut self, resource: &Resource) -> bool {
        let root = resource.root();
        let mut elements = Vec::new();
        for name in ["extension", "modifierExtension"] {
            for node in root.children_named(name) {
                let url = node.child_text("url").unwrap_or_default();
                let mut names = ELEMENTS.iter().filter_map(|begin| url.strip_prefix(begin));
                if let Some(name) = names.next() {
                    elements.push(Element { name, node });
                }
            }
        }
        let Some(status) = elements.iter().find(|element| element.name == "status") else {
            let text = "the status is missing: an extension or modifierExtension \
                        `extension-SubscriptionTopic.status`";
            let problem = Problem::error(IssueType::Required, text);
            self.problems.push(problem.at(TYPE));
            return false;
        };
        if self.text(status, &["code"]) != "active" {
            return false;
        }
        // A filter without a type is about those of the triggers.
        elements.sort_by_key(|element| element.name == "canFilterBy");
        for element in &elements {
            match element.name {
                "status" => {}
                "url" => self.topic.url = self.text(element, &["uri"]),
                "version" => self.topic.version = Some(self.text(element, &["string"])),
                "resourceTrigger" => self.trigger(element),
                "canFilterBy" => self.filter(element),
                "notificationShape" => self.shape(element),
                name if FOR_PEOPLE.contains(&name) => {}
                _ => self.unknown(element),
            }
        }
        let url = &self.topic.url;
        if !super::read::is_canonical(url) || url.contains(['|', '#', ' ']) {
            let text = "the topic has no canonical URL (`extension-SubscriptionTopic.url`)";
            let problem = Problem::error(IssueType::Required, text);
            self.problems.push(problem.at(TYPE));
        }
        if self.topic.triggers.is_empty() {
            let text = "the topic has no `resourceTrigger`, so nothing would be told";
            let problem = Problem::error(IssueType::Required, text);
            self.problems.push(problem.at(TYPE));
        }
        true
    }

    /// A type by its name or by the URL of its definition.
    fn resource(&mut self, element: &Element<'_>) -> String {
        let text = self.text(element, &["uri", "canonical"]);
        let definition = "http://hl7.org/fhir/StructureDefinition/";
        text.strip_prefix(definition).unwrap_or(&text).to_owned()
    }

    fn trigger(&mut self, element: &Element<'_>) {
        let at = self.topic.triggers.len();
        let mut trigger = TriggerOptions::default();
        self.parts.push((Part::Resource(at), element.place()));
        for part in element.parts() {
            match part.name {
                "description" => {}
                "resource" => {
                    trigger.resource = self.resource(&part);
                    self.parts.insert(0, (Part::Resource(at), part.place()));
                }
                "supportedInteraction" => match self.text(&part, &["code"]).as_str() {
                    "create" => trigger.on.push(Interaction::Create),
                    "update" => trigger.on.push(Interaction::Update),
                    "delete" => trigger.on.push(Interaction::Delete),
                    _ => self.wrong(
                        &part,
                        IssueType::Value,
                        "the interaction is none of create, update, delete",
                    ),
                },
                "queryCriteria" => self.query(&part, &mut trigger),
                "fhirPathCriteria" => {
                    trigger.fhirpath = Some(self.text(&part, &["string"]));
                    self.parts.push((Part::FhirPath(at), part.place()));
                }
                _ => self.unknown(&part),
            }
        }
        self.topic.triggers.push(trigger);
    }

    fn query(&mut self, element: &Element<'_>, trigger: &mut TriggerOptions) {
        let at = self.topic.triggers.len();
        for part in element.parts() {
            match part.name {
                "previous" => {
                    trigger.previous = Some(self.text(&part, &["string"]));
                    self.parts.push((Part::Previous(at), part.place()));
                }
                "current" => {
                    trigger.current = Some(self.text(&part, &["string"]));
                    self.parts.push((Part::Current(at), part.place()));
                }
                "resultForCreate" => trigger.for_create = self.result(&part),
                "resultForDelete" => trigger.for_delete = self.result(&part),
                "requireBoth" => {
                    trigger.require_both = self.text(&part, &["boolean"]) == "true";
                }
                _ => self.unknown(&part),
            }
        }
    }

    fn result(&mut self, element: &Element<'_>) -> TestResult {
        match self.text(element, &["code"]).as_str() {
            "test-passes" => TestResult::Passes,
            "test-fails" => TestResult::Fails,
            _ => {
                let text = "the result is neither test-passes nor test-fails";
                self.wrong(element, IssueType::Value, text);
                TestResult::Passes
            }
        }
    }

    fn filter(&mut self, element: &Element<'_>) {
        let mut resource = None;
        let mut code = String::new();
        let mut place = element.place();
        for part in element.parts() {
            match part.name {
                // Searches take every comparator and modifier of a parameter.
                "description" | "filterDefinition" | "comparator" | "modifier" => {}
                "resource" => resource = Some(self.resource(&part)),
                "filterParameter" => {
                    code = self.text(&part, &["string"]);
                    place = part.place();
                }
                _ => self.unknown(&part),
            }
        }
        // Without a type it is about each type that the topic is about.
        let own = self.topic.triggers.iter();
        let own: Vec<String> = own.map(|trigger| trigger.resource.clone()).collect();
        for name in resource.map_or(own, |name| vec![name]) {
            let at = self.topic.filters.len();
            self.parts.push((Part::Filter(at), place.clone()));
            self.topic.filters.push(format!("{name}?{code}"));
        }
    }

    /// Notifications hold what an event is about.
    fn shape(&mut self, element: &Element<'_>) {
        for part in element.parts().filter(|part| part.name != "resource") {
            let text = "notifications hold nothing but the resource that an event is about: a \
                        topic cannot include others here";
            self.wrong(&part, IssueType::NotSupported, text);
        }
    }
}
