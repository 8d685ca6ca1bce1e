//! The section `fhir:` of `hilum.yaml`.

use std::collections::BTreeMap;

use hilum_component::Size;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Address, Name};

/// The FHIR server of the node: an API for applications on a store of resources.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct FhirFile {
    /// Where it listens; loopback only in this release.
    #[serde(default = "listen")]
    pub(crate) listen: Address,
    /// Scheme and host under which clients reach it, where that is not the address it listens at:
    /// `https://fhir.st-elsewhere.example`.
    #[serde(default)]
    pub(crate) url: Option<String>,
    /// What is done with a resource that breaks a rule of FHIR.
    #[serde(default)]
    pub(crate) validate: ValidateFile,
    /// The same for single types of resources.
    #[serde(default)]
    pub(crate) validate_types: BTreeMap<String, ValidateFile>,
    /// Stores beside the first, each under `/fhir/t/NAME`; nothing refers from one to another.
    #[serde(default)]
    pub(crate) tenants: BTreeMap<Name, TenantFile>,
    /// Web pages of these origins may call it from a browser; none where it is empty.
    #[serde(default)]
    pub(crate) origins: Vec<String>,
    /// Connections at once.
    #[serde(default = "connections_max")]
    pub(crate) connections_max: u32,
    /// Bytes of a request's body.
    #[serde(default = "body_max")]
    pub(crate) body_max: Size,
    /// Resources of a page, however many a client asks for.
    #[serde(default = "page_max")]
    pub(crate) page_max: u32,
}

/// A store of its own.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct TenantFile {
    /// What is done with a resource that breaks a rule; as for the server where it is not set.
    #[serde(default)]
    pub(crate) validate: Option<ValidateFile>,
    /// The same for single types of resources.
    #[serde(default)]
    pub(crate) validate_types: BTreeMap<String, ValidateFile>,
}

/// How strictly resources are checked. What is no FHIR at all (an unknown element, a date that is
/// none) is refused in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ValidateFile {
    /// They are not checked.
    Off,
    /// They are stored; the answer names what is wrong where the client asks for it.
    Warn,
    /// They are refused.
    #[default]
    Enforce,
}

fn listen() -> Address {
    Address("127.0.0.1:26680".to_owned())
}

const fn connections_max() -> u32 {
    256
}

const fn body_max() -> Size {
    Size(50_000_000)
}

const fn page_max() -> u32 {
    1_000
}
