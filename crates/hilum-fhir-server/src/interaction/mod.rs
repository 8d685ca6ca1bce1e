//! The interactions of FHIR R4 http.html, one file for each kind.

mod conditional;
mod contained;
mod create;
mod delete;
mod history;
mod patch;
mod read;
mod search;
mod update;

use hilum_access::{Method, Permission};
use hilum_fhir::IssueType;
use hilum_fhir::definitions::TypeId;
use hilum_fhir_store::ResourceType;

pub(crate) use conditional::{Matches, condition, matches, query};
pub(crate) use create::{created, restless};
pub(crate) use patch::patched;
pub(crate) use search::{members, page};
pub(crate) use update::unmet;

use crate::call::Call;
use crate::fault::{Fault, suggestion};
use crate::route::{Claim, Entry, entry};

const TYPE: &str = "/{type}";
const INSTANCE: &str = "/{type}/{id}";

pub(crate) fn routes() -> Vec<Entry> {
    use Permission::{FhirHistory, FhirRead, FhirSearch, FhirWrite};
    let (get, post) = (Method::Get, Method::Post);
    #[rustfmt::skip]
    let routes = vec![
        entry("history-system", get, "/_history", FhirHistory, "Every version of every resource, newest first", Claim::System("history-system"), history::system),
        entry("search-system", get, "/", FhirSearch, "Resources of any type that match", Claim::System("search-system"), search::system),
        entry("search-system-post", post, "/_search", FhirSearch, "The same, asked in a form", Claim::Field, search::system),
        entry("search-type", get, TYPE, FhirSearch, "Resources of a type that match", Claim::Type("search-type"), search::of_type),
        entry("search-type-post", post, "/{type}/_search", FhirSearch, "The same, asked in a form", Claim::Field, search::of_type),
        entry("history-type", get, "/{type}/_history", FhirHistory, "Every version of the resources of a type", Claim::Type("history-type"), history::of_type),
        entry("create", post, TYPE, FhirWrite, "Stores a resource under an id of the server's", Claim::Type("create"), create::handle),
        entry("conditional-update", Method::Put, TYPE, FhirWrite, "Replaces the one resource that matches, or stores a new one", Claim::Field, update::conditional),
        entry("conditional-delete", Method::Delete, TYPE, FhirWrite, "Deletes the resources that match", Claim::Field, delete::conditional),
        entry("read", get, INSTANCE, FhirRead, "A resource", Claim::Type("read"), read::current),
        entry("update", Method::Put, INSTANCE, FhirWrite, "Replaces a resource, or stores it under this id", Claim::Type("update"), update::handle),
        entry("conditional-patch", Method::Patch, TYPE, FhirWrite, "Changes parts of the one resource that matches", Claim::Field, patch::conditional),
        entry("patch", Method::Patch, INSTANCE, FhirWrite, "Changes parts of a resource", Claim::Type("patch"), patch::handle),
        entry("delete", Method::Delete, INSTANCE, FhirWrite, "Deletes a resource; its versions stay", Claim::Type("delete"), delete::handle),
        entry("history-instance", get, "/{type}/{id}/_history", FhirHistory, "Every version of a resource", Claim::Type("history-instance"), history::of_instance),
        entry("vread", get, "/{type}/{id}/_history/{version}", FhirRead, "A version of a resource", Claim::Type("vread"), read::version),
        entry("search-compartment-all", get, "/{type}/{id}/*", FhirSearch, "Everything in a compartment that matches", Claim::Field, search::compartment),
        entry("search-compartment", get, "/{type}/{id}/{inside}", FhirSearch, "Resources of a type in a compartment that match", Claim::Field, search::compartment),
        entry("search-compartment-post", post, "/{type}/{id}/{inside}/_search", FhirSearch, "The same, asked in a form", Claim::Field, search::compartment),
    ];
    routes
}

/// The type that a path names.
pub(crate) fn type_of(call: &Call) -> Result<(TypeId, ResourceType), Fault> {
    type_named(call, call.part("type"))
}

pub(crate) fn type_named(call: &Call, name: &str) -> Result<(TypeId, ResourceType), Fault> {
    let table = &call.tenant.table;
    let found = table
        .type_named(name)
        .and_then(|ty| Some((ty, table.stored(ty)?)));
    found.ok_or_else(|| {
        let names: Vec<&str> = table.all().into_iter().map(|ty| table.name(ty)).collect();
        let near = suggestion(name, names.into_iter());
        let name: String = name.chars().take(64).collect();
        let text = format!("there is no type of resource `{name}`{near}");
        Fault::missing(IssueType::NotSupported, text)
    })
}

/// The id that a path names.
pub(crate) fn id_of(call: &Call) -> Result<&str, Fault> {
    let id = call.part("id");
    if hilum_fhir::is_id(id.as_bytes()) {
        return Ok(id);
    }
    let text = "the id is not 1 to 64 letters, digits, `-` and `.`";
    Err(Fault::bad(IssueType::Value, text))
}
