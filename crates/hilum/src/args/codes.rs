//! Arguments of the commands about the code tables of a site, and of the report on an interface.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::SiteArgs;
use super::fhir::FhirNode;
use super::node::{Node, When};

/// `hilum codes`
///
/// Tables say which code of theirs is which code of ours. Their rows go from draft to reviewed,
/// approved and retired; only approved ones are used.
#[derive(Debug, Args)]
pub(crate) struct Codes {
    #[command(subcommand)]
    pub(crate) command: CodesCommand,
}

/// What can be done about codes.
#[derive(Debug, Subcommand)]
pub(crate) enum CodesCommand {
    /// Lists the codes of a running node that no table has: where from, how often, since when
    Unmapped(Unmapped),
    /// Takes codes out of that list, such as those that a table has by now
    Forget(ForgetCodes),
    /// Suggests rows for codes that no table has, by the similarity of texts; never used unapproved
    Suggest(Suggest),
    /// Notes that somebody reviewed draft rows of a table
    Review(Sign),
    /// Approves reviewed rows of a table, which are used from then on
    Approve(Approve),
    /// Retires rows of a table, which are not used any more
    Retire(Retire),
    /// Lists the past messages that another table would have translated otherwise
    Impact(CodesImpact),
}

/// `hilum codes unmapped`
#[derive(Debug, Args)]
pub(crate) struct Unmapped {
    /// Of this channel
    #[arg(long, value_name = "NAME")]
    pub(crate) channel: Option<String>,
    /// Looked for in this table, as the channel names it
    #[arg(long, value_name = "FILE")]
    pub(crate) table: Option<String>,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `hilum codes forget`
#[derive(Debug, Args)]
pub(crate) struct ForgetCodes {
    /// Of this channel
    #[arg(long, value_name = "NAME")]
    pub(crate) channel: Option<String>,
    /// Looked for in this table, as the channel names it
    #[arg(long, value_name = "FILE")]
    pub(crate) table: Option<String>,
    /// This code
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", required = true)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `hilum codes suggest`
///
/// For each code the most similar texts of --against, and of the targets that the table already
/// has, are written as draft rows. Nothing is suggested for tables of blood groups,
/// susceptibilities, units, allergies and drugs, nor for those that the site declares to be of
/// high risk.
#[derive(Debug, Args)]
pub(crate) struct Suggest {
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    /// Only for this table, as the channels name it
    #[arg(long, value_name = "FILE")]
    pub(crate) table: Option<String>,
    /// Codes to choose from: CSV with the columns code, display and perhaps system, a code table
    /// (its targets), or a CodeSystem in JSON; or a code system that is loaded (--data) or ships, by
    /// its name in HL7 v2 (LN, loinc), its URL or the id of its load; may be given several times
    #[arg(long, value_name = "FILE|SYSTEM")]
    pub(crate) against: Vec<PathBuf>,
    /// The folder given to `hilum run --data`, whose code systems --against may name
    #[arg(long, value_name = "FOLDER", env = "HILUM_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// The codes without a map, as `hilum codes unmapped --json` printed them, instead of asking
    /// the node
    #[arg(long, value_name = "FILE")]
    pub(crate) unmapped: Option<PathBuf>,
    /// Of this channel
    #[arg(long, value_name = "NAME")]
    pub(crate) channel: Option<String>,
    /// How many for each code
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub(crate) limit: u8,
    /// Adds the rows to the table instead of printing them
    #[arg(long, requires = "table")]
    pub(crate) append: bool,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// Which rows of which table, and who.
#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The table's file
    #[arg(value_name = "TABLE")]
    pub(crate) table: PathBuf,
    /// The code of the source; may be given several times
    #[arg(long, value_name = "CODE", required = true)]
    pub(crate) code: Vec<String>,
    /// Its code system, where several have the code
    #[arg(long, value_name = "SYSTEM")]
    pub(crate) source: Option<String>,
    /// The code of the target, where several rows have the code
    #[arg(long, value_name = "CODE")]
    pub(crate) target: Option<String>,
    /// The name of whoever decides
    #[arg(long, value_name = "NAME", required = true)]
    pub(crate) by: String,
    /// The day of the decision; today (of UTC) without it
    #[arg(long, value_name = "DAY")]
    pub(crate) on: Option<String>,
    /// The folder with hilum.yaml, which says where the table is used; the one above the table
    /// without it
    #[arg(long, value_name = "FOLDER")]
    pub(crate) site: Option<PathBuf>,
}

/// `hilum codes approve`
///
/// In a table of high risk two different people are needed: who approves a row must not be the
/// only one who made and reviewed it.
#[derive(Debug, Args)]
pub(crate) struct Approve {
    #[command(flatten)]
    pub(crate) sign: Sign,
    /// The first day on which the rows count
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Option<String>,
}

/// `hilum codes retire`
#[derive(Debug, Args)]
pub(crate) struct Retire {
    #[command(flatten)]
    pub(crate) sign: Sign,
    /// The last day on which the rows count; they stay approved and end with it
    #[arg(long, value_name = "DAY")]
    pub(crate) until: Option<String>,
}

/// `hilum codes impact`
///
/// Both tables translate the same received messages as they would have on arrival; nothing is sent
/// or stored. Ends with 1 if a message would have been translated otherwise.
#[derive(Debug, Args)]
pub(crate) struct CodesImpact {
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    /// The table, as the channels name it
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) table: String,
    /// The table as it was: a file, such as one that `git show REVISION:FILE` wrote; without it
    /// each message has the plan that processed it
    #[arg(long, value_name = "FILE")]
    pub(crate) old: Option<PathBuf>,
    /// Over the messages of this channel only; every one that uses the table without it
    #[arg(long, value_name = "NAME")]
    pub(crate) channel: Option<String>,
    #[command(flatten)]
    pub(crate) when: When,
    /// Shows source codes that look like identifiers or texts, which may be patient data
    #[arg(long)]
    pub(crate) reveal: bool,
    /// The folder of a node that is stopped; the node that runs at --at without it
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `hilum verify-interface`
///
/// A report to be signed: for each test code what the laboratory sent, what each receiver got and
/// what the FHIR store holds, side by side. Use test patients. Ends with 1 if something differs.
#[derive(Debug, Args)]
pub(crate) struct VerifyInterface {
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    /// The channel of the results
    #[arg(long, value_name = "NAME", required = true)]
    pub(crate) channel: String,
    /// Files with messages, which are processed as they would be on arrival and not sent; messages
    /// that a node has received without it
    #[arg(long, value_name = "FILE")]
    pub(crate) sample: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) when: When,
    /// How many results of each test are shown, the newest first
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) each: u16,
    /// The form of the report
    #[arg(long, value_name = "FORM", default_value = "markdown", value_parser = ["markdown", "html"])]
    pub(crate) form: String,
    /// Writes the report to this file instead
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The name of whoever reviews it
    #[arg(long, value_name = "NAME")]
    pub(crate) reviewer: Option<String>,
    /// Shows texts, values, ranges and flags, which belong to a patient
    #[arg(long)]
    pub(crate) reveal: bool,
    #[command(flatten)]
    pub(crate) fhir: FhirNode,
}
