//! A Subscription resource as the server understands it, or why it does not.
//!
//! A Subscription whose criteria are a canonical URL is one of the Subscriptions R5 Backport guide:
//! it names a topic, and gets notification Bundles. Any other is one of FHIR R4: its criteria are a
//! search, and it gets the resource, or only a call.

use std::sync::Arc;
use std::time::Duration;

use hilum_fhir::resource::Editor;
use hilum_fhir::{IssueType, Node, Problem, Resource};
use hilum_fhir_store::ResourceType;
use http::{HeaderValue, StatusCode};

use super::asked::{self, Wrong};
use super::commit::Moment;
use super::criteria::{self, Criteria};
use super::hook::Hook;
use super::topic;
use crate::fault::Fault;
use crate::request::Format;
use crate::search::instant_of;
use crate::tenant::Tenant;

/// Where the extensions of the backport guide are defined.
pub(super) const GUIDE: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-";

/// What a notification holds of the resources that it is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Content {
    /// Nothing, not even which they are.
    Empty,
    /// Which they are.
    #[default]
    IdOnly,
    /// All of them.
    Full,
}

impl Content {
    /// Reads the code of the backport guide.
    pub(super) fn of(code: &str) -> Option<Self> {
        Some(match code {
            "empty" => Self::Empty,
            "id-only" => Self::IdOnly,
            "full-resource" => Self::Full,
            _ => return None,
        })
    }
}

/// The form of what is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) format: Format,
    /// As the subscription writes it, which is how it is sent.
    pub(crate) media: HeaderValue,
}

impl Default for Payload {
    fn default() -> Self {
        Self {
            format: Format::Json,
            media: HeaderValue::from_static("application/fhir+json"),
        }
    }
}

/// The way to a subscriber.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// Its endpoint is called.
    Hook(Arc<Hook>),
    /// It connects to us.
    Socket,
}

/// An active subscription.
#[derive(Clone, Debug)]
pub(crate) struct Subscribed {
    pub(crate) id: String,
    /// As it stands in the resource.
    pub(crate) status: Status,
    /// It was active before it was requested again: its events go on, and what waits for it waits
    /// for the handshake.
    pub(crate) held: bool,
    /// The canonical URL of the topic, of a subscription to one.
    pub(crate) topic: Option<String>,
    /// What it waits for.
    pub(super) watches: Vec<Watch>,
    pub(crate) way: Way,
    /// The form of what is sent; none is a call without a body, of R4 alone.
    pub(crate) payload: Option<Payload>,
    pub(crate) content: Content,
    /// Events that one notification may tell; one for a subscription of R4.
    pub(crate) together_max: usize,
    pub(crate) heartbeat: Option<Duration>,
    /// From then on it is off.
    pub(crate) end_ms: Option<i64>,
    /// Covers what its destination depends on.
    pub(crate) digest: [u8; 32],
}

impl Subscribed {
    /// It has events and a destination.
    pub(crate) fn is_live(&self) -> bool {
        self.status.is_live() || (self.status == Status::Requested && self.held)
    }
}

/// The states of a subscription (FHIR R4 valueset-subscription-status.html).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Requested,
    Active,
    /// Notifications fail and are tried on.
    Error,
    /// The handshake failed, or its topic is gone; in the resource it is an error as well.
    Refused,
    Off,
}

impl Status {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Active => "active",
            Self::Error | Self::Refused => "error",
            Self::Off => "off",
        }
    }

    /// Notifications are sent.
    pub(crate) const fn is_live(self) -> bool {
        matches!(self, Self::Active | Self::Error)
    }

    fn of(code: &str, error: Option<&str>) -> Self {
        match code {
            "requested" => Self::Requested,
            "active" => Self::Active,
            "error" if error.is_some_and(is_refused) => Self::Refused,
            "error" => Self::Error,
            _ => Self::Off,
        }
    }
}

/// Changes of one type that a subscription waits for.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) resource_type: ResourceType,
    pub(super) trigger: Trigger,
    /// All of these hold of the resource that is written, or was deleted.
    pub(super) filters: Vec<Criteria>,
}

/// What makes an event of a change.
#[derive(Clone, Debug)]
pub(super) enum Trigger {
    /// A create or an update after which this holds.
    Now(Criteria),
    /// As a topic says.
    Topic(Arc<super::topic::Trigger>),
}

impl Watch {
    /// The resource as it was must be known to tell.
    pub(super) fn needs_before(&self) -> bool {
        matches!(self.trigger, Trigger::Topic(_))
    }

    pub(super) fn holds(&self, moment: &Moment<'_>) -> bool {
        let triggered = match &self.trigger {
            Trigger::Now(criteria) => moment.now.is_some_and(|now| criteria.holds(now)),
            Trigger::Topic(trigger) => trigger.holds(moment),
        };
        triggered
            && moment.now.or(moment.before).is_some_and(|of| {
                let mut filters = self.filters.iter();
                filters.all(|filter| filter.holds(of))
            })
    }
}

/// Reads a subscription; the error is all that is wrong with it.
pub(super) fn read(tenant: &Tenant, resource: &Resource) -> Result<Subscribed, Vec<Problem>> {
    let root = resource.root();
    let mut wrong = Wrong::new();
    let text = root.child_text("criteria").unwrap_or_default();
    let topic = is_canonical(text).then(|| text.to_owned());
    let watches = match &topic {
        Some(url) => topic_watches(tenant, root, url, &mut wrong),
        None => plain_watches(tenant, root, text, &mut wrong),
    };
    let asked = asked::channel(tenant, root, topic.is_some(), &mut wrong);
    let end_ms = root.child_text("end").and_then(instant_of);
    let (Some(way), true) = (asked.way, wrong.none()) else {
        return Err(wrong.all());
    };
    let digest = digest(
        &way,
        topic.as_deref(),
        asked.payload.as_ref(),
        asked.content,
    );
    Ok(Subscribed {
        id: resource.id().unwrap_or_default().to_owned(),
        status: Status::of(
            root.child_text("status").unwrap_or_default(),
            root.child_text("error"),
        ),
        held: false,
        topic,
        watches,
        way,
        payload: asked.payload,
        content: asked.content,
        together_max: asked.together_max,
        heartbeat: asked.heartbeat,
        end_ms,
        digest,
    })
}

/// A canonical URL, not a search.
pub(super) fn is_canonical(criteria: &str) -> bool {
    ["http://", "https://", "urn:"]
        .iter()
        .any(|scheme| criteria.starts_with(scheme))
}

/// Extensions of the criteria with their places: the filters of a topic.
fn filters<'r>(root: Node<'r>) -> impl Iterator<Item = (String, &'r str, Node<'r>)> {
    let given = root.child("criteria").into_iter().flat_map(asked::of_guide);
    given.map(|(at, (name, one))| (format!("criteria.extension[{at}]"), name, one))
}

fn plain_watches(tenant: &Tenant, root: Node<'_>, text: &str, wrong: &mut Wrong) -> Vec<Watch> {
    for (place, _, _) in filters(root) {
        let text = "the extension is of subscriptions to topics, and the criteria name none";
        wrong.tell(&place, IssueType::NotSupported, text);
    }
    match criteria::compile(tenant, text) {
        Ok(criteria) => vec![Watch {
            resource_type: criteria.resource_type,
            trigger: Trigger::Now(criteria),
            filters: Vec::new(),
        }],
        Err(text) => {
            wrong.tell("criteria", IssueType::NotSupported, text);
            Vec::new()
        }
    }
}

fn topic_watches(tenant: &Tenant, root: Node<'_>, url: &str, wrong: &mut Wrong) -> Vec<Watch> {
    let topics = tenant.subscriptions.topics();
    let Some(topic) = topic::named(&topics, url) else {
        let known: Vec<&str> = topics.keys().map(String::as_str).collect();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        let text = format!("there is no such topic here; topics: {known}");
        wrong.tell("criteria", IssueType::NotSupported, text);
        return Vec::new();
    };
    let mut compiled = Vec::new();
    for (place, name, extension) in filters(root) {
        let filter = match (name, asked::text_of(extension, "string")) {
            ("filter-criteria", Some(text)) => topic.filter(tenant, text),
            ("filter-criteria", None) => Err("the filter is no valueString".to_owned()),
            _ => Err("this extension of the backport guide is not supported here".to_owned()),
        };
        match filter {
            Ok(filter) => compiled.push(filter),
            Err(text) => wrong.tell(&place, IssueType::NotSupported, text),
        }
    }
    let watches = topic.triggers.iter().map(|trigger| {
        let of = trigger.resource_type;
        let own = compiled.iter().filter(|filter| filter.resource_type == of);
        Watch {
            resource_type: of,
            trigger: Trigger::Topic(Arc::clone(trigger)),
            filters: own.cloned().collect(),
        }
    });
    watches.collect()
}

fn digest(way: &Way, topic: Option<&str>, payload: Option<&Payload>, content: Content) -> [u8; 32] {
    use sha2::Digest as _;
    let mut digest = sha2::Sha256::new();
    match way {
        Way::Socket => digest.update(b"socket"),
        Way::Hook(hook) => hook.describe(&mut |bytes| {
            digest.update(bytes.len().to_le_bytes());
            digest.update(bytes);
        }),
    }
    digest.update(format!("{topic:?} {payload:?} {content:?}"));
    digest.finalize().into()
}

/// What a handshake that was not taken is told with; such a subscription was never active.
pub(super) const REFUSED: &str = "the endpoint did not take the handshake";
/// What one is told with that can be served no more, because its topic is gone.
pub(super) const BROKEN: &str = "the subscription cannot be served";

/// The error of a subscription that rests until it is requested again.
pub(super) fn is_refused(error: &str) -> bool {
    error.starts_with(REFUSED) || error.starts_with(BROKEN)
}

/// A Subscription that a client writes, as it is stored: one of R4 is active at once, one to a topic
/// is requested until its endpoint has taken the handshake. One that is switched off is stored as it
/// is; anything else that this server cannot do is refused. `None` is a resource that stays as it
/// is.
pub(crate) fn admitted(tenant: &Tenant, resource: &Resource) -> Result<Option<Resource>, Fault> {
    let root = resource.root();
    let off = root.child_text("status") == Some(Status::Off.code());
    if off || resource.type_name() != "Subscription" {
        return Ok(None);
    }
    let active = tenant.subscriptions.active();
    let most = tenant.subscriptions.options().active_max;
    let known = resource.id().is_some_and(|id| active.get(id).is_some());
    if !known && active.all().count() >= most {
        let text = format!("more than active_max subscriptions ({most})");
        let problem = Problem::error(IssueType::TooCostly, text).at("Subscription");
        return Err(Fault::unprocessable(vec![problem]));
    }
    let read = read(tenant, resource)
        .map_err(|problems| Fault::of(StatusCode::UNPROCESSABLE_ENTITY, problems))?;
    let handshake = read.topic.is_some() && matches!(read.way, Way::Hook(_));
    let status = if handshake {
        Status::Requested
    } else {
        Status::Active
    };
    with_status(resource, status, None)
        .map(Some)
        .ok_or_else(|| Fault::failed("the status of a subscription cannot be written"))
}

/// The same resource in another state, with the reason of an error.
pub(super) fn with_status(
    resource: &Resource,
    status: Status,
    error: Option<&str>,
) -> Option<Resource> {
    let root = resource.root();
    let mut editor = Editor::new(resource);
    let top = editor.root();
    match root.child("status") {
        Some(known) => editor.set_text(known.id(), status.code()).ok()?,
        None => editor.put(top, "status", status.code()).map(drop).ok()?,
    }
    match (root.child("error"), error) {
        (Some(known), Some(text)) => editor.set_text(known.id(), text).ok()?,
        (Some(known), None) => editor.delete(known.id()).ok()?,
        (None, Some(text)) => editor.put(top, "error", text).map(drop).ok()?,
        (None, None) => {}
    }
    Some(editor.finish())
}
