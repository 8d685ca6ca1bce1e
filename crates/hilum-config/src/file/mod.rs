//! The files of a site as structs: their fields, defaults and help texts.
//!
//! The schemas that files are checked against, the editor schema and the reference come from
//! here. `serde` reads these structs only from trees that were found good.

mod channel;
mod fhir;
mod marks;
mod node;
mod system;
mod tests;

use std::borrow::Cow;

use hilum_component::Millis;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use channel::{
    AcknowledgeFile, AlertFile, AlertsFile, ChannelFile, DestinationFile, RemovedFile,
};
pub(crate) use fhir::{
    DatabaseFile, FhirFile, InteractionFile, SubscriptionsFile, TestResultFile, TopicFile,
    TriggerFile, ValidateFile,
};
pub(crate) use marks::{LabelListFile, TestMessagesFile, TestPatientsFile};
pub(crate) use node::{EnvironmentFile, NodeFile, RetryFile};
pub(crate) use system::{
    ControlIdFile, DecimalFile, IdentifierFile, ListSays, ListsFile, SystemFile, UnknownPatientFile,
};
pub(crate) use tests::{EXPECT_KEYS, ExpectFile, TestFile};

/// The schema of a file.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    schemars::SchemaGenerator::default()
        .into_root_schema_for::<T>()
        .to_value()
}

macro_rules! text_format {
    ($(#[$doc:meta])* $name:ident, $format:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
        #[serde(transparent)]
        pub(crate) struct $name(pub(crate) String);

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format })
            }
        }
    };
}
text_format!(
    /// A reference to a secret: `env:NAME` or `file:PATH`.
    SecretName, "secret"
);
text_format!(
    /// A name: small letters, digits, `-` and `.`.
    Name, "name"
);
text_format!(
    /// Host and port.
    Address, "address"
);
/// The name of a format, or a map of its name and settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct FormatFile(pub(crate) Value);

impl JsonSchema for FormatFile {
    fn schema_name() -> Cow<'static, str> {
        "FormatFile".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string", "format": "message-format" },
            { "type": "object", "x-component": "format" }
        ] })
    }
}

text_format!(
    /// An order domain or an expression.
    OrderText, "order"
);
text_format!(
    /// The name of a destination of the same channel.
    DestinationName, "destination"
);

/// Keys and values of any kind, in the order of the file.
pub(crate) type Free = serde_json::Map<String, Value>;

pub(crate) const fn seconds(count: u64) -> Millis {
    Millis(count * 1_000)
}
