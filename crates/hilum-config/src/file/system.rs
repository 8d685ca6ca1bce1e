//! `systems/*.yaml`.

use hilum_component::{AnswerRow, Millis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Free, LabelListFile, Name, TestMessagesFile, TestPatientsFile};

/// A connected system: where it is reached, what identifies things in it, and its habits.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("x-removed" = {
    "name": "write `system: NAME`",
    "address": "write `addresses: { mllp: HOST:PORT }`",
    "host": "write `addresses: { mllp: HOST:PORT }`",
    "port": "write `addresses: { mllp: HOST:PORT }`",
    "tls": "write it below `settings:` and the technology, such as `settings: { mllp: { tls: … } }`"
}))]
pub(crate) struct SystemFile {
    /// Its name, which is the name of the file.
    pub(crate) system: Name,
    /// What it is, for people.
    #[serde(default)]
    pub(crate) about: Option<String>,
    /// Who owns it.
    #[serde(default)]
    pub(crate) owner: Option<String>,
    /// The system is used for care: only nodes that are in production may reach it.
    #[serde(default)]
    pub(crate) production: bool,
    /// Where it is reached, by technology: `mllp: 10.0.4.9:2575`.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub(crate) addresses: Free,
    /// TLS and the like, by technology; see the page of each connector.
    #[serde(default)]
    #[schemars(
        with = "std::collections::BTreeMap<String, std::collections::BTreeMap<String, serde_json::Value>>"
    )]
    pub(crate) settings: Free,
    /// Systems of one group send to one channel, which tells them apart with the step `sender`.
    #[serde(default)]
    pub(crate) group: Option<Name>,
    /// How it names itself in its messages; needed in a group.
    #[serde(default)]
    pub(crate) sends_as: Option<SendsAsFile>,
    /// The time zone of times without an offset, as the IANA names it: `Europe/Berlin`. The node's
    /// zone where it is not set.
    #[serde(default)]
    pub(crate) zone: Option<String>,
    /// How far its clock may be off, by the times of its messages (MSH-7), before that is told.
    #[serde(default = "five_minutes")]
    pub(crate) clock_skew: Millis,
    /// How it writes numbers, where it does not keep to the standard: with it a decimal comma and
    /// signs between thousands are read. Without it `4,1` and `1 000` stay text, with a finding.
    #[serde(default)]
    pub(crate) decimal: Option<DecimalFile>,
    /// Who assigns the identifiers that it sends; what sends or gets messages of HL7 v2 or FHIR
    /// needs it, or `no-patients`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(crate) identifiers: Vec<IdentifierFile>,
    /// Why it has no identifiers: nothing that it sends or gets is about a patient.
    #[serde(default)]
    pub(crate) no_patients: Option<String>,
    /// What values of fields mean for confidentiality.
    #[serde(default)]
    pub(crate) security_labels: Vec<LabelListFile>,
    /// Patients who are none: messages about them never reach what is in production.
    #[serde(default)]
    pub(crate) test_patients: Vec<TestPatientsFile>,
    /// Whether it takes messages about test patients although it is in production.
    #[serde(default)]
    pub(crate) test_messages: TestMessagesFile,
    /// The URIs of its own code systems, by the names that its messages give them (CWE-3):
    /// `WinPath: http://st-elsewhere.example/codes/winpath`.
    #[serde(default)]
    pub(crate) code_systems: std::collections::BTreeMap<String, String>,
    /// What becomes of its messages about patients whom nobody has registered, where the channel has
    /// the step `match`.
    #[serde(default)]
    pub(crate) unknown_patient: UnknownPatientFile,
    /// How long they wait for the registration, with `unknown-patient: wait`.
    #[serde(default = "ten_minutes")]
    pub(crate) unknown_patient_wait: Millis,
    /// What the lists of its messages say of what they do not have. Where nothing is declared, absence
    /// deletes nothing.
    #[serde(default)]
    pub(crate) lists: ListsFile,
    /// What its negative answers mean; the first row that fits decides.
    #[serde(default)]
    pub(crate) answers: Vec<AnswerRow>,
    /// Whether its messages need a control id (MSH-10).
    #[serde(default)]
    pub(crate) control_id: ControlIdFile,
    /// The character set of its messages where they do not say (`8859/1`, `UNICODE UTF-8`).
    #[serde(default)]
    pub(crate) charset: Option<String>,
}

/// The sign that a system writes between whole and fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DecimalFile {
    /// `4.1`; a thousand may be `1,000` or `1 000`.
    Point,
    /// `4,1`; a thousand may be `1.000,0` or `1 000`. `1.000` alone stays text: it may be one or a
    /// thousand.
    Comma,
}

/// The lists of segments that its messages have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-removed" = {
    "IAM": "IAM-6 says what becomes of each allergy: declare `AL1: { says: actions }`"
}))]
pub(crate) struct ListsFile {
    /// Allergies of a patient; by action code they come as IAM.
    #[serde(default, rename = "AL1")]
    pub(crate) al1: ListFile,
    /// Next of kin, as contacts of the patient.
    #[serde(default, rename = "NK1")]
    pub(crate) nk1: ListFile,
    /// Diagnoses of a visit.
    #[serde(default, rename = "DG1")]
    pub(crate) dg1: ListFile,
    /// Procedures of a visit.
    #[serde(default, rename = "PR1")]
    pub(crate) pr1: ListFile,
    /// What a registration (ADT) observes in a visit. Reports have the results of their last message.
    #[serde(default, rename = "OBX")]
    pub(crate) obx: ListFile,
    /// Insurances of an account.
    #[serde(default, rename = "IN1")]
    pub(crate) in1: ListFile,
    /// Guarantors of an account.
    #[serde(default, rename = "GT1")]
    pub(crate) gt1: ListFile,
}

/// What a list says of what it does not have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct ListFile {
    /// What a message with the list says of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) says: Option<ListSays>,
    /// The types of messages in which an absent list means that there is none: `ADT^A08`. Only of a
    /// snapshot.
    #[serde(default)]
    pub(crate) empty_in: Vec<String>,
}

/// What a message with a list says of what the list does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ListSays {
    /// Nothing: it stays.
    Delta,
    /// It is no more: the list is all there is.
    Snapshot,
    /// Nothing: each segment says by its action code what becomes of it.
    Actions,
}

/// How a system names itself in HL7 v2.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct SendsAsFile {
    /// MSH-3, its first component.
    #[serde(default)]
    pub(crate) application: Option<String>,
    /// MSH-4, its first component.
    #[serde(default)]
    pub(crate) facility: Option<String>,
}

/// An assigning authority and what its identifiers are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct IdentifierFile {
    /// The authority as messages write it (CX-4.1).
    pub(crate) authority: String,
    /// Its object identifier. Without it and `uri` the authority is what another file of the site says
    /// of that name.
    #[serde(default)]
    pub(crate) oid: Option<String>,
    /// Its URI in FHIR.
    #[serde(default)]
    pub(crate) uri: Option<String>,
    /// The type of its identifiers (table 0203), such as `MR`.
    #[serde(default, rename = "type")]
    pub(crate) kind: Option<String>,
    /// What it is, for people.
    #[serde(default)]
    pub(crate) about: Option<String>,
}

/// What becomes of a message about a patient whom nobody has registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum UnknownPatientFile {
    /// It goes on with a finding, and the patient is known from then on.
    #[default]
    Create,
    /// It waits until the patient is registered or a person decides.
    Hold,
    /// It waits for the registration as long as `unknown-patient-wait` says, and then goes on with a
    /// finding.
    Wait,
}

const fn five_minutes() -> Millis {
    hilum_component::CLOCK_SKEW_MAX
}

const fn ten_minutes() -> Millis {
    Millis(600_000)
}

/// Whether messages need a control id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ControlIdFile {
    /// A message without one is refused.
    #[default]
    Required,
    /// A message without one is taken; resends of it are not recognised.
    Optional,
}
