//! Arguments of the simulated peers.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use hilum_component::Millis;
use hilum_net::HostPort;

/// `hilum send`
#[derive(Debug, Args)]
pub(crate) struct Send {
    /// Where to, such as mllp://127.0.0.1:2575, or mllps:// with TLS
    #[arg(value_name = "mllp://HOST:PORT", value_parser = place)]
    pub(crate) to: Place,
    #[command(flatten)]
    pub(crate) tls: SendTls,
    /// Files with a message or several; with --count and no file, synthetic ones are made
    #[arg(value_name = "FILE", required_unless_present = "count")]
    pub(crate) files: Vec<PathBuf>,
    /// Sends this many messages in all, each with a control id of its own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Connections that send at the same time (with --count)
    #[arg(long, value_name = "N", default_value_t = 1, requires = "count", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) connections: u16,
    /// Messages a second in all; as fast as answers come without it (with --count)
    #[arg(long, value_name = "N", requires = "count", value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// How long to wait for an answer
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) answer_within: Duration,
    /// Sends the files byte for byte; else line ends of an editor become those of HL7
    #[arg(long)]
    pub(crate) as_is: bool,
    /// Shows the answers, which may hold patient data
    #[arg(long)]
    pub(crate) reveal: bool,
}

/// `hilum receive`
#[derive(Debug, Args)]
pub(crate) struct Receive {
    /// Where to listen, such as mllp://127.0.0.1:2576, or mllps:// with TLS
    #[arg(value_name = "mllp://HOST:PORT", value_parser = place)]
    pub(crate) at: Place,
    #[command(flatten)]
    pub(crate) tls: ReceiveTls,
    /// What it does with a message
    #[arg(long, value_enum, default_value_t = Answer::Aa)]
    pub(crate) answer: Answer,
    /// How long it takes before it answers
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = duration)]
    pub(crate) delay: Duration,
    /// Answers every n-th message with AE
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) ae_every: Option<u64>,
    /// Answers every n-th message with AR
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) ar_every: Option<u64>,
    /// Is down for this long, after the messages of --down-after
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) down_for: Option<Duration>,
    /// How many messages it takes before it goes down, once
    #[arg(long, value_name = "N", default_value_t = 1, requires = "down_for")]
    pub(crate) down_after: u64,
    /// Ends after this many messages instead of at Ctrl-C
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Shows the messages whole, which hold patient data
    #[arg(long)]
    pub(crate) reveal: bool,
}

/// What a simulated receiver does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Answer {
    /// Takes it
    Aa,
    /// Answers with an error
    Ae,
    /// Rejects it
    Ar,
    /// Says yes to another control id
    WrongId,
    /// Never answers
    Nothing,
    /// Closes the connection
    Close,
    /// Resets the connection
    Reset,
}

/// An address, and whether TLS is spoken there.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) address: HostPort,
    pub(crate) tls: bool,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "mllps" } else { "mllp" };
        write!(f, "{scheme}://{}", self.address)
    }
}

/// TLS of `hilum send`; the receiver's certificate is always verified.
#[derive(Clone, Debug, Args)]
pub(crate) struct SendTls {
    /// Speaks TLS, as mllps:// does
    #[arg(long)]
    pub(crate) tls: bool,
    /// The authorities (PEM) that the receiver's certificate must come from; those of the
    /// operating system without it
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Our certificate (PEM), for receivers that ask for one
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// The name in the receiver's certificate, where it is not the host
    #[arg(long, value_name = "NAME")]
    pub(crate) server_name: Option<String>,
}

/// TLS of `hilum receive`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReceiveTls {
    /// Speaks TLS, as mllps:// does
    #[arg(long)]
    pub(crate) tls: bool,
    /// Our certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// The authorities (PEM) that certificates of senders must come from; none are asked for
    /// without it
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

fn place(text: &str) -> Result<Place, String> {
    let plain = text.strip_prefix("mllp://").map(|rest| (rest, false));
    let found = plain.or_else(|| text.strip_prefix("mllps://").map(|rest| (rest, true)));
    let Some((address, tls)) = found else {
        return Err("expected mllp://host:port or mllps://host:port".to_owned());
    };
    let address = HostPort::listen(address.trim_end_matches('/'));
    let address = address.map_err(|error| error.to_string())?;
    Ok(Place { address, tls })
}

fn duration(text: &str) -> Result<Duration, String> {
    Millis::parse(text).map(Millis::duration)
}

fn rate(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if number.is_finite() && number > 0.0 {
        Ok(number)
    } else {
        Err("expected a number above 0".to_owned())
    }
}
