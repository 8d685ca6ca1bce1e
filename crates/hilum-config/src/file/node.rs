//! `hilum.yaml` and `environments/*.yaml`.

use hilum_component::{Millis, Size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Address, FhirFile, Free, LabelListFile, Name, TestPatientsFile, seconds};

/// The site as a whole: its name and the settings of the node that runs it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("x-removed" = { "name": "write `site: NAME`", "listen": "write `admin: HOST:PORT`" }))]
pub(crate) struct NodeFile {
    /// The name of the site.
    pub(crate) site: Name,
    /// What it is, for people.
    #[serde(default)]
    pub(crate) about: Option<String>,
    /// Who answers for it.
    #[serde(default)]
    pub(crate) owner: Option<String>,
    /// The environment of `environments/` that is used where the command line names none.
    #[serde(default)]
    pub(crate) environment: Option<Name>,
    /// The node is used for care. Only then may it reach systems that are marked so.
    #[serde(default)]
    pub(crate) production: bool,
    /// Where the management API and the metrics listen; loopback only.
    #[serde(default = "admin")]
    pub(crate) admin: Address,
    /// How long a stop may take; what is still queued then stays for the next start.
    #[serde(default = "stop_within")]
    pub(crate) stop_within: Millis,
    /// Bytes of messages that are worked on at once; beyond it sources wait.
    #[serde(default = "in_flight_max")]
    pub(crate) in_flight_max: Size,
    /// How long messages are kept; for ever where it is not set.
    #[serde(default)]
    pub(crate) keep: Option<Millis>,
    /// How destinations are tried again, unless they say otherwise.
    #[serde(default)]
    pub(crate) retry: RetryFile,
    /// The time zone in which `during` of alert rules is read; UTC where it is not set.
    #[serde(default)]
    pub(crate) zone: Option<String>,
    /// What values of fields mean for confidentiality.
    #[serde(default)]
    pub(crate) security_labels: Vec<LabelListFile>,
    /// Patients who are none: messages about them never reach what is in production.
    #[serde(default)]
    pub(crate) test_patients: Vec<TestPatientsFile>,
    /// The FHIR server; none where it is not set. `fhir: {}` starts it with its defaults.
    #[serde(default)]
    pub(crate) fhir: Option<FhirFile>,
}

/// How a suspended destination is tried again: the delay doubles from `first` to `longest`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct RetryFile {
    /// The first delay; 1s where it is not set.
    #[serde(default)]
    pub(crate) first: Option<Millis>,
    /// The longest delay; 5m where it is not set.
    #[serde(default)]
    pub(crate) longest: Option<Millis>,
    /// A delivery older than this becomes a dead letter; never where it is not set.
    #[serde(default)]
    pub(crate) give_up_after: Option<Millis>,
}

/// What differs in one environment. Each part is laid over the files of the folder: maps are
/// merged key by key, anything else replaces what was there.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct EnvironmentFile {
    /// The name of the environment, which is the name of the file.
    pub(crate) environment: Name,
    /// What it is for.
    #[serde(default)]
    pub(crate) about: Option<String>,
    /// Laid over `hilum.yaml`.
    #[serde(default)]
    pub(crate) node: Free,
    /// Laid over `systems/`, by the name of the system.
    #[serde(default)]
    pub(crate) systems: Free,
    /// Laid over `channels/`, by the name of the channel.
    #[serde(default)]
    pub(crate) channels: Free,
}

fn admin() -> Address {
    Address("127.0.0.1:26600".to_owned())
}

const fn stop_within() -> Millis {
    seconds(30)
}

const fn in_flight_max() -> Size {
    Size(16_000_000)
}
