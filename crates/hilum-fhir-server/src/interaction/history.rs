//! history of a resource, a type, the system (FHIR R4 http.html#history).

use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_fhir_store::{HistoryQuery, HistoryScope, IntervalTest, Prefix, Seq, Stored};

use super::{id_of, type_of};
use crate::bundle::{Bundle, link_url};
use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::search::interval;
use crate::time::instant;
use crate::write;

pub(super) fn system(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move { history(&call, HistoryScope::System, "/_history").await })
}

pub(super) fn of_type(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let (_, stored) = type_of(&call)?;
        let path = format!("/{}/_history", call.part("type"));
        history(&call, HistoryScope::Type(stored), &path).await
    })
}

pub(super) fn of_instance(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let (_, stored) = type_of(&call)?;
        let id = id_of(&call)?.to_owned();
        match call.tenant.read(stored, &id).await? {
            None => return Err(super::read::missing()),
            Some(stored) if stored.is_erased() => return Err(Fault::erased()),
            Some(_) => {}
        }
        let path = format!("/{}/{id}/_history", call.part("type"));
        history(&call, HistoryScope::Instance(stored, id), &path).await
    })
}

async fn history(call: &Call, scope: HistoryScope, path: &str) -> Result<Reply, Fault> {
    call.knows_only(&["_count", "_since", "_at", "_page"])?;
    let limits = &call.fhir.limits;
    let wrong = |name: &str| {
        Fault::bad(
            IssueType::Value,
            format!("`{name}` has a value that is not understood"),
        )
    };
    let count = match call.query("_count") {
        None => limits.page_default,
        Some(text) => text.parse::<usize>().map_err(|_| wrong("_count"))?,
    };
    let count = u32::try_from(count.min(limits.page_max)).unwrap_or(u32::MAX);
    let range = |name: &str| -> Result<Option<IntervalTest>, Fault> {
        let Some(text) = call.query(name) else {
            return Ok(None);
        };
        let found = interval(Prefix::Eq, text, (call.fhir.clock)());
        found.map(Some).ok_or_else(|| wrong(name))
    };
    let since = range("_since")?.map(|test| test.start_ms);
    let at = range("_at")?;
    let before = match call.query("_page") {
        None => None,
        Some(text) => Some(Seq(text.parse().map_err(|_| wrong("_page"))?)),
    };
    let page = call
        .tenant
        .history(HistoryQuery {
            scope,
            from_ms: at.map_or(since.unwrap_or(i64::MIN), |at| at.start_ms),
            to_ms: at.map_or(i64::MAX, |at| at.end_ms),
            before,
            count,
        })
        .await?;
    let mut bundle = Bundle::new("history");
    if since.is_none() && at.is_none() && before.is_none() && page.next.is_none() {
        bundle.total = Some(page.versions.len() as u64);
    }
    let url = |page: Option<Seq>| {
        let mut used: Vec<(String, String)> = call
            .query
            .iter()
            .filter(|(name, _)| name != "_page")
            .cloned()
            .collect();
        used.extend(page.map(|seq| ("_page".to_owned(), seq.0.to_string())));
        link_url(&format!("{}{path}", call.base), &used)
    };
    bundle.link("self", url(before));
    bundle.link("first", url(None));
    if let Some(next) = page.next {
        bundle.link("next", url(Some(next)));
    }
    for version in &page.versions {
        bundle.entry(|entry| {
            let name = call.tenant.type_name(version.resource_type);
            entry.full_url(&format!("{}/{name}/{}", call.base, version.id));
            if let Some(json) = write::spliced(version) {
                entry.resource(&json);
            }
            request(version, name, entry);
        });
    }
    Ok(Reply::json(bundle.finish()))
}

/// The request that made a version, and its answer.
fn request(version: &Stored, name: &str, entry: &mut crate::bundle::EntryWriter<'_>) {
    let (method, status) = match (&version.body, version.created) {
        (None, _) => ("DELETE", "204"),
        (Some(_), true) if version.version == 1 => ("POST", "201"),
        (Some(_), true) => ("PUT", "201"),
        (Some(_), false) => ("PUT", "200"),
    };
    let url = if method == "POST" {
        name.to_owned()
    } else {
        format!("{name}/{}", version.id)
    };
    entry.request(method, &url);
    entry.response(
        &[
            ("status", status),
            ("etag", &format!("W/\"{}\"", version.version)),
            ("lastModified", &instant(version.updated_ms)),
        ],
        None,
    );
}
