//! `$status` and `$events` of the Subscriptions R5 Backport guide: how subscriptions are, and what
//! one was told or should have been.

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::{IssueType, Resource};
use hilum_fhir_store::Stored;
use http::{StatusCode, header};
use serde_json::json;

use super::notification::{Event, Kind, Told};
use super::read::{Content, Way, is_canonical};
use super::socket::{BOUND_MAX, TOKEN_GOOD_MS};
use crate::bundle::Bundle;
use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::interaction::id_of;
use crate::request::Kind as BodyKind;
use crate::route::{Claim, Entry, entry};
use crate::time::instant;
use crate::write;

/// Events of one answer.
const EVENTS_MAX: u64 = 1_000;
/// Subscriptions of one answer.
const STATUSES_MAX: usize = 1_000;

/// Where the operations of the guide are defined.
macro_rules! defined {
    ($name:literal) => {
        concat!(
            "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-",
            $name
        )
    };
}

pub(crate) fn routes() -> Vec<Entry> {
    use Permission::FhirRead;
    let status = Claim::Operation("status", defined!("status"));
    let events = Claim::Operation("events", defined!("events"));
    let token_claim = Claim::Operation("get-ws-binding-token", defined!("get-ws-binding-token"));
    let (get, post) = (Method::Get, Method::Post);
    #[rustfmt::skip]
    let routes = vec![
        entry("subscription-token-some", get, "/Subscription/$get-ws-binding-token", FhirRead, "A token that binds a websocket to subscriptions", token_claim, token_of_some),
        entry("subscription-token-some-post", post, "/Subscription/$get-ws-binding-token", FhirRead, "A token that binds a websocket to subscriptions", token_claim, token_of_some),
        entry("websocket", get, "/websocket", FhirRead, "Notifications for clients that connect", Claim::Field, not_upgraded),
        entry("subscription-token", get, "/Subscription/{id}/$get-ws-binding-token", FhirRead, "A token that binds a websocket to a subscription", token_claim, token),
        entry("subscription-token-post", post, "/Subscription/{id}/$get-ws-binding-token", FhirRead, "A token that binds a websocket to a subscription", token_claim, token),
        entry("subscription-status-all", get, "/Subscription/$status", FhirRead, "How subscriptions are", status, statuses),
        entry("subscription-status-all-post", post, "/Subscription/$status", FhirRead, "How subscriptions are", status, statuses),
        entry("subscription-status", get, "/Subscription/{id}/$status", FhirRead, "How a subscription is", status, one_status),
        entry("subscription-status-post", post, "/Subscription/{id}/$status", FhirRead, "How a subscription is", status, one_status),
        entry("subscription-events", get, "/Subscription/{id}/$events", FhirRead, "The events that a subscription had", events, some_events),
        entry("subscription-events-post", post, "/Subscription/{id}/$events", FhirRead, "The events that a subscription had", events, some_events),
    ];
    routes
}

/// The parameters of an operation: those of the URL, and of the Parameters in the body.
pub(super) async fn parameters(
    call: &Call,
    known: &[&str],
) -> Result<Vec<(String, String)>, Fault> {
    call.knows_only(known)?;
    let mut given = call.query.clone();
    if call.body.bytes.is_empty() && call.body.kind == BodyKind::Unnamed {
        return Ok(given);
    }
    let body = call.resource(None).await?;
    if body.type_name() != "Parameters" {
        let text = "the body of the operation is a Parameters resource";
        return Err(Fault::bad(IssueType::Invalid, text));
    }
    for parameter in body.root().children_named("parameter") {
        let name = parameter.child_text("name").unwrap_or_default();
        if !known.contains(&name) {
            let near = crate::fault::suggestion(name, known.iter().copied());
            let text = format!("the operation has no such parameter{near}");
            return Err(Fault::bad(IssueType::NotSupported, text));
        }
        let value = parameter.child_text("value").unwrap_or_default();
        given.push((name.to_owned(), value.to_owned()));
    }
    Ok(given)
}

fn value<'p>(given: &'p [(String, String)], name: &str) -> Option<&'p str> {
    let found = given.iter().find(|(known, _)| known == name)?;
    Some(&found.1)
}

/// The values of a parameter that may be given several times, or several at once.
fn all(given: &[(String, String)], name: &str) -> Vec<String> {
    let values = given.iter().filter(|(known, _)| known == name);
    values
        .flat_map(|(_, value)| value.split(','))
        .map(str::to_owned)
        .collect()
}

/// A stored subscription with what a status tells of it.
struct Known {
    stored: Stored,
    resource: Resource,
}

impl Known {
    fn of(stored: Stored) -> Result<Option<Self>, Fault> {
        let Some(bytes) = write::spliced(&stored) else {
            return Ok(None);
        };
        let resource = write::trusted(&bytes)?;
        Ok(Some(Self { stored, resource }))
    }

    async fn told<'s>(&'s self, call: &'s Call) -> Result<Told<'s>, Fault> {
        let root = self.resource.root();
        let events = call.tenant.store.last_event(&self.stored.id).await?;
        Ok(Told {
            tenant: &call.tenant,
            id: &self.stored.id,
            topic: root
                .child_text("criteria")
                .filter(|text| is_canonical(text)),
            status: root.child_text("status").unwrap_or("off"),
            error: root.child_text("error"),
            events,
        })
    }
}

/// The subscription that a path names.
async fn named(call: &Call) -> Result<Known, Fault> {
    let missing = || Fault::missing(IssueType::NotFound, "there is no such subscription");
    let own = call.tenant.subscriptions.resource_type();
    let own = own.ok_or_else(missing)?;
    let stored = call.tenant.read(own, id_of(call)?).await?;
    let stored = stored.ok_or_else(missing)?;
    let version = stored.version;
    Known::of(stored)?.ok_or_else(|| Fault::gone(u64::from(version)))
}

fn one_status(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        // Of one subscription the guide has these two ignored.
        parameters(&call, &["id", "status"]).await?;
        let known = named(&call).await?;
        answer(&call, vec![known]).await
    })
}

async fn answer(call: &Call, known: Vec<Known>) -> Result<Reply, Fault> {
    let mut bundle = Bundle::new("searchset");
    bundle.total = Some(known.len() as u64);
    for one in &known {
        let told = one.told(call).await?;
        let json = told.parameters(Kind::QueryStatus, &[], Content::IdOnly);
        bundle.entry(|entry| {
            entry.resource(&json);
            entry.search_mode("match");
        });
    }
    Ok(Reply::json(bundle.finish()))
}

fn statuses(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let given = parameters(&call, &["id", "status"]).await?;
        let (ids, wanted) = (all(&given, "id"), all(&given, "status"));
        let codes = ["requested", "active", "error", "off"];
        if wanted.iter().any(|code| !codes.contains(&code.as_str())) {
            let text = "`status` is none of requested, active, error, off";
            return Err(Fault::bad(IssueType::Value, text));
        }
        let own = call.tenant.subscriptions.resource_type();
        let Some(own) = own else {
            return answer(&call, Vec::new()).await;
        };
        let mut query = hilum_fhir_store::Query {
            types: vec![own],
            count: u32::try_from(STATUSES_MAX).unwrap_or(u32::MAX),
            ..hilum_fhir_store::Query::default()
        };
        if !ids.is_empty() {
            let criterion = hilum_fhir_store::Criterion::Ids(ids);
            query.criteria.push(criterion);
        }
        let page = call.tenant.search(query).await?;
        if page.next.is_some() {
            let text = format!("more than {STATUSES_MAX} subscriptions; name some by `id`");
            return Err(Fault::bad(IssueType::TooCostly, text));
        }
        let mut known = Vec::with_capacity(page.found.len());
        for found in page.found {
            if let Some(one) = Known::of(found.stored)? {
                let status = one.resource.root().child_text("status").unwrap_or_default();
                if wanted.is_empty() || wanted.iter().any(|code| code == status) {
                    known.push(one);
                }
            }
        }
        answer(&call, known).await
    })
}

/// Where clients connect to.
pub(crate) fn websocket_url(base: &str) -> String {
    match base.strip_prefix("http") {
        Some(rest) => format!("ws{rest}/websocket"),
        None => format!("{base}/websocket"),
    }
}

/// The route of websockets without one.
fn not_upgraded(_: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async {
        let text = "this path speaks websockets";
        let fault = Fault::new(StatusCode::UPGRADE_REQUIRED, IssueType::NotSupported, text);
        Err(fault.with(header::UPGRADE, "websocket"))
    })
}

fn token(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        parameters(&call, &["id"]).await?;
        let known = named(&call).await?;
        opened(&call, vec![known.stored.id.to_string()])
    })
}

fn token_of_some(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let given = parameters(&call, &["id"]).await?;
        let ids = all(&given, "id");
        if ids.is_empty() {
            let text = "name subscriptions by `id`; a token for all there are is not given";
            return Err(Fault::bad(IssueType::Required, text));
        }
        if ids.len() > BOUND_MAX {
            let text = format!("more than {BOUND_MAX} subscriptions on one connection");
            return Err(Fault::bad(IssueType::TooCostly, text));
        }
        opened(&call, ids)
    })
}

/// A token that opens subscriptions.
fn opened(call: &Call, ids: Vec<String>) -> Result<Reply, Fault> {
    let subscriptions = &call.tenant.subscriptions;
    if !subscriptions.delivers() {
        let text = "another node of the store delivers now; ask that one, or again in a while";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let fault = Fault::new(status, IssueType::Transient, text);
        return Err(fault.with(header::RETRY_AFTER, "10"));
    }
    let active = subscriptions.active();
    let socket = |id: &String| {
        let known = active.get(id);
        known.is_some_and(|one| matches!(one.way, Way::Socket) && one.status.is_live())
    };
    if !ids.iter().all(socket) {
        let text = "the subscription is not active, or not over websockets";
        return Err(Fault::bad(IssueType::Invalid, text));
    }
    let token = call.fhir.new_id();
    let now_ms = subscriptions.now_ms();
    let until = instant(now_ms.saturating_add(TOKEN_GOOD_MS));
    let mut parameters = vec![
        json!({"name": "token", "valueString": token}),
        json!({"name": "expiration", "valueDateTime": until}),
    ];
    let named = ids.iter();
    parameters.extend(named.map(|id| json!({"name": "subscription", "valueString": id})));
    let url = websocket_url(&call.base);
    parameters.push(json!({"name": "websocket-url", "valueUrl": url}));
    let sockets = &subscriptions.hub().sockets;
    sockets.token(token, &call.tenant.name, ids, now_ms)?;
    let answer = json!({"resourceType": "Parameters", "parameter": parameters});
    Ok(Reply::json(answer.to_string().into_bytes()))
}

fn some_events(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let names = ["eventsSinceNumber", "eventsUntilNumber", "content"];
        let given = parameters(&call, &names).await?;
        let count = |name: &str| {
            let text = value(&given, name);
            text.map(str::parse::<u64>).transpose().map_err(|_| {
                Fault::bad(
                    IssueType::Value,
                    format!("`{name}` is no number of an event"),
                )
            })
        };
        let since = count("eventsSinceNumber")?.unwrap_or(1).max(1);
        let until = count("eventsUntilNumber")?.unwrap_or(u64::MAX);
        let known = named(&call).await?;
        let content = match value(&given, "content") {
            Some(code) => Content::of(code).ok_or_else(|| {
                let text = "`content` is none of empty, id-only, full-resource";
                Fault::bad(IssueType::Value, text)
            })?,
            None => {
                let active = call.tenant.subscriptions.active();
                let subscribed = active.get(&known.stored.id);
                subscribed.map_or(Content::default(), |one| one.content)
            }
        };
        let until = until.min(since.saturating_add(EVENTS_MAX - 1));
        let store = &call.tenant.store;
        let max = usize::try_from(EVENTS_MAX).unwrap_or(usize::MAX);
        let rows = store.events(&known.stored.id, since, until, max).await?;
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            events.push(Event::of(&call.tenant, row).await?);
        }
        let told = known.told(&call).await?;
        let now_ms = call.tenant.subscriptions.now_ms();
        let bundle = told.bundle(Kind::QueryEvent, &events, content, now_ms);
        Ok(Reply::json(bundle))
    })
}
