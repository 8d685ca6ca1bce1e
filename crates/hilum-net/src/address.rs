//! Addresses as people write them: `host:port`, `[v6]:port`, and for listeners a bare port.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The host of a listener that names none.
pub const LOOPBACK: &str = "127.0.0.1";

/// A host (name or address) and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port; 0 lets the system choose one for a listener.
    pub port: u16,
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no address: {reason}")]
pub struct AddressError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl HostPort {
    /// The address of a listener: a bare port (`2575` or `:2575`) means loopback.
    pub fn listen(text: &str) -> Result<Self, AddressError> {
        let bare = text.strip_prefix(':').unwrap_or(text);
        if !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit()) {
            let port = bare
                .parse()
                .map_err(|_| error(text, "the port is not in 0 to 65535"))?;
            return Ok(Self {
                host: LOOPBACK.to_owned(),
                port,
            });
        }
        text.parse()
    }

    /// The host if it is an address and not a name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl FromStr for HostPort {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| error(text, "expected host:port, such as lab-2:2575"))?;
        if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(error(text, "expected host:port, such as lab-2:2575"));
        }
        let port = port
            .parse()
            .map_err(|_| error(text, "the port is not in 0 to 65535"))?;
        let host = match host.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
            Some(Some(address)) if address.parse::<std::net::Ipv6Addr>().is_ok() => address,
            Some(_) => return Err(error(text, "brackets hold an IPv6 address")),
            None if host.contains(':') => {
                return Err(error(
                    text,
                    "an IPv6 address is written in brackets: [::1]:2575",
                ));
            }
            None => host,
        };
        let known = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || !host.chars().all(known) {
            return Err(error(
                text,
                "the host is a name or an address, without scheme and path",
            ));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn error(text: &str, reason: &'static str) -> AddressError {
    AddressError {
        text: text.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts_with_ports_and_listeners_without_hosts() {
        let check = |text: &str, expected: &str| {
            assert_eq!(
                HostPort::listen(text).map(|a| a.to_string()),
                Ok(expected.to_owned())
            );
        };
        check("2575", "127.0.0.1:2575");
        check(":2575", "127.0.0.1:2575");
        check("0.0.0.0:2575", "0.0.0.0:2575");
        check("[::]:0", "[::]:0");
        check(
            "lab-2.st-elsewhere.example:2575",
            "lab-2.st-elsewhere.example:2575",
        );
        assert!("2575".parse::<HostPort>().is_err(), "a peer needs a host");
    }

    #[test]
    fn refuses_what_is_no_address() {
        for text in [
            "",
            ":",
            "lab",
            "lab:",
            "lab:x",
            "lab:70000",
            "99999",
            "::1:25",
            "[::1",
            "[lab]:1",
            "http://lab:80",
            "a b:1",
            "lab/x:1",
            "lab:+1",
        ] {
            assert!(HostPort::listen(text).is_err(), "{text}");
        }
    }
}
