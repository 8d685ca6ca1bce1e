//! Arguments of the commands that work on a data folder.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hilum_net::HostPort;

/// `hilum verify`
///
/// Looks at the journal and at the stores of the FHIR server; at those in PostgreSQL only where a
/// running node is asked. Ends with 1 if something is not as it was written.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The folder given to `hilum run --data`; the node that runs at --at without it
    #[arg(value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) node: super::node::Node,
}

/// `hilum backup`
///
/// What a FHIR server keeps in PostgreSQL is not in the copy; a running node says what copies it.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The folder given to `hilum run --data`; the node that runs at --at without it
    #[arg(value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// Where the copy goes, on the machine of the node; made if it is not there
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) node: super::node::Node,
}

/// `hilum db`
///
/// The files are SQLite databases. Read them with this, or with other programs in read-only mode
/// (`sqlite3 'file:journal-….db?mode=ro'`); never write to them with anything else.
#[derive(Debug, Args)]
pub(crate) struct Db {
    #[command(subcommand)]
    pub(crate) what: DbCommand,
}

/// What is done with the files.
#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Lists the files with what lies in them; a node may run on the folder
    List(DbFolder),
    /// Runs a reading SQL statement; a node may run on the folder
    Sql(DbSql),
    /// Moves the logs into the files while no node runs, so that they can be copied one by one
    Checkpoint(DbFolder),
    /// Builds the search index anew while no node runs
    Reindex(DbReindex),
    /// Writes messages as JSON, one a line; content only with --reveal
    Export(DbExport),
}

/// A data folder.
#[derive(Debug, Args)]
pub(crate) struct DbFolder {
    /// The folder given to `hilum run --data`
    #[arg(value_name = "FOLDER", env = "HILUM_DATA")]
    pub(crate) data: PathBuf,
}

/// `hilum db sql`
#[derive(Debug, Args)]
pub(crate) struct DbSql {
    #[command(flatten)]
    pub(crate) folder: DbFolder,
    /// The statement, such as "SELECT disposition, count(*) FROM messages GROUP BY 1"; beside the
    /// tables there are the views messages, deliveries and attempts
    #[arg(value_name = "SQL")]
    pub(crate) statement: String,
    /// The file, such as journal-20261120-0 or control; the newest partition without it
    #[arg(long, value_name = "NAME")]
    pub(crate) file: Option<String>,
    /// How many rows at most
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) limit: usize,
    /// Shows columns with content, which hold patient data
    #[arg(long)]
    pub(crate) reveal: bool,
}

/// `hilum db reindex`
#[derive(Debug, Args)]
pub(crate) struct DbReindex {
    #[command(flatten)]
    pub(crate) folder: DbFolder,
    /// Only this partition, such as journal-20261120-0
    #[arg(value_name = "PARTITION")]
    pub(crate) partition: Option<String>,
}

/// `hilum db export`
#[derive(Debug, Args)]
pub(crate) struct DbExport {
    /// The folder of a node that is stopped; the node that runs at --at without it
    #[arg(value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// Only of this channel
    #[arg(long, value_name = "NAME")]
    pub(crate) channel: Option<String>,
    /// The UTC day, such as 2026-11-20 or today
    #[arg(long, value_name = "DAY", default_value = "today")]
    pub(crate) day: String,
    /// Adds the message as received, which holds patient data
    #[arg(long)]
    pub(crate) reveal: bool,
    #[command(flatten)]
    pub(crate) node: super::node::Node,
}

/// `hilum compare`
///
/// Nothing is sent or stored. State that steps keep begins empty for both plans. Ends with 1 if
/// there are differences.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Two plans: each the folder of a site, or the digest of a plan that is kept in --data
    #[arg(long, value_name = "PLAN", num_args = 1, required = true)]
    pub(crate) plan: Vec<String>,
    /// Over the messages of this channel on this UTC day, such as lab-results,2026-11-20
    #[arg(long, value_name = "CHANNEL,DAY", value_parser = on)]
    pub(crate) on: (String, String),
    /// The overlay in environments/ to apply to both
    #[arg(long, short = 'e', value_name = "NAME", env = "HILUM_ENVIRONMENT")]
    pub(crate) environment: Option<String>,
    /// The folder of a node that is stopped; the node that runs at --at without it
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// Shows what the values are, which holds patient data
    #[arg(long)]
    pub(crate) reveal: bool,
    /// Where the node's management API listens
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:26600",
        env = "HILUM_AT"
    )]
    pub(crate) at: HostPort,
}

fn on(text: &str) -> Result<(String, String), String> {
    let (channel, day) = text
        .split_once(',')
        .ok_or_else(|| "expected CHANNEL,DAY".to_owned())?;
    Ok((channel.to_owned(), day.to_owned()))
}
