//! What a component may ask for while it is built from configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::{AnswerTable, FhirStores, Format, Millis, Rule, Target, Terminology};

/// The site's folder as components see it while they are built.
///
/// Every file that is read through it becomes part of the plan's digest.
pub trait Site: Send + Sync {
    /// The bytes of a file of the folder; the path cannot leave it.
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String>;

    /// The value of a secret reference (`env:NAME`, `file:PATH`).
    fn secret(&self, reference: &str) -> Result<String, String>;

    /// A file that the component reads by itself (a certificate, a key), absolute or from the
    /// folder: when it changes, the digest does, without a trace of its content.
    fn note_file(&self, _path: &str) {}

    /// A system of `systems/`.
    fn system(&self, name: &str) -> Option<Arc<SystemInfo>>;

    /// The names of all systems, for suggestions.
    fn system_names(&self) -> Vec<String>;

    /// The folder, for components that resolve paths of their own at run time.
    fn folder(&self) -> &Path;

    /// The node is a production node.
    fn production(&self) -> bool;

    /// The names of the files in a folder and those below it; reading one is what makes it part of
    /// the plan's digest.
    fn list(&self, _folder: &str) -> Vec<String> {
        Vec::new()
    }

    /// A format with its defaults, for a step that makes messages of another one.
    fn format(&self, name: &str) -> Result<Arc<dyn Format>, String> {
        Err(format!("the format {name} is not there"))
    }

    /// The IANA name of the node's time zone.
    fn zone(&self) -> Option<String> {
        None
    }

    /// The code systems that are active; asking makes what is active part of the plan's digest. The
    /// error says why they cannot be used.
    fn terminology(&self) -> Result<Arc<dyn Terminology>, String> {
        Err("no code systems are at hand here".to_owned())
    }

    /// The FHIR stores of the node; `None` where the site has no `fhir:` section.
    fn fhir(&self) -> Option<FhirStores> {
        None
    }
}

/// A connected system, from `systems/<name>.yaml` and the overlay of the environment.
#[derive(Clone, Debug, Default)]
pub struct SystemInfo {
    /// Its name.
    pub name: String,
    /// What it is, for people.
    pub about: Option<String>,
    /// Who owns it.
    pub owner: Option<String>,
    /// The system is used for care: nodes that are not production must not reach it.
    pub production: bool,
    /// Addresses by technology (`mllp: 10.0.4.9:2575`, `http: https://ehr.example/hook`).
    pub addresses: BTreeMap<String, String>,
    /// Settings of TLS and the like by technology, checked by the component that uses them.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// What its negative answers mean.
    pub answers: AnswerTable,
    /// Its messages may lack a control id.
    pub control_id_optional: bool,
    /// The character set of its messages where they do not say.
    pub charset: Option<String>,
    /// The group of systems that send to one channel.
    pub group: Option<String>,
    /// How it names itself in HL7 v2.
    pub sends_as: SendsAs,
    /// The IANA name of the zone of times without an offset.
    pub zone: Option<String>,
    /// How far its clock may be off; [`crate::CLOCK_SKEW_MAX`] where it is not declared.
    pub clock_skew: Option<Millis>,
    /// How it writes numbers; where it is not declared, as the standard has them.
    pub decimal: Option<DecimalSign>,
    /// Who assigns the identifiers that it sends.
    pub identifiers: Vec<Authority>,
    /// The URIs of its code systems by the names that its messages give them (CWE-3).
    pub code_systems: BTreeMap<String, String>,
    /// The segments whose lists are all there is, with the types of messages (`ADT^A08`) in which an
    /// absent one means that there is none.
    pub snapshots: BTreeMap<String, Vec<String>>,
    /// The segments whose lists are declared to say nothing of what they do not have.
    pub deltas: BTreeSet<String>,
    /// What becomes of its messages about patients whom nobody has registered.
    pub unknown_patient: UnknownPatient,
}

/// What becomes of a message about a patient whom nobody has registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownPatient {
    /// It goes on with a finding, and the patient is known from then on.
    #[default]
    Create,
    /// It waits until the patient is registered or a person decides.
    Hold,
    /// It waits so long for the registration, and then goes on with a finding.
    Wait(Millis),
}

/// The sign that a system writes between whole and fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalSign {
    /// `4.1`, and `1,000` or `1 000` for a thousand.
    Point,
    /// `4,1`, and `1.000` or `1 000` for a thousand.
    Comma,
}

/// How a system names itself in HL7 v2; what is absent fits anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendsAs {
    /// MSH-3.1.
    pub application: Option<String>,
    /// MSH-4.1.
    pub facility: Option<String>,
}

/// An assigning authority as a system writes it, and what its identifiers are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority {
    /// The authority as messages write it (CX-4.1).
    pub name: String,
    /// Its object identifier.
    pub oid: Option<String>,
    /// Its URI in FHIR.
    pub uri: Option<String>,
    /// The type of its identifiers (table 0203).
    pub kind: Option<String>,
}

/// What a component is built with.
#[derive(Clone, Copy)]
pub struct BuildContext<'a> {
    /// The channel it belongs to.
    pub channel: &'a str,
    /// The destination's name, for destinations and their steps.
    pub destination: Option<&'a str>,
    /// The format of the channel's messages at this point.
    pub format: &'a Arc<dyn Format>,
    /// Where replies are worked on: the format of the messages that ask.
    pub original: Option<&'a Arc<dyn Format>>,
    /// The site's folder.
    pub site: &'a dyn Site,
    /// The system that the channel's source names.
    pub sender: Option<&'a str>,
    /// The names of the channel's destinations, for `route`.
    pub destinations: &'a [String],
}

impl BuildContext<'_> {
    /// Compiles an expression in the dialect of the channel's format; `key` is its place in the
    /// component's configuration.
    pub fn rule(&self, key: &[&str], text: &str) -> Result<Rule, Problem> {
        let original = self.original.map(|format| &**format);
        Rule::of_reply(text, self.format.dialect(), original).map_err(|error| Problem {
            key: key.iter().map(|&part| part.to_owned()).collect(),
            span: Some(error.span.clone()),
            message: format!("not an expression: {}", error.message),
            hint: error.hint,
            elsewhere: None,
            secret: false,
        })
    }

    /// Compiles a place to write to.
    pub fn target(&self, key: &[&str], text: &str) -> Result<Target, Problem> {
        self.format
            .target(text)
            .map_err(|message| Problem::at(key, message))
    }

    /// A system by name.
    pub fn system(&self, key: &[&str], name: &str) -> Result<Arc<SystemInfo>, Problem> {
        self.site.system(name).ok_or_else(|| {
            Problem::at(key, format!("no such system `{name}`")).hint(format!(
                "known systems: {}",
                self.site.system_names().join(", ")
            ))
        })
    }

    /// The bytes of a file of the site's folder.
    pub fn file(&self, key: &[&str], path: &str) -> Result<Arc<[u8]>, Problem> {
        self.site
            .read(path)
            .map_err(|message| Problem::at(key, message))
    }
}

impl fmt::Debug for BuildContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuildContext({})", self.channel)
    }
}

/// Something wrong in a component's configuration, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The keys that lead to the place, from the component's own configuration; list items by
    /// their index.
    pub key: Vec<String>,
    /// Where in the value's text, as a range of bytes.
    pub span: Option<std::ops::Range<usize>>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// The place is in another file than that of the component's configuration.
    pub elsewhere: Option<Box<Elsewhere>>,
    /// A secret stands there in clear text, so the text of the place is not shown.
    pub secret: bool,
}

/// The file of a problem that is not in the component's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// The keys lead into the file of this system.
    System(String),
    /// A file of the site's folder that is no configuration (a map, a table); the keys lead to
    /// what names it.
    File {
        /// Its path from the site's folder.
        path: String,
        /// First byte and byte after the last.
        range: std::ops::Range<usize>,
    },
}

impl Problem {
    /// A problem at a key.
    pub fn at(key: &[&str], message: impl Into<String>) -> Self {
        Self {
            key: key.iter().map(|&part| part.to_owned()).collect(),
            span: None,
            message: message.into(),
            hint: None,
            elsewhere: None,
            secret: false,
        }
    }

    /// About a secret that stands in clear text.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// The same problem, at a place in a file that the configuration names.
    #[must_use]
    pub fn in_file(mut self, path: impl Into<String>, range: std::ops::Range<usize>) -> Self {
        let path = path.into();
        self.elsewhere = Some(Box::new(Elsewhere::File { path, range }));
        self
    }

    /// The same problem, at a place in the file of a system.
    #[must_use]
    pub fn in_system(mut self, system: impl Into<String>, key: &[&str]) -> Self {
        self.key = key.iter().map(|&part| part.to_owned()).collect();
        self.elsewhere = Some(Box::new(Elsewhere::System(system.into())));
        self
    }

    /// With what to write instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
