//! The arguments of every command; their help texts are here and nowhere else.

mod codes;
mod convert;
mod fhir;
mod help;
mod identity;
mod journal;
mod node;
mod peers;
mod site;
mod terminology;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use codes::{
    Approve, Codes, CodesCommand, CodesImpact, ForgetCodes, Retire, Sign, Suggest, Unmapped,
    VerifyInterface,
};
pub(crate) use convert::{AttachmentForm, BundleForm, Convert, ConvertForm, KeptForm};
pub(crate) use fhir::{
    Fhir, FhirCommand, FhirConvert, FhirErase, FhirExport, FhirForm, FhirImport, FhirNode,
    FhirParameters, FhirValidate,
};
pub(crate) use help::command;
pub(crate) use identity::{Identity, IdentityCommand, Reassign, ShowIdentity, UndoLinks};
pub(crate) use journal::{Backup, Compare, Db, DbCommand, DbExport, DbReindex, DbSql, Verify};
pub(crate) use node::{
    Ask, Critical, DeadLetters, Decide, Filters, Hold, Messages, OfDelivery, OfDestination,
    OfMessage, Release, Replay, Requeue, Resume, Tail, Trace, When, Withdrawals,
};
pub(crate) use peers::{Answer, Receive, ReceiveTls, Send, SendTls};
pub(crate) use site::{Docs, Doctor, Explain, Impact, Init, Inspect, Schema, Test};
pub(crate) use terminology::{
    Terminology, TerminologyCommand, TerminologyImport, TerminologyKind, TerminologyLoad,
};

/// What scripts may rely on.
const EXIT_CODES: &str = "\
Ends with 0: done; 1: a check, test, comparison or verification found something; 2: wrong arguments,
or doctor found something that has to be mended; 3: it could not be done; 4: no node answers.
Colour is used on a terminal, and never with NO_COLOR. Content of messages shows with --reveal only.";

/// hilum: every system of a hospital connects once, here.
#[derive(Debug, Parser)]
#[command(
    name = "hilum",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = EXIT_CODES
)]
pub(crate) struct Arguments {
    /// Prints one JSON value a line instead of text
    #[arg(long, global = true, display_order = 900)]
    pub(crate) json: bool,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What hilum can be asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes a folder with a small site that runs
    Init(Init),
    /// Runs a site until it is stopped (Ctrl-C or SIGTERM)
    Run(Run),
    /// Checks a site's folder and shows all problems at once
    Check(Check),
    /// Looks at everything that can be wrong with a site, its data folder and its node
    Doctor(Doctor),
    /// Runs the tests of a site: *.test.yaml
    Test(Test),
    /// Shows what the parser sees in files of HL7 v2
    Inspect(Inspect),
    /// Converts HL7 v2 to FHIR and back, and says why each element is there
    Convert(Convert),
    /// Checks and converts files of FHIR resources; brings them in and out of a node
    Fhir(Fhir),
    /// Loads code systems such as LOINC and SNOMED CT from licensed copies, and activates them
    Terminology(Terminology),
    /// Sends messages over MLLP: samples, or load
    Send(Send),
    /// Receives messages over MLLP as a simulated system, ill-behaved on request
    Receive(Receive),
    /// Shows the channels and destinations of a running node
    Status(Ask),
    /// Finds messages of a running node, newest first
    Messages(Messages),
    /// Shows messages as they arrive, until Ctrl-C
    Tail(Tail),
    /// Shows what became of a message
    Trace(Trace),
    /// Processes messages again, with today's plan unless told otherwise
    Replay(Replay),
    /// Holds a destination; what comes for it is queued
    Hold(Hold),
    /// Lets a held destination go on
    Resume(Resume),
    /// Lists the dead letters of a destination
    DeadLetters(DeadLetters),
    /// Sends dead letters again
    Requeue(Requeue),
    /// Gives up dead letters; what waits behind them goes on
    Withdraw(OfDelivery),
    /// Lists critical results, and how long each took until it was acknowledged
    Critical(Critical),
    /// Lists results that their senders take back (OBX-11 = W), and where they went
    Withdrawals(Withdrawals),
    /// Lists the messages that a step holds
    Holds(Ask),
    /// Lets a held message go on
    Release(Release),
    /// Gives a held message another patient; it goes on if it agrees with what is known of that one
    Reassign(Reassign),
    /// Ends a held message without delivering it
    Reject(Decide),
    /// Loads the folder of a running node again
    Reload(Ask),
    /// The code tables of a site: codes without a map, suggestions, approval, what a change touches
    Codes(Codes),
    /// Which numbers of patients belong together, and taking a merge back
    Identity(Identity),
    /// Reports what a laboratory sent, what each receiver got and what the store holds, to be signed
    VerifyInterface(VerifyInterface),
    /// Runs two plans over the messages of a day and shows what differs; nothing is sent
    Compare(Compare),
    /// Compares a data folder (journal and FHIR stores) with its checksums, also while a node runs on it
    Verify(Verify),
    /// Copies a data folder (journal and FHIR stores), also while a node runs on it
    Backup(Backup),
    /// Looks into the files of a journal, and mends their index
    Db(Db),
    /// Says more about the code of a problem, such as E0107
    Explain(Explain),
    /// Lists what a change of a system touches
    Impact(Impact),
    /// Writes the mapping documentation of a site
    Docs(Docs),
    /// Prints the schemas of a site's files, for editors
    Schema(Schema),
    /// Prints a completion script for a shell
    Completions(Completions),
}

/// Where a site is and which overlay applies.
#[derive(Debug, Args)]
pub(crate) struct SiteArgs {
    /// The folder with hilum.yaml
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub(crate) site: PathBuf,
    /// The overlay in environments/ to apply
    #[arg(long, short = 'e', value_name = "NAME", env = "HILUM_ENVIRONMENT")]
    pub(crate) environment: Option<String>,
}

/// `hilum run`
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    /// The folder of the journal; made if it is not there
    #[arg(long, value_name = "FOLDER", env = "HILUM_DATA")]
    pub(crate) data: PathBuf,
    /// What to log, such as info or hilum_engine=debug
    #[arg(long, value_name = "FILTER", default_value = "info", env = "HILUM_LOG")]
    pub(crate) log: String,
    /// Logs as JSON, one object a line
    #[arg(long)]
    pub(crate) log_json: bool,
    /// Reloads the folder when a file in it changes (SIGHUP always does)
    #[arg(long)]
    pub(crate) watch: bool,
}

/// `hilum check`
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    /// Does not ask for the secrets that the site refers to, which a build machine lacks
    #[arg(long)]
    pub(crate) no_secrets: bool,
    /// The folder given to `hilum run --data`, whose code systems the steps see
    #[arg(long, value_name = "FOLDER", env = "HILUM_DATA")]
    pub(crate) data: Option<PathBuf>,
}

/// `hilum completions`
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}
