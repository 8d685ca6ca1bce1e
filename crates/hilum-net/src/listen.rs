//! Listeners: allow-list and limit before anything is read, the handshake after.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::stream::tune;
use crate::{AllowList, Connection, HostPort, NetError, PeerIdentity, ServerTls, Stream};

/// Connections that a listener keeps open at once, unless set otherwise.
pub const CONNECTIONS_MAX: usize = 100;
/// How long a peer may take for the TLS handshake.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Silence after which a peer is probed, unless set otherwise.
pub const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Connections that wait for `accept`.
const BACKLOG: u32 = 1024;
/// Pause after an error of `accept` (too many open files), so that it cannot spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a listener is set.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Where.
    pub address: HostPort,
    /// TLS, if the peers are to use it.
    pub tls: Option<Arc<ServerTls>>,
    /// Who may connect.
    pub allow: AllowList,
    /// Connections open at once; one more is closed at once.
    pub connections_max: usize,
    /// How long a peer may take for the TLS handshake.
    pub handshake_within: Duration,
    /// Silence after which a peer is probed.
    pub keep_alive: Option<Duration>,
}

impl ListenOptions {
    /// The defaults, at an address.
    #[must_use]
    pub fn new(address: HostPort) -> Self {
        Self {
            address,
            tls: None,
            allow: AllowList::default(),
            connections_max: CONNECTIONS_MAX,
            handshake_within: HANDSHAKE_WITHIN,
            keep_alive: Some(KEEP_ALIVE),
        }
    }
}

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    local: SocketAddr,
    options: ListenOptions,
    places: Arc<Semaphore>,
    refused: AtomicU64,
    full: AtomicBool,
}

impl Listener {
    /// Binds. The error names the address, and its hint the remedy.
    pub async fn bind(options: ListenOptions) -> Result<Self, NetError> {
        let address = options.address.to_string();
        let listen = |source| NetError::Listen {
            address: address.clone(),
            source,
        };
        let wanted = tokio::net::lookup_host((options.address.host.as_str(), options.address.port))
            .await
            .map_err(|source| NetError::Resolve {
                address: address.clone(),
                source,
            })?
            .next()
            .ok_or_else(|| listen(std::io::ErrorKind::AddrNotAvailable.into()))?;
        let socket = if wanted.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }
        .map_err(&listen)?;
        socket.set_reuseaddr(true).map_err(&listen)?;
        socket.bind(wanted).map_err(&listen)?;
        let tcp = socket.listen(BACKLOG).map_err(&listen)?;
        let local = tcp.local_addr().map_err(&listen)?;
        let places = Arc::new(Semaphore::new(
            options.connections_max.min(Semaphore::MAX_PERMITS),
        ));
        Ok(Self {
            tcp,
            local,
            options,
            places,
            refused: AtomicU64::new(0),
            full: AtomicBool::new(false),
        })
    }

    /// The address it is bound to, with the port that the system chose for port 0.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// Connections closed at once because of the allow-list or the limit.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Connections that are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.options
            .connections_max
            .saturating_sub(self.places.available_permits())
    }

    /// The next peer that may connect. Cancel-safe.
    pub async fn accept(&self) -> Incoming {
        loop {
            let (tcp, peer) = match self.tcp.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(listen = %self.local, %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if !self.options.allow.allows(peer.ip()) {
                self.refused.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(listen = %self.local, %peer, "refused a peer that `allow` does not name");
                continue;
            }
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                self.refused.fetch_add(1, Ordering::Relaxed);
                if !self.full.swap(true, Ordering::Relaxed) {
                    let limit = self.options.connections_max;
                    tracing::warn!(listen = %self.local, %peer, limit, "refused a peer: all connections are in use");
                }
                continue;
            };
            self.full.store(false, Ordering::Relaxed);
            tune(&tcp, self.options.keep_alive);
            let (tls, within) = (self.options.tls.clone(), self.options.handshake_within);
            return Incoming {
                tcp,
                peer,
                place,
                tls,
                within,
            };
        }
    }
}

/// A peer that has connected and may stay; its handshake is still to be done.
#[derive(Debug)]
pub struct Incoming {
    tcp: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    tls: Option<Arc<ServerTls>>,
    within: Duration,
}

impl Incoming {
    /// The peer's address.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Does the TLS handshake, if there is one; belongs into the task of the connection.
    pub async fn handshake(self) -> Result<Connection, NetError> {
        let place = Some(self.place);
        let Some(tls) = self.tls else {
            let peer = PeerIdentity {
                address: self.peer,
                certificate: None,
            };
            return Ok(Connection {
                stream: Stream::Plain(self.tcp),
                peer,
                _place: place,
            });
        };
        let peer = self.peer.to_string();
        match tokio::time::timeout(self.within, tls.accept(self.tcp)).await {
            Err(_) => Err(NetError::HandshakeTimeout {
                peer,
                within: self.within,
            }),
            Ok(Err(source)) => Err(NetError::Handshake { peer, source }),
            Ok(Ok((stream, certificate))) => Ok(Connection {
                stream,
                peer: PeerIdentity {
                    address: self.peer,
                    certificate,
                },
                _place: place,
            }),
        }
    }
}
