//! Every route of the server: what it needs, what it claims, who answers.

use std::net::IpAddr;

use hilum_access::{Method, Permission, Route, granted};
use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use http::{StatusCode, header};

use crate::call::{Answer, Call, Reply};
use crate::fault::{Fault, suggestion};
use crate::server::Fhir;
use crate::{bulk, bundle, capability, interaction, jobs, openapi, operation, reindex};

/// What a route does.
pub(crate) type Handle = fn(Call) -> BoxFuture<'static, Result<Reply, Fault>>;

/// What the capability statement says because a route exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// An interaction of every type of resource.
    Type(&'static str),
    /// An interaction of the whole system.
    System(&'static str),
    /// An operation, by its canonical URL.
    Operation(&'static str, &'static str),
    /// What the statement has a field of its own for.
    Field,
    /// It is not of FHIR's doing.
    Beside,
}

/// A route and what it does.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) route: Route,
    pub(crate) claim: Claim,
    pub(crate) handle: Handle,
}

/// An entry without parameters in its description.
pub(crate) const fn entry(
    name: &'static str,
    method: Method,
    path: &'static str,
    permission: Permission,
    about: &'static str,
    claim: Claim,
    handle: Handle,
) -> Entry {
    let route = Route {
        name,
        method,
        path,
        permission,
        about,
        query: &[],
        body: &[],
    };
    Entry {
        route,
        claim,
        handle,
    }
}

/// All routes; where two fit a path the first answers, so those with names come before those with
/// parameters.
pub(crate) fn all() -> Vec<Entry> {
    capability::routes()
        .into_iter()
        .chain(openapi::routes())
        .chain(jobs::routes())
        .chain(bulk::routes())
        .chain(crate::subscription::routes())
        .chain(operation::routes())
        .chain(reindex::routes())
        .chain(bundle::routes())
        .chain(interaction::routes())
        .collect()
}

/// A route, and the parts of a path that it names.
type Fitting<'e> = (&'e Entry, Vec<(&'static str, String)>);

/// The route of a path and the parts that it names, decoded.
pub(crate) fn find<'e>(
    entries: &'e [Entry],
    method: &http::Method,
    path: &str,
) -> Result<Fitting<'e>, Fault> {
    // A HEAD is answered as the GET it stands for; the body is left out at the end.
    let wanted = if method == http::Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    let answering = entries
        .iter()
        .filter(|entry| entry.route.method.name() == wanted)
        .find_map(|entry| Some((entry, fits(entry, path)?)));
    if let Some((entry, parts)) = answering {
        let parts = parts
            .into_iter()
            .map(|(name, value)| Some((name, crate::request::decode(value).ok()?)))
            .collect::<Option<Vec<_>>>();
        let parts = parts.ok_or_else(|| Fault::bad(IssueType::Value, "the path is not UTF-8"))?;
        return Ok((entry, parts));
    }
    let mut allowed: Vec<&'static str> = Vec::new();
    for entry in entries.iter().filter(|entry| fits(entry, path).is_some()) {
        let name = entry.route.method.name();
        if !allowed.contains(&name) {
            allowed.push(name);
        }
    }
    if allowed.is_empty() {
        return Err(nothing(entries, path));
    }
    let text = format!("this path has no {method}; it has {}", allowed.join(", "));
    Err(Fault::new(
        StatusCode::METHOD_NOT_ALLOWED,
        IssueType::NotSupported,
        text,
    )
    .with(header::ALLOW, &allowed.join(", ")))
}

/// Names that paths have instead of a type.
const NAMES: [&str; 3] = ["metadata", "openapi.json", "websocket"];

/// The parts that a route names; a name of an operation or of the protocol is no type and no id.
fn fits<'p>(entry: &Entry, path: &'p str) -> Option<Vec<(&'static str, &'p str)>> {
    let parts = entry.route.matches(path)?;
    let plain = parts.iter().all(|(name, value)| {
        let named = *name == "type" && NAMES.contains(value);
        !value.starts_with(['$', '_']) && !named
    });
    plain.then_some(parts)
}

fn nothing(entries: &[Entry], path: &str) -> Fault {
    let last = path.rsplit('/').next().unwrap_or_default();
    if last.starts_with('$') {
        let known = entries.iter().filter_map(|entry| match entry.claim {
            Claim::Operation(code, _) => Some(code),
            Claim::Type(_) | Claim::System(_) | Claim::Field | Claim::Beside => None,
        });
        let name: String = last.chars().skip(1).take(64).collect();
        let near = suggestion(&name, known);
        let text = format!("there is no operation ${name} here{near}");
        return Fault::missing(IssueType::NotSupported, text);
    }
    Fault::missing(
        IssueType::NotSupported,
        "no such path; GET metadata says what there is",
    )
}

/// Refuses callers that may not use a route.
pub(crate) fn permitted(entry: &Entry, caller: IpAddr) -> Result<(), Fault> {
    if granted(entry.route.permission, caller) {
        return Ok(());
    }
    let text = format!(
        "this needs the permission {}, granted on loopback only",
        entry.route.permission.name()
    );
    Err(Fault::new(
        StatusCode::FORBIDDEN,
        IssueType::Forbidden,
        text,
    ))
}

/// The answer to `OPTIONS`: the methods that a path has.
pub(crate) fn options(fhir: &Fhir, path: &str) -> Result<Reply, Fault> {
    let mut allowed: Vec<&'static str> = vec!["OPTIONS"];
    for entry in &fhir.entries {
        let name = entry.route.method.name();
        if fits(entry, path).is_some() && !allowed.contains(&name) {
            allowed.push(name);
            if name == "GET" {
                allowed.push("HEAD");
            }
        }
    }
    if allowed.len() == 1 {
        return Err(nothing(&fhir.entries, path));
    }
    Ok(Reply::new(StatusCode::NO_CONTENT, Answer::None).with(header::ALLOW, &allowed.join(", ")))
}
