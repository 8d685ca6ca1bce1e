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
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::allow;
use super::commit::Moment;
use super::criteria::{self, Criteria};
use super::hook::Hook;
use crate::fault::Fault;
use crate::request::Format;
use crate::search::instant_of;
use crate::tenant::Tenant;

/// Where the extensions of the backport guide are defined.
pub(super) const GUIDE: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-";
/// Headers that one subscription may set.
const HEADERS_MAX: usize = 20;
/// Longest timeout that a subscription may ask for.
const TIMEOUT_MAX: Duration = Duration::from_secs(120);
/// Events that one notification tells, at most.
const TOGETHER_MAX: usize = 100;
/// Shortest heartbeat that a subscription may ask for.
const HEARTBEAT_MIN: Duration = Duration::from_secs(1);

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
    /// The canonical URL of the topic, of a subscription to one.
    pub(crate) topic: Option<String>,
    /// What it waits for.
    pub(super) watches: Vec<Watch>,
    pub(crate) way: Way,
    /// The form of what is sent; none is a call without a body, of R4 alone.
    pub(crate) payload: Option<Format>,
    pub(crate) content: Content,
    /// Events that one notification may tell; one for a subscription of R4.
    pub(crate) together_max: usize,
    pub(crate) heartbeat: Option<Duration>,
    /// From then on it is off.
    pub(crate) end_ms: Option<i64>,
    /// Covers what its destination depends on.
    pub(crate) digest: [u8; 32],
}

/// The states of a subscription (FHIR R4 valueset-subscription-status.html).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Requested,
    Active,
    /// Notifications fail and are tried on.
    Error,
    /// The handshake failed; in the resource it is an error as well.
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

    /// It has events and a destination.
    pub(crate) const fn is_live(self) -> bool {
        matches!(self, Self::Active | Self::Error)
    }

    fn of(code: &str, error: Option<&str>) -> Self {
        match code {
            "requested" => Self::Requested,
            "active" => Self::Active,
            "error" if error.is_some_and(|text| text.starts_with(REFUSED)) => Self::Refused,
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
            Trigger::Now(criteria) => moment.now.is_some_and(|now| criteria.condition.holds(now)),
            Trigger::Topic(trigger) => trigger.holds(moment),
        };
        triggered
            && moment.now.or(moment.before).is_some_and(|of| {
                let mut filters = self.filters.iter();
                filters.all(|filter| filter.condition.holds(of))
            })
    }
}

/// Reads a subscription; the error is all that is wrong with it.
pub(super) fn read(tenant: &Tenant, resource: &Resource) -> Result<Subscribed, Vec<Problem>> {
    let root = resource.root();
    let mut problems = Vec::new();
    let mut wrong = |place: &str, code: IssueType, text: String| {
        problems.push(Problem::error(code, text).at(format!("Subscription.{place}")));
    };
    let text = root.child_text("criteria").unwrap_or_default();
    let topic = is_canonical(text).then(|| text.to_owned());
    let watches = match &topic {
        Some(url) => topic_watches(tenant, root, url),
        None => criteria::compile(tenant, text).map(|criteria| {
            vec![Watch {
                resource_type: criteria.resource_type,
                trigger: Trigger::Now(criteria),
                filters: Vec::new(),
            }]
        }),
    };
    let watches = watches.unwrap_or_else(|text| {
        wrong("criteria", IssueType::NotSupported, text);
        Vec::new()
    });
    let channel = root.child("channel");
    let (payload, content) = channel
        .map_or(Ok((None, Content::default())), |channel| {
            payload(channel, topic.is_some())
        })
        .unwrap_or_else(|text| {
            wrong("channel.payload", IssueType::NotSupported, text.to_owned());
            (None, Content::default())
        });
    let way = channel
        .ok_or(("channel", "the subscription has no channel"))
        .and_then(|channel| way(tenant, channel))
        .map_err(|(place, text)| wrong(place, IssueType::NotSupported, text.to_owned()))
        .ok();
    let heartbeat = channel.and_then(|channel| seconds(channel, "heartbeat-period"));
    let end_ms = root.child_text("end").and_then(instant_of);
    let (Some(way), true) = (way, problems.is_empty()) else {
        return Err(problems);
    };
    let backport = topic.is_some();
    let digest = digest(&way, topic.as_deref(), payload, content);
    Ok(Subscribed {
        id: resource.id().unwrap_or_default().to_owned(),
        status: Status::of(
            root.child_text("status").unwrap_or_default(),
            root.child_text("error"),
        ),
        topic,
        watches,
        way,
        payload,
        content,
        together_max: channel.filter(|_| backport).map_or(1, together_max),
        heartbeat: heartbeat.map(|period| period.max(HEARTBEAT_MIN)),
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

fn topic_watches(tenant: &Tenant, root: Node<'_>, url: &str) -> Result<Vec<Watch>, String> {
    let topics = tenant.subscriptions.topics();
    let topic = topics.get(url).ok_or_else(|| {
        let known: Vec<&str> = topics.keys().map(String::as_str).collect();
        format!(
            "there is no such topic here; topics: {}",
            if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            }
        )
    })?;
    let name = format!("{GUIDE}filter-criteria");
    let given = root.child("criteria").into_iter().flat_map(|criteria| {
        let extensions = criteria.children_named("extension");
        extensions.collect::<Vec<_>>()
    });
    let mut filters = Vec::new();
    for extension in given.filter(|one| one.child_text("url") == Some(&*name)) {
        let text = extension.child_text("value").unwrap_or_default();
        filters.push(topic.filter(tenant, text)?);
    }
    let watches = topic.triggers.iter().map(|trigger| {
        let of = trigger.resource_type;
        let own = filters.iter().filter(|filter| filter.resource_type == of);
        Watch {
            resource_type: of,
            trigger: Trigger::Topic(Arc::clone(trigger)),
            filters: own.cloned().collect(),
        }
    });
    Ok(watches.collect())
}

/// Events that one notification may tell.
fn together_max(channel: Node<'_>) -> usize {
    let asked = extension(channel, "max-count").and_then(|asked| asked.child_text("value"));
    let asked = asked.and_then(|text| text.parse().ok());
    asked.map_or(1, |asked: usize| asked.clamp(1, TOGETHER_MAX))
}

/// An extension of the backport guide that counts seconds.
fn seconds(channel: Node<'_>, name: &str) -> Option<Duration> {
    let text = extension(channel, name)?.child_text("value")?;
    text.parse().ok().map(Duration::from_secs)
}

fn extension<'r>(of: Node<'r>, name: &str) -> Option<Node<'r>> {
    let mut extensions = of.children_named("extension");
    extensions.find(|one| {
        let url = one.child_text("url").unwrap_or_default();
        url.strip_prefix(GUIDE) == Some(name)
    })
}

fn payload(channel: Node<'_>, backport: bool) -> Result<(Option<Format>, Content), &'static str> {
    let payload = channel.child("payload");
    let mime = payload.and_then(Node::text).unwrap_or_default();
    let plain = mime.split(';').next().unwrap_or_default().trim();
    let format = match plain {
        "" if backport => Some(Format::Json),
        "" => None,
        "application/fhir+json" | "application/json" => Some(Format::Json),
        "application/fhir+xml" | "application/xml" => Some(Format::Xml),
        _ => return Err("the payload is neither application/fhir+json nor application/fhir+xml"),
    };
    if !backport {
        let content = if format.is_some() {
            Content::Full
        } else {
            Content::Empty
        };
        return Ok((format, content));
    }
    let code = payload
        .and_then(|payload| extension(payload, "payload-content"))
        .and_then(|extension| extension.child_text("value"));
    let content = match code {
        None => Content::default(),
        Some(code) => Content::of(code)
            .ok_or("the content of the payload is none of empty, id-only, full-resource")?,
    };
    Ok((format, content))
}

type Misplaced = (&'static str, &'static str);

fn way(tenant: &Tenant, channel: Node<'_>) -> Result<Way, Misplaced> {
    match channel.child_text("type").unwrap_or_default() {
        "rest-hook" => {}
        "websocket" => return Ok(Way::Socket),
        _ => {
            let text = "the channel is neither rest-hook nor websocket";
            return Err(("channel.type", text));
        }
    }
    let options = tenant.subscriptions.options();
    let text = channel.child_text("endpoint");
    let text = text.ok_or(("channel.endpoint", "a rest-hook needs an endpoint"))?;
    let uri = allow::endpoint(text, &options.allow).map_err(|text| ("channel.endpoint", text))?;
    let mut headers = Vec::new();
    for line in channel.children_named("header").filter_map(Node::text) {
        headers.push(header_of(line).map_err(|text| ("channel.header", text))?);
    }
    if headers.len() > HEADERS_MAX {
        let text = "the channel has more than 20 headers";
        return Err(("channel.header", text));
    }
    let within = seconds(channel, "timeout").map_or(options.answer_within, |asked| {
        asked.clamp(Duration::from_secs(1), TIMEOUT_MAX)
    });
    let hook = Hook::new(uri, headers, within).map_err(|text| ("channel.endpoint", text))?;
    Ok(Way::Hook(Arc::new(hook)))
}

/// Headers that are the server's own, or would change where a request ends.
const OWN: [HeaderName; 8] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::EXPECT,
];

fn header_of(line: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let (name, value) = line.split_once(':').ok_or("a header is no `Name: value`")?;
    let name = HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|_| "a header has a name that is none")?;
    if OWN.contains(&name) {
        return Err("a header is one that the server writes itself");
    }
    let mut value = HeaderValue::from_str(value.trim())
        .map_err(|_| "a header has a value that cannot be sent")?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn digest(way: &Way, topic: Option<&str>, payload: Option<Format>, content: Content) -> [u8; 32] {
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
