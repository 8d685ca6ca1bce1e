//! Taking a resource in: reading, checking, and finding what searches will find it by.

use std::sync::Arc;

use hilum_fhir::definitions::TypeId;
use hilum_fhir::validate::Request;
use hilum_fhir::{IssueType, Limits, Problem, Resource, Severity, Style, json, xml};
use hilum_fhir_store::{Body, IndexRow};
use hilum_fhirpath::Moment;

use crate::bundle::relative;
use crate::call::Call;
use crate::fault::Fault;
use crate::request::Format;
use crate::subscription;
use crate::tenant::{Tenant, Validate};
use crate::terminology::{Needs, validated, with_definitions};
use crate::write;

/// Bytes above which work on a resource leaves the threads that serve sockets.
const HEAVY_BYTES: usize = 64 * 1024;

/// A resource that may be stored.
pub(crate) struct Taken {
    pub(crate) type_name: &'static str,
    /// Compact JSON, as it came but for references that name this server.
    pub(crate) json: Vec<u8>,
    pub(crate) rows: Vec<IndexRow>,
    /// What is doubtful, or wrong where that is let through.
    pub(crate) warnings: Vec<Problem>,
}

impl Taken {
    /// What is stored, under this id.
    pub(crate) fn body(&self, id: &str) -> Body {
        write::body(&self.json, self.type_name, id)
    }
}

/// Does work beside the threads that serve sockets if there is much of it.
pub(crate) async fn heavy<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    if bytes < HEAVY_BYTES {
        return work();
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Fault::failed("the work on a resource was broken off"))?
}

/// Reads a resource; one of another type than the path names is refused.
pub(crate) fn read(
    bytes: &[u8],
    format: Format,
    limits: &Limits,
    expected: Option<TypeId>,
) -> Result<Resource, Fault> {
    let resource = match format {
        Format::Json => json::parse(bytes, limits)?,
        Format::Xml => xml::parse(bytes, limits)?,
    };
    if let Some(expected) = expected
        && resource.type_id() != expected
    {
        let name = hilum_fhir::definitions::Definitions::r4()
            .type_def(expected)
            .name;
        let text = format!("the resource is a {}, not a {name}", resource.type_name());
        return Err(Fault::bad(IssueType::Invalid, text));
    }
    Ok(resource)
}

/// Checks a resource as the tenant wants it, and finds its index values. `base` is the URL of the
/// tenant: references that name it become relative ones. What comes out does not count where
/// something is needed first ([`with_definitions`]).
pub(crate) fn take(
    tenant: &Tenant,
    resource: &Resource,
    base: &str,
    now_ms: i64,
    needs: &Needs,
) -> Result<Taken, Fault> {
    take_written(tenant, (resource, None), base, now_ms, needs)
}

/// As [`take`], of a resource that was just read from compact JSON of this server, which need not be
/// written once more.
pub(crate) fn take_written(
    tenant: &Tenant,
    (resource, written): (&Resource, Option<Vec<u8>>),
    base: &str,
    now_ms: i64,
    needs: &Needs,
) -> Result<Taken, Fault> {
    let ty = resource.type_id();
    let local = relative(resource, base)
        .map(|json| write::trusted(&json))
        .transpose()?;
    let resource = local.as_ref().unwrap_or(resource);
    let mut warnings = Vec::new();
    crate::parameter::check(tenant, resource)?;
    subscription::check_topic(tenant, resource)?;
    match tenant.validates(ty) {
        Validate::Off => {}
        mode => {
            let moment = Moment::from_unix_millis(now_ms, 0);
            let asked = tenant.profiles.get(&ty).map(Vec::as_slice);
            let asked: Vec<&str> = asked
                .unwrap_or_default()
                .iter()
                .map(String::as_str)
                .collect();
            let request = Request {
                best_practice: None,
                profiles: &tenant.guides.profiles,
                asked: &asked,
                ..Request::new(moment)
            };
            let problems = validated(tenant, resource, request, needs);
            let refused = problems.iter().any(Problem::is_error);
            if refused && mode == Validate::Enforce {
                return Err(Fault::unprocessable(problems));
            }
            warnings = problems;
            for problem in &mut warnings {
                problem.severity = problem.severity.max(Severity::Warning);
            }
        }
    }
    let admitted = subscription::admitted(tenant, resource)?;
    let written = written.filter(|_| local.is_none() && admitted.is_none());
    let resource = admitted.as_ref().unwrap_or(resource);
    let json = written.unwrap_or_else(|| {
        let mut bytes = Vec::with_capacity(1_024);
        json::write(resource, Style::Compact, &mut bytes);
        bytes
    });
    Ok(Taken {
        type_name: resource.type_name(),
        json,
        rows: tenant.rows(resource),
        warnings,
    })
}

impl Call {
    /// The resource in the body.
    pub(crate) async fn resource(&self, expected: Option<TypeId>) -> Result<Resource, Fault> {
        let format = self.body.format()?;
        let bytes = self.body.bytes.clone();
        let limits = self.fhir.reading_limits();
        heavy(bytes.len(), move || read(&bytes, format, &limits, expected)).await
    }

    /// Checks a resource and finds its index values.
    pub(crate) async fn take(&self, resource: Resource) -> Result<Taken, Fault> {
        let (tenant, now_ms) = (Arc::clone(&self.tenant), (self.fhir.clock)());
        let base = Arc::clone(&self.base);
        let nodes = resource.node_count();
        let own = Arc::clone(&tenant);
        with_definitions(&tenant, nodes.saturating_mul(32), move |needs| {
            take(&own, &resource, &base, now_ms, needs)
        })
        .await
    }
}
