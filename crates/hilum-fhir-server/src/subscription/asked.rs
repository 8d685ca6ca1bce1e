//! What the channel of a Subscription asks for: the way to the subscriber, the form of what is sent,
//! and what the extensions of the Subscriptions R5 Backport guide add. What is not understood here
//! is refused with its place, for a wish that is passed over is a promise that is broken.

use std::sync::Arc;
use std::time::Duration;

use hilum_fhir::{IssueType, Node, Problem};
use http::{HeaderName, HeaderValue, header};

use super::allow;
use super::hook::Hook;
use super::read::{Content, GUIDE, Payload, Way};
use crate::request::Format;
use crate::tenant::Tenant;

/// Headers that one subscription may set.
const HEADERS_MAX: usize = 20;
/// Longest timeout that a subscription may ask for.
const TIMEOUT_MAX_S: u32 = 120;
/// Events that one notification tells, at most.
const TOGETHER_MAX: usize = 100;

/// What is wrong, with the place below `Subscription`.
pub(super) struct Wrong {
    problems: Vec<Problem>,
}

impl Wrong {
    pub(super) const fn new() -> Self {
        Self {
            problems: Vec::new(),
        }
    }

    pub(super) fn tell(&mut self, place: &str, code: IssueType, text: impl Into<String>) {
        let problem = Problem::error(code, text.into());
        self.problems
            .push(problem.at(format!("Subscription.{place}")));
    }

    fn unsupported(&mut self, place: &str, text: impl Into<String>) {
        self.tell(place, IssueType::NotSupported, text);
    }

    pub(super) const fn none(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn all(self) -> Vec<Problem> {
        self.problems
    }
}

/// A channel as it is asked for.
pub(super) struct Asked {
    /// `None` where something is wrong with it.
    pub(super) way: Option<Way>,
    pub(super) payload: Option<Payload>,
    pub(super) content: Content,
    pub(super) together_max: usize,
    pub(super) heartbeat: Option<Duration>,
}

/// Reads a channel; `topical` is one of a subscription to a topic.
pub(super) fn channel(tenant: &Tenant, root: Node<'_>, topical: bool, wrong: &mut Wrong) -> Asked {
    let mut asked = Asked {
        way: None,
        payload: None,
        content: Content::default(),
        together_max: 1,
        heartbeat: None,
    };
    let Some(channel) = root.child("channel") else {
        wrong.unsupported("channel", "the subscription has no channel");
        return asked;
    };
    let mut timeout = None;
    for (at, (name, extension)) in of_guide(channel) {
        let place = format!("channel.extension[{at}]");
        let seconds = |wrong: &mut Wrong, max: u32| {
            let number = number(extension, "unsignedInt");
            let number = number.filter(|number| (1..=max).contains(number));
            if number.is_none() {
                let text = format!("the value is no valueUnsignedInt from 1 to {max} (seconds)");
                wrong.tell(&place, IssueType::Value, text);
            }
            number.map(|seconds| Duration::from_secs(seconds.into()))
        };
        match name {
            "timeout" => timeout = seconds(wrong, TIMEOUT_MAX_S),
            _ if !topical => wrong.unsupported(&place, OF_TOPICS),
            "heartbeat-period" => asked.heartbeat = seconds(wrong, u32::MAX),
            "max-count" => match number(extension, "positiveInt").filter(|count| *count > 0) {
                Some(count) => {
                    let count = usize::try_from(count).unwrap_or(usize::MAX);
                    asked.together_max = count.min(TOGETHER_MAX);
                }
                None => wrong.tell(&place, IssueType::Value, "the value is no valuePositiveInt"),
            },
            _ => wrong.unsupported(&place, UNKNOWN),
        }
    }
    match payload(channel, topical, wrong) {
        Some((payload, content)) => (asked.payload, asked.content) = (payload, content),
        None => return asked,
    }
    match way(tenant, channel, timeout) {
        Ok(way) => asked.way = Some(way),
        Err((place, text)) => wrong.unsupported(place, text),
    }
    asked
}

const OF_TOPICS: &str = "the extension is of subscriptions to topics, and the criteria name none";
const UNKNOWN: &str = "this extension of the backport guide is not supported here";

/// The extensions of the backport guide with their places and names.
pub(super) fn of_guide<'r>(
    of: Node<'r>,
) -> impl Iterator<Item = (usize, (&'r str, Node<'r>))> + use<'r> {
    let extensions = of.children_named("extension").enumerate();
    extensions.filter_map(|(at, one)| {
        let url = one.child_text("url")?;
        Some((at, (url.strip_prefix(GUIDE)?, one)))
    })
}

/// The text of a value of this type.
pub(super) fn text_of<'r>(extension: Node<'r>, of: &str) -> Option<&'r str> {
    let value = extension.child("value")?;
    (value.type_name() == of).then(|| value.text()).flatten()
}

fn number(extension: Node<'_>, of: &str) -> Option<u32> {
    text_of(extension, of)?.parse().ok()
}

/// The form of what is sent, and how much of the resources; `None` where something is wrong.
fn payload(
    channel: Node<'_>,
    topical: bool,
    wrong: &mut Wrong,
) -> Option<(Option<Payload>, Content)> {
    let node = channel.child("payload");
    let mime = node.and_then(Node::text).unwrap_or_default();
    let payload = match Payload::of(mime) {
        Ok(None) if topical => Some(Payload::default()),
        Ok(payload) => payload,
        Err(text) => {
            wrong.unsupported("channel.payload", text);
            return None;
        }
    };
    let mut content = match (topical, &payload) {
        (true, _) => Content::default(),
        (false, Some(_)) => Content::Full,
        (false, None) => Content::Empty,
    };
    for (at, (name, extension)) in node.into_iter().flat_map(of_guide) {
        let place = format!("channel.payload.extension[{at}]");
        match (name, text_of(extension, "code").map(Content::of)) {
            _ if !topical => wrong.unsupported(&place, OF_TOPICS),
            ("payload-content", Some(Some(code))) => content = code,
            ("payload-content", _) => {
                let text = "the content of the payload is none of empty, id-only, full-resource";
                wrong.unsupported(&place, text);
            }
            _ => wrong.unsupported(&place, UNKNOWN),
        }
    }
    Some((payload, content))
}

impl Payload {
    /// Reads a media type; without one nothing is sent but a call. The version of FHIR is that of
    /// the server (Subscriptions R5 Backport 1.1.0, components.html#subscriptions-and-fhir-versions).
    fn of(mime: &str) -> Result<Option<Self>, &'static str> {
        let mut parts = mime.split(';').map(str::trim);
        let format = match parts.next().unwrap_or_default() {
            "" => return Ok(None),
            "application/fhir+json" | "application/json" => Format::Json,
            "application/fhir+xml" | "application/xml" => Format::Xml,
            _ => {
                return Err(
                    "the payload is neither application/fhir+json nor application/fhir+xml",
                );
            }
        };
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim_matches('"');
            let fine = match name.to_ascii_lowercase().as_str() {
                "fhirversion" => matches!(value, "4.0" | "4.0.1"),
                "charset" => value.eq_ignore_ascii_case("utf-8"),
                _ => false,
            };
            if !fine {
                return Err(
                    "the payload asks for what is not sent: notifications are of \
                     fhirVersion=4.0, in charset=utf-8",
                );
            }
        }
        let media = HeaderValue::from_str(mime.trim());
        let media = media.map_err(|_| "the media type of the payload cannot be sent")?;
        Ok(Some(Self { format, media }))
    }
}

type Misplaced = (&'static str, &'static str);

fn way(tenant: &Tenant, channel: Node<'_>, timeout: Option<Duration>) -> Result<Way, Misplaced> {
    let node = channel.child("type");
    let kind = node.and_then(Node::text).unwrap_or_default();
    for (_, (name, extension)) in node.into_iter().flat_map(of_guide) {
        let other = extension
            .child("value")
            .and_then(|coding| coding.child_text("code"));
        if name != "channel-type" || other != Some(kind) {
            let text = "the channel asks for another type by an extension, which is not supported";
            return Err(("channel.type", text));
        }
    }
    match kind {
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
    let within = timeout.unwrap_or(options.answer_within);
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
