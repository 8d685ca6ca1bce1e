//! `$expand` of a ValueSet (FHIR R4 valueset-operation-expand.html): its codes.

use std::sync::Arc;

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_terminology::expand::{Request, Stamp};
use hilum_terminology::{Engine, Failure, ValueSet, issues, version};

use super::focus;
use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::route::{Claim, Entry, entry};
use crate::terminology::{Given, Value, Work, ask, refusal};
use crate::time::instant;
use crate::write;

const CLAIM: Claim = Claim::Operation(
    "expand",
    "http://hl7.org/fhir/OperationDefinition/ValueSet-expand",
);

const TAKES: [&str; 16] = [
    "url",
    "valueSet",
    "valueSetVersion",
    "filter",
    "offset",
    "count",
    "includeDesignations",
    "designation",
    "includeDefinition",
    "excludeNested",
    "excludeNotForUI",
    "property",
    "versionsMatch",
    "context",
    "contextDirection",
    "date",
];

pub(super) fn routes() -> [Entry; 4] {
    let (permission, about) = (Permission::FhirSearch, "The codes of a value set");
    let of = |name, method, path| entry(name, method, path, permission, about, CLAIM, handle);
    let (all, one) = ("/ValueSet/$expand", "/ValueSet/{id}/$expand");
    [
        of("expand", Method::Get, all),
        of("expand-post", Method::Post, all),
        of("expand-stored", Method::Get, one),
        of("expand-stored-post", Method::Post, one),
    ]
}

fn handle(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let mut given = Given::of(&call, &TAKES).await?;
        if !call.part("id").is_empty() {
            let stored = focus(&call, "ValueSet").await?;
            let resource = write::trusted(&write::spliced(&stored).unwrap_or_default())?;
            let value = Value::Resource(Arc::new(resource));
            given.values.push(("valueSet".to_owned(), value));
        }
        for name in ["context", "contextDirection", "date"] {
            if given.text(name).is_some() {
                let text = format!("`{name}` is not supported; name a value set by `url`");
                return Err(Fault::bad(IssueType::NotSupported, text));
            }
        }
        let options = match given.options()? {
            Ok(options) => options,
            Err(Failure::Refused(issue)) => return Ok(refusal(&issue)),
            Err(_) => return Err(Fault::failed("options need no definitions")),
        };
        let request = request(&call, &given)?;
        let own = given.resource("valueSet").cloned();
        let url = match (&own, given.text("url")) {
            (Some(_), _) => String::new(),
            (None, Some(url)) => url.to_owned(),
            (None, None) => {
                let text = "the request needs the parameter `url` or `valueSet`";
                return Err(Fault::bad(IssueType::Required, text));
            }
        };
        let canonical = match given.text("valueSetVersion") {
            Some(named) if !url.contains('|') => version::joined(&url, Some(named)),
            _ => url,
        };
        let stamp = Stamp {
            identifier: format!("urn:uuid:{}", call.fhir.new_id()),
            timestamp: instant((call.fhir.clock)()),
        };
        let told = ask(&call, given.library()?, Work::Heavy, move |terminology| {
            let set = match &own {
                Some(resource) => Arc::new(ValueSet::of(Arc::clone(resource))),
                None => terminology
                    .value_set(&canonical)?
                    .ok_or_else(|| issues::unknown_value_set(&canonical))?,
            };
            let engine = Engine::new(terminology, &options);
            let expansion = engine.expand(&set, &request)?;
            Ok(expansion.to_json(&set, &stamp))
        })
        .await?;
        Ok(match told {
            Ok(json) => Reply::json(json),
            Err(issue) => refusal(&issue),
        })
    })
}

fn request(call: &Call, given: &Given) -> Result<Request, Fault> {
    let texts = |name| given.texts(name).map(str::to_owned).collect();
    Ok(Request {
        filter: given
            .text("filter")
            .filter(|text| !text.is_empty())
            .map(str::to_owned),
        offset: given.number("offset")?,
        count: given.number("count")?,
        exclude_nested: given.flag("excludeNested")?,
        include_designations: given.flag("includeDesignations")?,
        designations: texts("designation"),
        include_definition: given.flag("includeDefinition")?,
        properties: texts("property"),
        versions_match: given.flag("versionsMatch")?,
        exclude_not_for_ui: given.flag("excludeNotForUI")?,
        codes_max: call.fhir.limits.expansion_codes_max,
        work_max: call.fhir.limits.expansion_work_max,
    })
}
