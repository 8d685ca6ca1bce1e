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
        display_order = 800,
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
    /// The ids of messages; without any, those that the conditions find, oldest first
    #[arg(value_name = "MESSAGE")]
    pub(crate) messages: Vec<String>,
    #[command(flatten)]
    pub(crate) filters: Filters,
    #[command(flatten)]
    pub(crate) when: When,
    /// Only to this destination, behind all that waits there; may be given several times
    #[arg(long, value_name = "DESTINATION")]
    pub(crate) to: Vec<String>,
    /// With this plan: current, old (the one that processed the message), or a digest
    #[arg(long, value_name = "PLAN", default_value = "current")]
    pub(crate) plan: String,
    /// Also if a receiver has a newer state of what the message tells of; needs a reason
    #[arg(long, requires = "reason")]
    pub(crate) force: bool,
    /// Why, for the record of what is forced
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Does it; what the conditions find is only listed without it
    #[arg(long, conflicts_with = "messages")]
    pub(crate) yes: bool,
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

/// `hilum release`
#[derive(Debug, Args)]
pub(crate) struct Release {
    #[command(flatten)]
    pub(crate) decide: Decide,
    /// Also if a receiver has a newer state of what the message tells of; recorded with the reason
    #[arg(long)]
    pub(crate) force: bool,
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

/// `hilum dead-letters`
#[derive(Debug, Args)]
pub(crate) struct DeadLetters {
    #[command(flatten)]
    pub(crate) of: OfDestination,
    /// How many at most, oldest first
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
}

/// `hilum critical`
///
/// A critical result (OBX-8 is HH, LL or AA, or its order is STAT) is to be acknowledged by its receiver
/// within `critical-within`, else someone is told on `hilum.alerts`.
#[derive(Debug, Args)]
pub(crate) struct Critical {
    /// Only those that are not acknowledged
    #[arg(long)]
    pub(crate) open: bool,
    /// How many at most, newest first
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `hilum withdrawals`
///
/// A result that is sent as OBX-11 = W was wrong, as for the wrong patient. Whoever was sent it has to get
/// the withdrawal too; where a filter or route withholds it, somebody is told on `hilum.alerts`.
#[derive(Debug, Args)]
pub(crate) struct Withdrawals {
    /// A message that withdraws results: lists every delivery of them
    #[arg(value_name = "MESSAGE")]
    pub(crate) message: Option<String>,
    /// How many messages at most, newest first
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
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

/// A command on deliveries.
#[derive(Debug, Args)]
pub(crate) struct OfDelivery {
    /// The ids of deliveries, as `hilum trace` and `hilum dead-letters` show them
    #[arg(value_name = "DELIVERY", required = true)]
    pub(crate) deliveries: Vec<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", required = true)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `hilum requeue`
///
/// A dead letter whose receiver has got a newer state since is refused: of several, the others are sent.
#[derive(Debug, Args)]
pub(crate) struct Requeue {
    #[command(flatten)]
    pub(crate) of: OfDelivery,
    /// Also if a receiver has a newer state of what the message tells of; recorded with the reason
    #[arg(long)]
    pub(crate) force: bool,
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

/// When messages arrived.
#[derive(Debug, Args)]
pub(crate) struct When {
    /// Arrived since: a time ago such as 2h, a clock time of today such as 02:30, a day, or a day
    /// with a time such as 2026-11-20T02:30
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<u64>,
    /// Arrived before
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<u64>,
}

/// `hilum messages`
#[derive(Debug, Args)]
pub(crate) struct Messages {
    #[command(flatten)]
    pub(crate) filters: Filters,
    #[command(flatten)]
    pub(crate) when: When,
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

/// Unix milliseconds of a point in time, in the zone of whoever writes it.
fn moment(text: &str) -> Result<u64, String> {
    let now = jiff::Zoned::now();
    let local = |at: jiff::civil::DateTime| at.to_zoned(now.time_zone().clone()).ok();
    let ago = Millis::parse(text).ok().and_then(|ago| {
        let span = jiff::SignedDuration::from_millis(i64::try_from(ago.0).ok()?);
        now.timestamp().checked_sub(span).ok()
    });
    let exact = || text.parse::<jiff::Timestamp>().ok();
    let time = || {
        text.parse()
            .ok()
            .and_then(|time| local(now.date().to_datetime(time)))
    };
    let day = || text.parse().ok().and_then(local);
    let at = ago
        .or_else(exact)
        .or_else(|| day().or_else(time).map(|at| at.timestamp()));
    at.and_then(|at| u64::try_from(at.as_millisecond()).ok())
        .ok_or_else(|| {
            "expected a time such as 2h, 02:30, 2026-11-20 or 2026-11-20T02:30".to_owned()
        })
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| "expected FIELD=VALUE".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_ago_a_clock_time_a_day_or_both() {
        let ago = moment("2h").unwrap();
        // Read after it, so that a millisecond in between does not count against it.
        let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap();
        assert!(now - ago >= 7_200_000 && now - ago < 7_210_000);
        assert_eq!(moment("2026-01-02T03:04:05Z"), Ok(1_767_323_045_000));
        let day = moment("2026-01-02").unwrap();
        assert_eq!(moment("2026-01-02T02:30").unwrap() - day, 9_000_000);
        assert_eq!(
            moment("02:30").unwrap() - moment("00:00").unwrap(),
            9_000_000
        );
        for wrong in ["", "yesterday", "25:00", "2026-02-30", "2 parsecs"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
