//! Arguments of `hilum convert`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::FhirNode;

/// `hilum convert`
#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// Files of messages (also batches, and .ndjson with a message as a JSON string a line) or, with
    /// --from fhir, of Bundles and resources (.json, .xml, .ndjson), or folders of them; - reads the
    /// standard input
    #[arg(value_name = "PATH", required_unless_present_any = ["rows", "query"])]
    pub(crate) paths: Vec<PathBuf>,
    /// What the files hold
    #[arg(long, value_enum, default_value = "hl7v2", value_name = "FORMAT")]
    pub(crate) from: ConvertForm,
    /// What they become
    #[arg(long, value_enum, default_value = "fhir", value_name = "FORMAT")]
    pub(crate) to: ConvertForm,
    /// The kind of Bundle
    #[arg(long, value_enum, default_value = "transaction", value_name = "TYPE")]
    pub(crate) bundle: BundleForm,
    /// How the message as it came is kept in the Bundle
    #[arg(long, value_enum, default_value = "none", value_name = "AS")]
    pub(crate) original: KeptForm,
    /// Where documents in the message stand
    #[arg(long, value_enum, default_value = "inline", value_name = "WHERE")]
    pub(crate) attachments: AttachmentForm,
    /// Says on the standard error for each element which row wrote it, and from where
    #[arg(long)]
    pub(crate) explain: bool,
    /// Says on the standard error how often each row of the maps wrote something
    #[arg(long)]
    pub(crate) coverage: bool,
    /// A Bundle a line, as more than one message is always written; with --to hl7v2 a message a line,
    /// as a JSON string
    #[arg(long)]
    pub(crate) ndjson: bool,
    /// Map files (*.map) to lay over those of hilum
    #[arg(long, value_name = "FOLDER", conflicts_with = "site")]
    pub(crate) maps: Option<PathBuf>,
    /// A site: its maps/ is laid over those of hilum, and its systems say who assigns identifiers,
    /// what their code systems are and in which zone their times are, as in its channels
    #[arg(long, value_name = "FOLDER")]
    pub(crate) site: Option<PathBuf>,
    /// With --site: the system that sent the messages, or with --to hl7v2 gets them; without it,
    /// of the systems with a group the one that MSH-3 and MSH-4 name
    #[arg(long, value_name = "NAME", requires = "site")]
    pub(crate) system: Option<String>,
    /// With --site: the overlay in environments/ to apply
    #[arg(
        long,
        short = 'e',
        value_name = "NAME",
        requires = "site",
        env = "HILUM_ENVIRONMENT"
    )]
    pub(crate) environment: Option<String>,
    /// The time zone of times without an offset, such as Europe/Berlin or +01:00, before that of the
    /// site; with --to hl7v2 the zone in which times are written
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// The country that rows ask for (%country), such as US
    #[arg(long, value_name = "CODE")]
    pub(crate) country: Option<String>,
    /// The profile that rows ask for (%profile), such as us-core
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// With --to hl7v2: the message to make, such as ADT^A08, or its code alone; without it what the
    /// MessageHeader says, else what is in the Bundle
    #[arg(long, value_name = "TYPE^EVENT", value_parser = event)]
    pub(crate) message: Option<String>,
    /// With --to hl7v2: the version of HL7 v2 (MSH-12)
    #[arg(long, value_name = "VERSION", default_value = "2.5.1")]
    pub(crate) hl7_version: String,
    /// With --to hl7v2: MSH-3, with ^ between its components; without it what the MessageHeader says
    #[arg(long, value_name = "HD")]
    pub(crate) sending_application: Option<String>,
    /// With --to hl7v2: MSH-4
    #[arg(long, value_name = "HD")]
    pub(crate) sending_facility: Option<String>,
    /// With --to hl7v2: MSH-5
    #[arg(long, value_name = "HD")]
    pub(crate) receiving_application: Option<String>,
    /// With --to hl7v2: MSH-6
    #[arg(long, value_name = "HD")]
    pub(crate) receiving_facility: Option<String>,
    /// With --from fhir: takes what a search or a read in a node's FHIR server finds, such as
    /// 'DiagnosticReport?_id=7&_include=DiagnosticReport:result'
    #[arg(long, value_name = "SEARCH", conflicts_with_all = ["paths", "rows"])]
    pub(crate) query: Option<String>,
    #[command(flatten)]
    pub(crate) node: FhirNode,
    /// Counts the rows that carry out the tables of the v2-to-FHIR guide, and converts nothing
    #[arg(long, conflicts_with = "paths")]
    pub(crate) rows: bool,
    /// With --rows: the folder with the guide's tables
    #[arg(long, value_name = "FOLDER", requires = "rows")]
    pub(crate) guide: Option<PathBuf>,
}

/// The type of a message, and its event.
fn event(text: &str) -> Result<String, String> {
    let mut parts = text.split(['^', '_']);
    let is_code = |part: &str| {
        part.len() == 3
            && part
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    if (1..=2).contains(&parts.clone().count()) && parts.all(is_code) {
        return Ok(text.to_owned());
    }
    Err("it is not of the form ADT^A08 or ADT".to_owned())
}

/// What is converted from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConvertForm {
    /// HL7 v2
    Hl7v2,
    /// FHIR R4
    Fhir,
}

/// The kind of Bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BundleForm {
    /// What a server carries out
    Transaction,
    /// A FHIR message
    Message,
    /// Resources alone
    Collection,
}

/// Where documents in a message stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AttachmentForm {
    /// In the attachment itself
    Inline,
    /// Each in a Binary, to which the attachment has a URL
    Binary,
}

/// How the message is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeptForm {
    /// It is not
    None,
    /// As a Binary
    Binary,
    /// As a DocumentReference
    DocumentReference,
}
