//! The CapabilityStatement (FHIR R4 http.html#capabilities), made of the routes that there are, the
//! parameters that are indexed and the values that handlers go by.

use std::collections::BTreeSet;

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_fhir::definitions::{SearchParamKind, TypeId};
use hilum_fhir::json::write_string;

use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::route::{Claim, Entry, entry};
use crate::search::table::Table;
use crate::tenant::Tenant;
use crate::time::instant;

pub(crate) fn routes() -> Vec<Entry> {
    vec![entry(
        "capabilities",
        Method::Get,
        "/metadata",
        Permission::FhirDescribe,
        "What this server can do",
        Claim::Field,
        handle,
    )]
}

fn handle(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&["mode"])?;
        match call.query("mode") {
            None | Some("full" | "normative") => {}
            Some("terminology") => {
                return Ok(Reply::json(crate::terminology::capability::statement(
                    &call,
                )));
            }
            Some(_) => {
                let text = "`mode` is none of full, normative, terminology";
                return Err(Fault::bad(IssueType::Value, text));
            }
        }
        Ok(Reply::json(statement(&call)))
    })
}

/// On which side of a member a comma goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comma {
    Before,
    Behind,
}

/// What FHIR R4 has no element for.
const LATER: &str = "Searches, batches and transactions are answered later where `Prefer: \
                     respond-async` asks for it, as FHIR R5 async-bundle.html says.";

/// JSON in the making; objects and arrays are closed by the caller.
struct Json(Vec<u8>);

impl Json {
    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// `"name":"value"`
    fn pair(&mut self, name: &str, value: &str) {
        write_string(name, &mut self.0);
        self.0.push(b':');
        write_string(value, &mut self.0);
    }

    /// `"name":["item"]`, sorted and each once; nothing where there is none.
    fn list(&mut self, name: &str, items: impl Iterator<Item = String>, comma: Comma) {
        let items: BTreeSet<String> = items.collect();
        if items.is_empty() {
            return;
        }
        if comma == Comma::Before {
            self.raw(",");
        }
        write_string(name, &mut self.0);
        self.raw(":[");
        for (at, item) in items.iter().enumerate() {
            self.comma(at);
            write_string(item, &mut self.0);
        }
        self.raw("]");
        if comma == Comma::Behind {
            self.raw(",");
        }
    }

    fn comma(&mut self, at: usize) {
        if at > 0 {
            self.0.push(b',');
        }
    }
}

fn statement(call: &Call) -> Vec<u8> {
    let fhir = &call.fhir;
    let mut json = Json(Vec::with_capacity(600_000));
    json.raw("{\"resourceType\":\"CapabilityStatement\",\"status\":\"active\",");
    json.pair("date", &instant((fhir.clock)()));
    json.raw(",\"kind\":\"instance\",\"instantiates\":[");
    write_string(BACKPORT_SERVER, &mut json.0);
    json.raw("],\"software\":{\"name\":\"hilum\",");
    json.pair("version", env!("CARGO_PKG_VERSION"));
    json.raw("},\"implementation\":{\"description\":\"hilum FHIR server\",");
    json.pair("url", &call.base);
    json.raw("},\"fhirVersion\":\"4.0.1\",\"format\":[\"application/fhir+json\",\"application/fhir+xml\",\"json\",\"xml\"],");
    let patches = fhir
        .entries
        .iter()
        .any(|entry| entry.route.method == Method::Patch);
    if patches {
        json.raw("\"patchFormat\":[\"application/json-patch+json\",\"application/fhir+json\",\"application/fhir+xml\"],");
    }
    guides(&mut json, &call.tenant);
    json.raw("\"rest\":[{");
    // FHIR R4 extension-capabilitystatement-websocket.html
    json.raw("\"extension\":[{\"url\":\"http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket\",");
    json.pair("valueUri", &crate::subscription::websocket_url(&call.base));
    json.raw("}],\"mode\":\"server\",");
    json.pair("documentation", LATER);
    json.raw(",\"resource\":[");
    for (at, ty) in call.tenant.table.all().into_iter().enumerate() {
        json.comma(at);
        resource(&mut json, fhir.entries.as_slice(), &call.tenant, ty);
    }
    json.raw("],\"interaction\":[");
    let system = fhir.entries.iter().filter_map(|entry| match entry.claim {
        Claim::System(code) => Some(code),
        Claim::Type(_) | Claim::Operation(..) | Claim::Field | Claim::Beside => None,
    });
    for (at, code) in system.enumerate() {
        json.comma(at);
        json.raw("{");
        json.pair("code", code);
        json.raw("}");
    }
    json.raw("]");
    let every = call.tenant.table.all();
    common_parameters(&mut json, &call.tenant.table, &every);
    operations(&mut json, &fhir.entries, |path| path.starts_with("/$"));
    compartments(&mut json, &call.tenant.table);
    json.raw("}]}");
    json.0
}

/// The implementation guides whose packages are configured.
fn guides(json: &mut Json, tenant: &Tenant) {
    let guides = tenant.guides.guides.iter();
    let urls =
        guides.filter_map(|guide| Some(format!("{}|{}", guide.url.as_ref()?, guide.version)));
    json.list("implementationGuide", urls, Comma::Behind);
}

/// The profiles of packages on resources of a type.
fn supported_profiles(json: &mut Json, tenant: &Tenant, ty: TypeId) {
    let profiles = tenant.guides.profiles.added();
    let urls = profiles
        .filter(|profile| profile.ty == ty)
        .map(|profile| profile.url.clone());
    let own = (tenant.table.name(ty) == SUBSCRIPTION).then(|| BACKPORT.to_owned());
    json.list("supportedProfile", urls.chain(own), Comma::Before);
}

const SUBSCRIPTION: &str = "Subscription";
/// Subscriptions R5 Backport 1.1.0, conformance.html#profile-support-1.
const BACKPORT: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription";
const BACKPORT_SERVER: &str = "http://hl7.org/fhir/uv/subscriptions-backport/CapabilityStatement/backport-subscription-server-r4";
const TOPIC: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/capabilitystatement-subscriptiontopic-canonical";

/// The topics that clients may subscribe to.
fn topics(json: &mut Json, tenant: &Tenant, name: &str) {
    let topics = tenant.subscriptions.topics();
    if name != SUBSCRIPTION || topics.is_empty() {
        return;
    }
    json.raw(",\"extension\":[");
    for (at, url) in topics.keys().enumerate() {
        json.comma(at);
        json.raw("{");
        json.pair("url", TOPIC);
        json.raw(",");
        json.pair("valueCanonical", url);
        json.raw("}");
    }
    json.raw("]");
}

fn resource(json: &mut Json, entries: &[Entry], tenant: &Tenant, ty: TypeId) {
    let table = &tenant.table;
    let name = table.name(ty);
    let has = |wanted: &str| entries.iter().any(|entry| entry.route.name == wanted);
    json.raw("{");
    json.pair("type", name);
    topics(json, tenant, name);
    supported_profiles(json, tenant, ty);
    json.raw(",\"interaction\":[");
    let own = entries.iter().filter_map(|entry| match entry.claim {
        Claim::Type(code) => Some(code),
        Claim::System(_) | Claim::Operation(..) | Claim::Field | Claim::Beside => None,
    });
    for (at, code) in own.enumerate() {
        json.comma(at);
        json.raw("{");
        json.pair("code", code);
        json.raw("}");
    }
    json.raw("],\"versioning\":\"versioned-update\"");
    json.raw(if has("vread") {
        ",\"readHistory\":true"
    } else {
        ",\"readHistory\":false"
    });
    json.raw(
        ",\"updateCreate\":true,\"conditionalCreate\":true,\"conditionalRead\":\"full-support\"",
    );
    if has("conditional-update") {
        json.raw(",\"conditionalUpdate\":true");
    }
    if has("conditional-delete") {
        json.raw(",\"conditionalDelete\":\"multiple\"");
    }
    json.raw(",\"referencePolicy\":[\"literal\",\"logical\"]");
    let params = table.params(ty);
    let own = params
        .iter()
        .filter(|param| param.def.kind == SearchParamKind::Reference)
        .map(|param| format!("{name}:{}", param.def.code));
    json.list("searchInclude", own, Comma::Before);
    let others = referring(table, ty).into_iter();
    json.list("searchRevInclude", others, Comma::Before);
    json.raw(",\"searchParam\":[");
    for (at, param) in params.iter().enumerate() {
        json.comma(at);
        json.raw("{");
        json.pair("name", &param.def.code);
        if !param.def.url.is_empty() {
            json.raw(",");
            json.pair("definition", &param.def.url);
        }
        json.raw(",");
        json.pair("type", kind(param.def.kind));
        json.raw("}");
    }
    json.raw("]");
    let own = format!("/{name}/");
    operations(json, entries, |path| {
        path.starts_with("/{type}/") || path.starts_with(&own)
    });
    json.raw("}");
}

/// The parameters by which resources of other types refer to a type.
fn referring(table: &Table, target: TypeId) -> Vec<String> {
    let mut found = Vec::new();
    for ty in table.all() {
        for param in table.params(ty) {
            let names_it =
                param.def.kind == SearchParamKind::Reference && param.def.targets.contains(&target);
            if names_it {
                found.push(format!("{}:{}", table.name(ty), param.def.code));
            }
        }
    }
    found
}

const fn kind(kind: SearchParamKind) -> &'static str {
    match kind {
        SearchParamKind::Number => "number",
        SearchParamKind::Date => "date",
        SearchParamKind::String => "string",
        SearchParamKind::Token => "token",
        SearchParamKind::Reference => "reference",
        SearchParamKind::Composite => "composite",
        SearchParamKind::Quantity => "quantity",
        SearchParamKind::Uri => "uri",
        SearchParamKind::Special => "special",
    }
}

/// Parameters that every search understands, beside those that are indexed.
const BUILT_IN: [(&str, &str, &str); 4] = [
    (
        "_id",
        "http://hl7.org/fhir/SearchParameter/Resource-id",
        "token",
    ),
    (
        "_lastUpdated",
        "http://hl7.org/fhir/SearchParameter/Resource-lastUpdated",
        "date",
    ),
    (
        "_list",
        "http://hl7.org/fhir/SearchParameter/Resource-list",
        "string",
    ),
    (
        "_filter",
        "http://hl7.org/fhir/SearchParameter/filter",
        "special",
    ),
];

fn common_parameters(json: &mut Json, table: &Table, types: &[TypeId]) {
    json.raw(",\"searchParam\":[");
    for (at, (name, definition, kind)) in BUILT_IN.into_iter().enumerate() {
        json.comma(at);
        json.raw("{");
        json.pair("name", name);
        json.raw(",");
        json.pair("definition", definition);
        json.raw(",");
        json.pair("type", kind);
        json.raw("}");
    }
    let first = types
        .first()
        .map(|ty| table.params(*ty))
        .unwrap_or_default();
    for param in first {
        let code = &*param.def.code;
        if types.iter().all(|ty| table.param(*ty, code).is_some()) {
            json.raw(",{");
            json.pair("name", code);
            if !param.def.url.is_empty() {
                json.raw(",");
                json.pair("definition", &param.def.url);
            }
            json.raw(",");
            json.pair("type", self::kind(param.def.kind));
            json.raw("}");
        }
    }
    json.raw("]");
}

/// Operations of routes whose path fits, each once.
fn operations(json: &mut Json, entries: &[Entry], fits: impl Fn(&str) -> bool) {
    let mut known: Vec<&str> = Vec::new();
    for entry in entries.iter().filter(|entry| fits(entry.route.path)) {
        let Claim::Operation(code, definition) = entry.claim else {
            continue;
        };
        if known.contains(&code) {
            continue;
        }
        json.raw(if known.is_empty() {
            ",\"operation\":["
        } else {
            ","
        });
        known.push(code);
        json.raw("{");
        json.pair("name", code);
        json.raw(",");
        json.pair("definition", definition);
        json.raw("}");
    }
    if !known.is_empty() {
        json.raw("]");
    }
}

fn compartments(json: &mut Json, table: &Table) {
    let all = table.definitions.compartments();
    for (at, compartment) in all.iter().enumerate() {
        json.raw(if at == 0 { ",\"compartment\":[" } else { "," });
        let name = table.name(compartment.resource).to_lowercase();
        let url = format!("http://hl7.org/fhir/CompartmentDefinition/{name}");
        write_string(&url, &mut json.0);
    }
    if !all.is_empty() {
        json.raw("]");
    }
}
