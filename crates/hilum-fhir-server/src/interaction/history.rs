//! history of a resource, a type, the system (FHIR R4 http.html#history).

use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_fhir_store::{
    HistoryPart, HistoryQuery, HistoryScope, IntervalTest, Prefix, Seq, Stored,
};

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
    let part = match call.query("_page") {
        None => HistoryPart::Newest,
        Some(text) => read(text).ok_or_else(|| wrong("_page"))?,
    };
    let page = call
        .tenant
        .history(HistoryQuery {
            scope,
            from_ms: at.map_or(since.unwrap_or(i64::MIN), |at| at.start_ms),
            to_ms: at.map_or(i64::MAX, |at| at.end_ms),
            part,
            count,
        })
        .await?;
    let mut bundle = Bundle::new("history");
    if since.is_none() && at.is_none() && part == HistoryPart::Newest && page.next.is_none() {
        bundle.total = Some(page.versions.len() as u64);
    }
    let url = |part: HistoryPart| {
        let mut used: Vec<(String, String)> = call
            .query
            .iter()
            .filter(|(name, _)| name != "_page")
            .cloned()
            .collect();
        used.extend(written(part).map(|text| ("_page".to_owned(), text)));
        link_url(&format!("{}{path}", call.base), &used)
    };
    bundle.link("self", url(part));
    bundle.link("first", url(HistoryPart::Newest));
    if let Some(prev) = page.prev {
        bundle.link("prev", url(HistoryPart::Behind(prev)));
    }
    if let Some(next) = page.next {
        bundle.link("next", url(HistoryPart::Before(next)));
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

/// What stands in front of a number behind which a page is.
const BEHIND: &str = "behind-";

/// A part of a history as the value of `_page`.
fn written(part: HistoryPart) -> Option<String> {
    match part {
        HistoryPart::Newest => None,
        HistoryPart::Before(seq) => Some(seq.0.to_string()),
        HistoryPart::Behind(seq) => Some(format!("{BEHIND}{}", seq.0)),
    }
}

fn read(text: &str) -> Option<HistoryPart> {
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).map(Seq)
    };
    match text.strip_prefix(BEHIND) {
        Some(text) => number(text).map(HistoryPart::Behind),
        None => number(text).map(HistoryPart::Before),
    }
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
