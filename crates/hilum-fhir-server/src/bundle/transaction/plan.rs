//! What each request of a transaction comes to, by what is there now.

use hilum_fhir::definitions::TypeId;
use hilum_fhir::{IssueType, Resource};
use hilum_fhir_store::{Expect, Expected, Query, ResourceType};

use super::ahead::Named;
use super::{Plan, Prepared, Verb, Write};
use crate::bundle::batch;
use crate::bundle::link_url;
use crate::bundle::read::{Item, decoded};
use crate::call::Call;
use crate::fault::Fault;
use crate::interaction::{Matches, matches, patched, query, type_named};
use crate::request::Tags;
use crate::search::is_id;

/// What one request comes to.
pub(super) async fn plan(
    call: &Call,
    bundle: &Resource,
    item: &Item,
    fresh: &str,
    prepared: &mut Prepared,
) -> Result<Plan, Fault> {
    if item.method == http::Method::GET || item.method == http::Method::HEAD {
        return Ok(Plan::Read);
    }
    let parts = item.parts();
    let name = parts.first().copied().unwrap_or_default();
    let (ty, resource_type) = type_named(call, name)?;
    let id = parts.get(1).map(|part| decoded(part)).transpose()?;
    if let Some(id) = id.as_ref().filter(|id| !is_id(id)) {
        let text = format!(
            "the id has {} characters that no id has, or too many",
            id.len()
        );
        return Err(Fault::bad(IssueType::Value, text));
    }
    if item.method == http::Method::DELETE {
        return delete(call, item, (ty, resource_type), id, prepared).await;
    }
    if item.method == http::Method::PATCH {
        return patch(call, bundle, item, (ty, resource_type), id, prepared).await;
    }
    let node = item
        .node(bundle)
        .ok_or_else(|| Fault::bad(IssueType::Required, "the entry has no resource"))?;
    if node.type_id() != ty {
        let text = format!("the resource is a {}, not a {name}", node.type_name());
        return Err(Fault::bad(IssueType::Invalid, text));
    }
    let own = node.child_text("id");
    if item.method == http::Method::POST {
        let Some(criteria) = &item.conditions.if_none_exist else {
            return Ok(written(ty, resource_type, fresh, Verb::Create));
        };
        return match prepared.ahead.matches(call, ty, criteria).await? {
            Matches::Several => Err(several()),
            Matches::One(found, expect) => {
                prepared.expect(expect, item);
                Ok(Plan::There(found))
            }
            Matches::None(expect) => {
                prepared.expect(expect, item);
                Ok(written(ty, resource_type, fresh, Verb::Create))
            }
        };
    }
    let Some(id) = id else {
        return update(call, item, (ty, resource_type), own, fresh, prepared).await;
    };
    if own != Some(id.as_str()) {
        let text = "the resource needs the id of the URL";
        return Err(Fault::bad(IssueType::Value, text));
    }
    version(item, resource_type, &id, prepared)?;
    Ok(written(ty, resource_type, &id, Verb::Update))
}

fn written(ty: TypeId, resource_type: ResourceType, id: &str, method: Verb) -> Plan {
    Plan::Write(Write {
        patched: None,
        ty,
        resource_type,
        id: id.to_owned(),
        method,
    })
}

/// A conditional update.
async fn update(
    call: &Call,
    item: &Item,
    (ty, resource_type): (TypeId, ResourceType),
    own: Option<&str>,
    fresh: &str,
    prepared: &mut Prepared,
) -> Result<Plan, Fault> {
    let criteria = link_url("", &item.query);
    match prepared.ahead.named(call, ty, &criteria).await? {
        Named::Several => Err(several()),
        Named::One(found, expect) => {
            if own.is_some_and(|own| own != found) {
                let text = "the id of the resource is not that of the one that matches";
                return Err(Fault::bad(IssueType::Value, text));
            }
            prepared.expect(expect, item);
            version(item, resource_type, &found, prepared)?;
            Ok(written(ty, resource_type, &found, Verb::Update))
        }
        Named::None(expect) => {
            prepared.expect(expect, item);
            let id = own.unwrap_or(fresh);
            Ok(written(ty, resource_type, id, Verb::Create))
        }
    }
}

/// A patch changes what is there now, and only that.
async fn patch(
    call: &Call,
    bundle: &Resource,
    item: &Item,
    (ty, resource_type): (TypeId, ResourceType),
    id: Option<String>,
    prepared: &mut Prepared,
) -> Result<Plan, Fault> {
    let missing = || Fault::missing(IssueType::NotFound, "there is no such resource");
    let stored = match id {
        Some(id) => call
            .tenant
            .read(resource_type, &id)
            .await?
            .ok_or_else(missing)?,
        None => match matches(call, ty, &link_url("", &item.query)).await? {
            Matches::None(_) => return Err(missing()),
            Matches::Several => return Err(several()),
            Matches::One(stored, expect) => {
                prepared.expect(expect, item);
                *stored
            }
        },
    };
    version(item, resource_type, &stored.id, prepared)?;
    let content = batch::content(bundle, item)?;
    let resource = patched(&content, &stored, ty, &call.fhir.reading_limits())?;
    let expect = Expect::Version {
        resource_type,
        id: stored.id.to_string(),
        expected: Expected::Exactly(stored.version),
    };
    prepared.expect(expect, item);
    Ok(Plan::Write(Write {
        patched: Some(resource),
        ty,
        resource_type,
        id: stored.id.to_string(),
        method: Verb::Update,
    }))
}

async fn delete(
    call: &Call,
    item: &Item,
    (ty, resource_type): (TypeId, ResourceType),
    id: Option<String>,
    prepared: &mut Prepared,
) -> Result<Plan, Fault> {
    if let Some(id) = id {
        version(item, resource_type, &id, prepared)?;
        return Ok(Plan::Delete(vec![(resource_type, id)]));
    }
    let most = call.fhir.limits.page_max;
    let wanted = Query {
        count: u32::try_from(most).unwrap_or(u32::MAX),
        ..query(call, ty, &item.query).await?
    };
    let page = call.tenant.search(wanted.clone()).await?;
    if page.next.is_some() {
        let text = format!("more than {most} resources match; delete them in parts");
        return Err(Fault::precondition(IssueType::TooCostly, text));
    }
    let found = page.found.iter().map(|found| found.pk).collect();
    prepared.expect(
        Expect::Search {
            query: Box::new(wanted),
            found,
        },
        item,
    );
    let each = page.found.iter();
    Ok(Plan::Delete(
        each.map(|found| (resource_type, found.stored.id.to_string()))
            .collect(),
    ))
}

/// `ifMatch` and `ifNoneMatch` of a change.
fn version(
    item: &Item,
    resource_type: ResourceType,
    id: &str,
    prepared: &mut Prepared,
) -> Result<(), Fault> {
    let expected = match (&item.conditions.if_match, &item.conditions.if_none_match) {
        (None, None) => return Ok(()),
        (Some(Tags::Any), None) => Expected::Present,
        (None, Some(Tags::Any)) => Expected::Absent,
        (Some(Tags::Versions(versions)), None) if versions.len() == 1 => {
            let only = versions.first().copied().unwrap_or(0);
            Expected::Exactly(u32::try_from(only).unwrap_or(u32::MAX))
        }
        _ => {
            let text = "`ifMatch` names one version, `ifNoneMatch` of a change is `*`";
            return Err(Fault::bad(IssueType::Value, text));
        }
    };
    let expect = Expect::Version {
        resource_type,
        id: id.to_owned(),
        expected,
    };
    prepared.expect(expect, item);
    Ok(())
}

fn several() -> Fault {
    Fault::precondition(
        IssueType::MultipleMatches,
        "more than one resource matches the condition",
    )
}
