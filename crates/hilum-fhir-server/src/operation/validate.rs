//! `$validate` (FHIR R4 resource-operation-validate.html): what is wrong with a resource.
//!
//! It takes the resource itself or Parameters with one. The answer is an OperationOutcome with
//! status 200 whether or not something is wrong with the resource; what cannot be read as one is
//! told in the same way.

use std::sync::Arc;

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::definitions::{Definitions, TypeId};
use hilum_fhir::validate::Request;
use hilum_fhir::{IssueType, Problem, Resource, Severity, Style, json};
use hilum_fhirpath::Moment;
use http::StatusCode;

use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::interaction::{id_of, type_of};
use crate::route::{Claim, Entry, entry};
use crate::take::{heavy, read};
use crate::terminology::{validated, with_definitions};
use crate::write;

const CLAIM: Claim = Claim::Operation(
    "validate",
    "http://hl7.org/fhir/OperationDefinition/Resource-validate",
);

pub(super) fn routes() -> [Entry; 4] {
    let (permission, about) = (Permission::FhirOperate, "What is wrong with a resource");
    let of =
        |name, method, path, handle| entry(name, method, path, permission, about, CLAIM, handle);
    [
        of("validate-any", Method::Post, "/$validate", any),
        of("validate-type", Method::Post, "/{type}/$validate", of_type),
        of(
            "validate-stored",
            Method::Get,
            "/{type}/{id}/$validate",
            stored,
        ),
        of(
            "validate-instance",
            Method::Post,
            "/{type}/{id}/$validate",
            of_type,
        ),
    ]
}

fn any(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move { validate(call, None).await })
}

fn of_type(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let (ty, _) = type_of(&call)?;
        validate(call, Some(ty)).await
    })
}

/// A resource that is stored.
fn stored(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&["mode", "profile"])?;
        let (_, ty) = type_of(&call)?;
        let stored = call.tenant.read(ty, id_of(&call)?).await?;
        let stored = stored
            .ok_or_else(|| Fault::missing(IssueType::NotFound, "there is no such resource"))?;
        let Some(bytes) = write::spliced(&stored) else {
            return Err(Fault::gone(u64::from(stored.version)));
        };
        let asked = Asked::of_query(&call)?;
        let resource = write::trusted(&bytes)?;
        told(&call, resource, &asked).await
    })
}

/// What is asked beside the resource.
#[derive(Clone, Debug, Default)]
struct Asked {
    mode: Option<String>,
    profiles: Vec<String>,
}

impl Asked {
    fn of_query(call: &Call) -> Result<Self, Fault> {
        let mut asked = Self::default();
        for (name, value) in &call.query {
            match name.as_str() {
                "mode" => asked.mode = Some(value.clone()),
                "profile" => asked.profiles.push(value.clone()),
                _ => {}
            }
        }
        asked.check()
    }

    fn check(self) -> Result<Self, Fault> {
        match self.mode.as_deref() {
            None | Some("create" | "update") => Ok(self),
            Some("delete" | "profile") => Err(Fault::bad(
                IssueType::NotSupported,
                "`mode` is supported as create and update only",
            )),
            Some(_) => Err(Fault::bad(
                IssueType::Value,
                "`mode` is none of create, update, delete, profile",
            )),
        }
    }
}

async fn validate(call: Call, expected: Option<TypeId>) -> Result<Reply, Fault> {
    call.knows_only(&["mode", "profile"])?;
    let format = call.body.format()?;
    let mut asked = Asked::of_query(&call)?;
    let (bytes, limits) = (call.body.bytes.clone(), call.fhir.reading_limits());
    let given = heavy(bytes.len(), move || read(&bytes, format, &limits, None)).await;
    let given = match given {
        Ok(given) => given,
        // What is no resource at all is the answer, not a failure of the request.
        Err(fault) if fault.status == StatusCode::BAD_REQUEST => {
            return Ok(outcome(&fault.problems));
        }
        Err(fault) => return Err(fault),
    };
    let resource =
        if given.type_name() == "Parameters" && expected.is_none_or(|ty| ty != given.type_id()) {
            match inner(&given, &mut asked)? {
                Some(resource) => resource,
                None => given,
            }
        } else {
            given
        };
    let asked = asked.check()?;
    if let Some(expected) = expected.filter(|ty| *ty != resource.type_id()) {
        let name = call.tenant.table.name(expected);
        let text = format!("the resource is a {}, not a {name}", resource.type_name());
        return Ok(outcome(&[Problem::error(IssueType::Invalid, text)]));
    }
    told(&call, resource, &asked).await
}

/// The resource in Parameters, if there is one; Parameters without it are what is to be checked.
fn inner(parameters: &Resource, asked: &mut Asked) -> Result<Option<Resource>, Fault> {
    let mut found = None;
    for parameter in parameters.root().children_named("parameter") {
        let text = parameter.child("value").and_then(hilum_fhir::Node::text);
        match parameter.child_text("name") {
            Some("resource") => found = parameter.child("resource"),
            Some("mode") => asked.mode = text.map(str::to_owned),
            Some("profile") => asked.profiles.extend(text.map(str::to_owned)),
            _ => {}
        }
    }
    let Some(node) = found else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    json::write_node(node, Style::Compact, &mut bytes);
    write::trusted(&bytes).map(Some)
}

async fn told(call: &Call, resource: Resource, asked: &Asked) -> Result<Reply, Fault> {
    let (tenant, now_ms) = (Arc::clone(&call.tenant), (call.fhir.clock)());
    let profiles = asked.profiles.clone();
    let nodes = resource.node_count();
    let own = Arc::clone(&tenant);
    let problems = with_definitions(&tenant, nodes.saturating_mul(32), move |needs| {
        let tenant = &own;
        let asked: Vec<&str> = profiles.iter().map(String::as_str).collect();
        let request = Request {
            asked: &asked,
            profiles: &tenant.guides.profiles,
            ..Request::new(Moment::from_unix_millis(now_ms, 0))
        };
        let known_profiles = request.profiles;
        let mut problems = validated(tenant, &resource, request, needs);
        // To be checked against it is what the client asked for, so it is no mere warning.
        let known = |url: &str| {
            let plain = url.split('|').next().unwrap_or(url);
            known_profiles.get(url).is_some() || Definitions::r4().type_at(plain).is_some()
        };
        for problem in &mut problems {
            if problem.code == IssueType::NotFound
                && asked
                    .iter()
                    .any(|url| !known(url) && problem.text.contains(url))
            {
                problem.severity = Severity::Error;
            }
        }
        Ok(problems)
    })
    .await?;
    Ok(outcome(&problems))
}

fn outcome(problems: &[Problem]) -> Reply {
    Reply::json(hilum_fhir::operation_outcome_json(problems))
}
