//! Arguments of the commands about which numbers of patients belong together.

use clap::{Args, Subcommand};

use super::node::{Node, OfMessage};

/// `hilum identity`
///
/// Merges, moves and links of a channel with the step `match` change which numbers belong together,
/// and never what a record says. Each of them can be taken back.
#[derive(Debug, Args)]
pub(crate) struct Identity {
    #[command(subcommand)]
    pub(crate) command: IdentityCommand,
}

/// What can be done about identity.
#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// Shows what a patient's number belongs to, and the events that changed that
    Show(ShowIdentity),
    /// Takes a merge, a move or a link back
    Undo(UndoLinks),
}

/// Who assigned a number, and what it is.
#[derive(Debug, Args)]
pub(crate) struct Assigned {
    /// Who assigned it, as the file of its system names it
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(crate) authority: String,
    /// Its type (table 0203), such as MR
    #[arg(long = "type", value_name = "TYPE", default_value = "")]
    pub(crate) kind: String,
}

/// `hilum identity show`
#[derive(Debug, Args)]
pub(crate) struct ShowIdentity {
    /// The number (CX-1)
    #[arg(value_name = "NUMBER")]
    pub(crate) number: String,
    #[command(flatten)]
    pub(crate) assigned: Assigned,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `hilum reassign`
#[derive(Debug, Args)]
pub(crate) struct Reassign {
    #[command(flatten)]
    pub(crate) of: OfMessage,
    /// The number of the patient whom it is about (CX-1)
    #[arg(long, value_name = "NUMBER", required = true)]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) assigned: Assigned,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", required = true)]
    pub(crate) reason: String,
    /// Also if a receiver has a newer state of what the message tells of; recorded with the reason
    #[arg(long)]
    pub(crate) force: bool,
}

/// `hilum identity undo`
#[derive(Debug, Args)]
pub(crate) struct UndoLinks {
    /// The event, as `hilum identity show` lists it
    #[arg(value_name = "EVENT")]
    pub(crate) event: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", required = true)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) node: Node,
}
