//! Arguments of the commands that ask a running node.

use clap::Args;
use hilum_component::Millis;
use hilum_net::HostPort;

/// Which node is asked.
#[derive(Debug, Args)]
pub(crate) struct Node {
    /// Where the node's management API listens
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:26600",
        env = "HILUM_AT"
    )]
    pub(crate) at: HostPort,
}

/// A command that only names a node.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    #[command(flatten)]
    pub(crate) node: Node,
}

/// A command on a message.
#[derive(Debug, Args)]
pub(crate) struct OfMessage {
    /// The message's id
    #[arg(value_name = "MESSAGE")]
    pub(crate) message: String,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `hilum trace`
#[derive(Debug, Args)]
pub(crate) struct Trace {
    #[command(flatten)]
    pub(crate) of: OfMessage,
    /// Shows the message as received, which holds patient data
    #[arg(long)]
    pub(crate) reveal: bool,
}

/// `hilum replay`
#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) of: OfMessage,
    /// Only to these destinations, behind all that waits there
    #[arg(long, value_name = "DESTINATION", num_args = 1..)]
    pub(crate) to: Vec<String>,
    /// With this plan: current, old (the one that processed the message), or a digest
    #[arg(long, value_name = "PLAN", default_value = "current")]
    pub(crate) plan: String,
}

/// A decision about a held message.
#[derive(Debug, Args)]
pub(crate) struct Decide {
    #[command(flatten)]
    pub(crate) of: OfMessage,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", required = true)]
    pub(crate) reason: String,
}

/// A command on a destination.
#[derive(Debug, Args)]
pub(crate) struct OfDestination {
    /// The channel
    #[arg(value_name = "CHANNEL")]
    pub(crate) channel: String,
    /// Its destination
    #[arg(value_name = "DESTINATION")]
    pub(crate) destination: String,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `hilum hold`
#[derive(Debug, Args)]
pub(crate) struct Hold {
    #[command(flatten)]
    pub(crate) of: OfDestination,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", required = true)]
    pub(crate) reason: String,
}

/// `hilum resume`
#[derive(Debug, Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    pub(crate) of: OfDestination,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "resumed")]
    pub(crate) reason: String,
}

/// A command on a delivery.
#[derive(Debug, Args)]
pub(crate) struct OfDelivery {
    /// The delivery's id, as `hilum trace` shows it
    #[arg(value_name = "DELIVERY")]
    pub(crate) delivery: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", required = true)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// What messages are looked for; all conditions have to hold.
#[derive(Debug, Args)]
pub(crate) struct Filters {
    /// Of this channel
    #[arg(long, value_name = "NAME")]
    pub(crate) channel: Option<String>,
    /// What was decided about it
    #[arg(long, value_name = "WORD", value_parser = ["accepted", "filtered", "refused", "rejected", "held", "received", "suppressed"])]
    pub(crate) disposition: Option<String>,
    /// It has a delivery in this state
    #[arg(long, value_name = "WORD", value_parser = ["pending", "delivered", "dead-letter", "withdrawn"])]
    pub(crate) delivery: Option<String>,
    /// With this control id
    #[arg(long, value_name = "ID")]
    pub(crate) control_id: Option<String>,
    /// Of this type, such as ADT^A01
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    /// Of the patient with this identifier
    #[arg(long, value_name = "ID")]
    pub(crate) patient: Option<String>,
    /// With a finding of this code, such as unmapped or control-id-reused
    #[arg(long, value_name = "CODE")]
    pub(crate) finding: Option<String>,
    /// With this value in a field that the channel declares in `index:`
    #[arg(long, value_name = "FIELD=VALUE", value_parser = pair)]
    pub(crate) field: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `hilum messages`
#[derive(Debug, Args)]
pub(crate) struct Messages {
    #[command(flatten)]
    pub(crate) filters: Filters,
    /// Arrived within this time, such as 2h
    #[arg(long, value_name = "TIME", value_parser = Millis::parse)]
    pub(crate) since: Option<Millis>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// Older than this sequence, as the page before says
    #[arg(long, value_name = "SEQUENCE")]
    pub(crate) before: Option<u64>,
}

/// `hilum tail`
#[derive(Debug, Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) filters: Filters,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| "expected FIELD=VALUE".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}
