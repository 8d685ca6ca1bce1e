//! Arguments of the commands that work on a site's folder or on files, without a running node.

use std::path::PathBuf;

use clap::Args;
use hilum_net::HostPort;

use super::SiteArgs;

/// `hilum init`
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder; made if it is not there, and left alone if it holds anything
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

/// `hilum test`
#[derive(Debug, Args)]
pub(crate) struct Test {
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    /// Only tests whose file, channel or sentence contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Option<String>,
    /// Writes the results as JUnit XML too, for build servers
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Shows which steps, destinations and rows of tables no test reaches
    #[arg(long)]
    pub(crate) coverage: bool,
    /// The folder given to `hilum run --data`, whose code systems the steps see
    #[arg(long, value_name = "FOLDER", env = "HILUM_DATA")]
    pub(crate) data: Option<PathBuf>,
}

/// `hilum inspect`
///
/// Ends with 0 also for what is no message: seeing that is what was asked.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Files with a message or several
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// `hilum explain`
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The code; all codes are listed without it
    #[arg(value_name = "CODE")]
    pub(crate) code: Option<String>,
}

/// `hilum impact`
#[derive(Debug, Args)]
pub(crate) struct Impact {
    /// The system that is to change
    #[arg(value_name = "SYSTEM")]
    pub(crate) system: String,
    #[command(flatten)]
    pub(crate) site: SiteArgs,
}

/// `hilum docs`
#[derive(Debug, Args)]
pub(crate) struct Docs {
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    /// The folder to write into; made if it is not there
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
}

/// `hilum schema`
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Only the schema of this kind of file
    #[arg(long, value_name = "KIND", value_parser = ["site", "system", "channel", "test", "alerts", "environment"])]
    pub(crate) file: Option<String>,
    /// Writes each schema to a file in this folder instead
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
}

/// `hilum doctor`
///
/// Ends with 0 if all is well, 1 if something is to be watched, 2 if something is to be mended.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    /// The folder given to `hilum run --data`
    #[arg(long, value_name = "FOLDER", env = "HILUM_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Also goes to every destination (TCP, TLS, log-in), sending nothing
    #[arg(long)]
    pub(crate) connect: bool,
    /// Where the node's management API listens, if not where the site says
    #[arg(long, value_name = "HOST:PORT", env = "HILUM_AT")]
    pub(crate) at: Option<HostPort>,
}
