//! Outbound connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::stream::tune;
use crate::{ClientTls, Connection, HostPort, NetError, PeerIdentity, Stream};

/// How long resolving, connecting and the TLS handshake may take together, unless set otherwise.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How a connection is made.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// Where to.
    pub address: HostPort,
    /// TLS, if the peer wants it.
    pub tls: Option<Arc<ClientTls>>,
    /// How long resolving, connecting and the handshake may take together.
    pub within: Duration,
    /// Silence after which the peer is probed.
    pub keep_alive: Option<Duration>,
}

impl ConnectOptions {
    /// The defaults, to an address.
    #[must_use]
    pub const fn new(address: HostPort) -> Self {
        Self {
            address,
            tls: None,
            within: CONNECT_WITHIN,
            keep_alive: Some(crate::KEEP_ALIVE),
        }
    }
}

/// Makes connections to one address.
#[derive(Clone, Debug)]
pub struct Connector {
    options: ConnectOptions,
}

impl Connector {
    /// A connector; checks that the name can be verified where TLS is used.
    pub fn new(options: ConnectOptions) -> Result<Self, NetError> {
        if let Some(tls) = &options.tls {
            tls.server_name(&options.address)?;
        }
        Ok(Self { options })
    }

    /// The address as configured.
    #[must_use]
    pub const fn address(&self) -> &HostPort {
        &self.options.address
    }

    /// Whether the connections are TLS.
    #[must_use]
    pub const fn uses_tls(&self) -> bool {
        self.options.tls.is_some()
    }

    /// Resolves, connects, and does the handshake. One attempt over the addresses of the host,
    /// in the order in which the system gives them.
    pub async fn connect(&self) -> Result<Connection, NetError> {
        let within = self.options.within;
        let deadline = Instant::now() + within;
        let address = self.options.address.to_string();
        let timed_out = || NetError::ConnectTimeout {
            address: address.clone(),
            within,
        };

        let target = (
            self.options.address.host.as_str(),
            self.options.address.port,
        );
        let resolve = |source| NetError::Resolve {
            address: address.clone(),
            source,
        };
        let found: Vec<SocketAddr> = timeout_at(deadline, tokio::net::lookup_host(target))
            .await
            .map_err(|_| timed_out())?
            .map_err(resolve)?
            .collect();

        let (tcp, peer) = self.first_of(&found, deadline, &address).await?;
        tune(&tcp, self.options.keep_alive);
        let Some(tls) = &self.options.tls else {
            let peer = PeerIdentity {
                address: peer,
                certificate: None,
            };
            return Ok(Connection {
                stream: Stream::Plain(tcp),
                peer,
                _place: None,
            });
        };
        let name = tls.server_name(&self.options.address)?;
        match timeout_at(deadline, tls.connect(name, tcp)).await {
            Err(_) => Err(NetError::HandshakeTimeout {
                peer: address,
                within,
            }),
            Ok(Err(source)) => Err(NetError::Handshake {
                peer: address,
                source,
            }),
            Ok(Ok((stream, certificate))) => Ok(Connection {
                stream,
                peer: PeerIdentity {
                    address: peer,
                    certificate,
                },
                _place: None,
            }),
        }
    }

    /// Each address gets an equal share of the time that is left.
    async fn first_of(
        &self,
        found: &[SocketAddr],
        deadline: Instant,
        address: &str,
    ) -> Result<(TcpStream, SocketAddr), NetError> {
        let within = self.options.within;
        let nobody = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
        let mut last = NetError::Resolve {
            address: address.to_owned(),
            source: nobody,
        };
        for (at, &peer) in found.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(found.len() - at).unwrap_or(u32::MAX);
            match tokio::time::timeout(share, TcpStream::connect(peer)).await {
                Ok(Ok(tcp)) => return Ok((tcp, peer)),
                Ok(Err(source)) => {
                    last = NetError::Connect {
                        address: address.to_owned(),
                        source,
                    }
                }
                Err(_) => {
                    last = NetError::ConnectTimeout {
                        address: address.to_owned(),
                        within,
                    }
                }
            }
        }
        Err(last)
    }
}
