//! What can go wrong with a socket, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::AddressError;

/// What was attempted and failed. Nothing of a message was sent when a connect failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The text is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The listener could not be bound.
    #[error("listen on {address}")]
    Listen {
        /// The address as configured.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The host is not known.
    #[error("resolve the host of {address}")]
    Resolve {
        /// The address as configured.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody answered the connect in time.
    #[error("connect to {address} timed out after {} s", seconds(.within))]
    ConnectTimeout {
        /// The address as configured.
        address: String,
        /// The time it had.
        within: Duration,
    },
    /// The connect failed.
    #[error("connect to {address}")]
    Connect {
        /// The address as configured.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The TLS handshake did not end in time.
    #[error("TLS handshake with {peer} timed out after {} s", seconds(.within))]
    HandshakeTimeout {
        /// The peer.
        peer: String,
        /// The time it had.
        within: Duration,
    },
    /// The TLS handshake failed.
    #[error("TLS handshake with {peer}")]
    Handshake {
        /// The peer.
        peer: String,
        /// What the TLS library said.
        source: io::Error,
    },
    /// The name cannot be verified by TLS.
    #[error("`{name}` is no server name for TLS")]
    ServerName {
        /// The name.
        name: String,
    },
    /// A file of certificates or keys cannot be used.
    #[error("use {} for TLS: {reason}", .path.display())]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, without its content.
        reason: String,
    },
    /// The settings of TLS do not fit together.
    #[error("set up TLS")]
    TlsSetup {
        /// What the TLS library said.
        source: rustls::Error,
    },
}

impl NetError {
    /// A stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Address(_) | Self::ServerName { .. } => "address",
            Self::Listen { .. } => "listen",
            Self::Resolve { .. } => "resolve",
            Self::ConnectTimeout { .. } => "connect-timeout",
            Self::Connect { source, .. } => match source.kind() {
                io::ErrorKind::ConnectionRefused => "connect-refused",
                _ => "connect",
            },
            Self::HandshakeTimeout { .. } => "tls-timeout",
            Self::Handshake { source, .. } => match tls_fault(source) {
                TlsFault::TheirCertificate => "tls-certificate",
                TlsFault::OurCertificate => "tls-certificate-refused",
                TlsFault::NoTls | TlsFault::Other => "tls",
            },
            Self::TlsFile { .. } | Self::TlsSetup { .. } => "tls-files",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Listen { address, source } => listen_hint(address, source),
            Self::Resolve { .. } => {
                Some("check the name, and the name servers of this machine".to_owned())
            }
            Self::ConnectTimeout { .. } => Some(
                "no answer at all: check the address, routes and firewalls; `connect-within` sets the time"
                    .to_owned(),
            ),
            Self::Connect { source, .. } => match source.kind() {
                io::ErrorKind::ConnectionRefused => Some(
                    "the machine answers but nothing listens there: check the port, and that the peer runs"
                        .to_owned(),
                ),
                _ => None,
            },
            Self::HandshakeTimeout { .. } => {
                Some("the peer may not speak TLS on this port".to_owned())
            }
            Self::Handshake { source, .. } => match tls_fault(source) {
                TlsFault::TheirCertificate => Some(
                    "the peer's certificate is not accepted: check `ca`, `server-name` and its dates"
                        .to_owned(),
                ),
                TlsFault::OurCertificate => Some(
                    "the peer refuses our certificate: check `certificate` and `key`, and what it trusts"
                        .to_owned(),
                ),
                TlsFault::NoTls => Some("the peer does not speak TLS on this port".to_owned()),
                TlsFault::Other => None,
            },
            Self::Address(_) | Self::ServerName { .. } | Self::TlsFile { .. } | Self::TlsSetup { .. } => {
                None
            }
        }
    }

    /// The text with that of its source, in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        match self {
            Self::Listen { source, .. }
            | Self::Resolve { source, .. }
            | Self::Connect { source, .. }
            | Self::Handshake { source, .. } => format!("{self}: {}", io_reason(source)),
            Self::TlsSetup { source } => format!("{self}: {source}"),
            Self::Address(_)
            | Self::ConnectTimeout { .. }
            | Self::HandshakeTimeout { .. }
            | Self::ServerName { .. }
            | Self::TlsFile { .. } => self.to_string(),
        }
    }
}

fn listen_hint(address: &str, source: &io::Error) -> Option<String> {
    let port = address.rsplit(':').next().unwrap_or_default();
    match source.kind() {
        io::ErrorKind::AddrInUse => Some(format!(
            "another program listens there (`ss -ltnp 'sport = :{port}'` names it): stop it, or choose another port"
        )),
        io::ErrorKind::PermissionDenied => Some(
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE, or choose a higher port".to_owned(),
        ),
        io::ErrorKind::AddrNotAvailable => Some(
            "this machine has no such address (`ip address` lists them); 0.0.0.0 listens on all of them"
                .to_owned(),
        ),
        _ => None,
    }
}

enum TlsFault {
    TheirCertificate,
    OurCertificate,
    NoTls,
    Other,
}

fn tls_fault(source: &io::Error) -> TlsFault {
    use rustls::AlertDescription as Alert;
    match source
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            TlsFault::TheirCertificate
        }
        Some(rustls::Error::AlertReceived(
            Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateRequired
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::AccessDenied,
        )) => TlsFault::OurCertificate,
        Some(rustls::Error::InvalidMessage(_)) => TlsFault::NoTls,
        _ => TlsFault::Other,
    }
}

/// A short reason for an error of an open connection, without numbers of the system.
#[must_use]
pub fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused".to_owned(),
        io::ErrorKind::ConnectionReset => "reset by the peer".to_owned(),
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::UnexpectedEof => "closed by the peer".to_owned(),
        io::ErrorKind::TimedOut => "timed out".to_owned(),
        io::ErrorKind::AddrInUse => "the address is in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "the address is not one of this machine".to_owned(),
        io::ErrorKind::PermissionDenied => "not permitted".to_owned(),
        io::ErrorKind::HostUnreachable => "the host is unreachable".to_owned(),
        io::ErrorKind::NetworkUnreachable => "the network is unreachable".to_owned(),
        _ => error.to_string(),
    }
}

/// A stable code for an error of an open connection.
#[must_use]
pub fn io_code(error: &io::Error) -> &'static str {
    // In TLS 1.3 a peer may refuse our certificate after the handshake.
    if let TlsFault::OurCertificate = tls_fault(error) {
        return "tls-certificate-refused";
    }
    match error.kind() {
        io::ErrorKind::ConnectionReset => "connection-reset",
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::UnexpectedEof => "connection-closed",
        io::ErrorKind::TimedOut => "connection-timeout",
        _ => "connection",
    }
}

fn seconds(duration: &Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds.fract() == 0.0 {
        format!("{seconds:.0}")
    } else {
        format!("{seconds:.3}")
    }
}
