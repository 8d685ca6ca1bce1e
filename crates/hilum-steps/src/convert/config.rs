//! What a `convert` step is set by.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes a FHIR Bundle of a message of HL7 v2, or messages of HL7 v2 of a FHIR resource.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    /// What messages become.
    pub(crate) to: To,
    /// The kind of Bundle; a transaction without it. With `to: fhir` alone.
    #[serde(default)]
    pub(crate) bundle: Option<Bundle>,
    /// How the message as it came is kept in the Bundle; not at all without it. A message with a
    /// document of 256 kB or more is not, and a finding says so; the journal has it. With `to: fhir`
    /// alone.
    #[serde(default)]
    pub(crate) original: Option<Original>,
    /// Where documents in the message stand; in the attachment itself without it. With `to: fhir`
    /// alone.
    #[serde(default)]
    pub(crate) attachments: Option<Attachments>,
    /// The folder of map files (`*.map`) that are laid over the rows of hilum.
    #[serde(default = "maps")]
    pub(crate) maps: String,
    /// The system whose assigning authorities, code systems and time zone hold. Without it, with
    /// `to: fhir`, those of the system that the step `sender` recognised, else those of the system that
    /// the channel's source names. With `to: hl7v2` it is the
    /// receiver, and its `sends-as` is MSH-5 and MSH-6.
    #[serde(default)]
    #[schemars(extend("format" = "system"))]
    pub(crate) system: Option<String>,
    /// The time zone of times without an offset (`Europe/Berlin`, `+01:00`), before that of the
    /// system and that of the node. With `to: hl7v2` the zone in which times are written.
    #[serde(default)]
    pub(crate) zone: Option<String>,
    /// The country that rows ask for as `%country` (`US`). With `to: fhir` alone.
    #[serde(default)]
    pub(crate) country: Option<String>,
    /// The profile that rows ask for as `%profile` (`us-core`). With `to: fhir` alone.
    #[serde(default)]
    pub(crate) profile: Option<String>,
    /// The message to make, such as `ADT^A08`, or its code alone (`ADT`); without it what the
    /// MessageHeader says, else what is in the Bundle. With `to: hl7v2` alone.
    #[serde(default)]
    pub(crate) message: Option<String>,
    /// The version of HL7 v2 (MSH-12); `2.5.1` without it. With `to: hl7v2` alone.
    #[serde(default)]
    pub(crate) version: Option<String>,
    /// MSH-11; `P` without it. With `to: hl7v2` alone.
    #[serde(default)]
    pub(crate) processing_id: Option<String>,
    /// MSH-3, with `^` between its components; without it what the MessageHeader says. With
    /// `to: hl7v2` alone, as the three that follow.
    #[serde(default)]
    pub(crate) sending_application: Option<String>,
    /// MSH-4.
    #[serde(default)]
    pub(crate) sending_facility: Option<String>,
    /// MSH-5, before `sends-as` of the system.
    #[serde(default)]
    pub(crate) receiving_application: Option<String>,
    /// MSH-6, before `sends-as` of the system.
    #[serde(default)]
    pub(crate) receiving_facility: Option<String>,
    /// What is recorded of what could not be carried over.
    #[serde(default)]
    pub(crate) report: Report,
}

fn maps() -> String {
    "maps".to_owned()
}

impl Config {
    /// Keys that are set and say something about the other direction alone.
    pub(crate) fn meant_for_the_other(&self) -> Vec<&'static str> {
        let keys: &[(&'static str, bool)] = match self.to {
            To::Fhir => &[
                ("message", self.message.is_some()),
                ("version", self.version.is_some()),
                ("processing-id", self.processing_id.is_some()),
                ("sending-application", self.sending_application.is_some()),
                ("sending-facility", self.sending_facility.is_some()),
                (
                    "receiving-application",
                    self.receiving_application.is_some(),
                ),
                ("receiving-facility", self.receiving_facility.is_some()),
            ],
            To::Hl7v2 => &[
                ("bundle", self.bundle.is_some()),
                ("original", self.original.is_some()),
                ("attachments", self.attachments.is_some()),
                ("country", self.country.is_some()),
                ("profile", self.profile.is_some()),
            ],
        };
        let set = keys.iter().filter(|(_, is_set)| *is_set);
        set.map(|(key, _)| *key).collect()
    }
}

/// What messages become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum To {
    /// FHIR R4.
    Fhir,
    /// HL7 v2.
    Hl7v2,
}

impl To {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fhir => "fhir",
            Self::Hl7v2 => "hl7v2",
        }
    }
}

/// The kind of Bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Bundle {
    /// What a server carries out: what is known is updated, not doubled.
    #[default]
    Transaction,
    /// A FHIR message, MessageHeader first.
    Message,
    /// Resources alone.
    Collection,
}

/// How the message as it came is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Original {
    /// It is not; the journal has it.
    #[default]
    None,
    /// As a Binary.
    Binary,
    /// As the attachment of a DocumentReference.
    DocumentReference,
}

/// Where documents in a message (ED, the text of an MDM) stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Attachments {
    /// In the attachment itself.
    #[default]
    Inline,
    /// Each in a Binary, to which the attachment has a URL: whoever lists documents does not read
    /// them all.
    Binary,
}

/// What is recorded beside the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Report {
    /// Values that were refused, dropped or without a row, and the places that no row reads.
    #[default]
    All,
    /// The former alone.
    Values,
    /// Nothing.
    None,
}
