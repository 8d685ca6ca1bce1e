//! TLS for the simulated peers, which speak MLLP over plain connections: a bridge on loopback
//! between the peer and the wire.
//!
//! A connection is bridged for itself, in both directions, until one side closes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use hilum_net::{
    ClientCertificates, ClientTls, ClientTlsOptions, ConnectOptions, Connector, HostPort, Identity,
    ListenOptions, Listener, NetError, Roots, ServerTls, ServerTlsOptions, Stream, TlsVersion,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::args::{ReceiveTls, SendTls};

/// How long connections may take to end by themselves.
const FINISH_WITHIN: Duration = Duration::from_secs(2);

/// A bridge; it takes no more connections when it is dropped.
pub(super) struct Bridge {
    task: JoinHandle<()>,
    /// Closed when no connection is left; nothing is ever sent.
    carried: mpsc::Receiver<()>,
    failed: Arc<Mutex<Option<String>>>,
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Bridge {
    /// Takes no more connections, and lets those that are there bring over what is on its way.
    pub(super) async fn finish(&mut self) {
        self.task.abort();
        // A peer that does not go away is not waited for any longer.
        drop(tokio::time::timeout(FINISH_WITHIN, self.carried.recv()).await);
    }

    /// Why the last connection could not be made, if one could not.
    pub(super) fn failure(&self) -> Option<String> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.take()
    }

    /// From plain connections to this machine to TLS connections to `to`; gives the address to
    /// connect to.
    pub(super) async fn outward(
        to: &HostPort,
        options: &SendTls,
    ) -> anyhow::Result<(Self, SocketAddr)> {
        let tls = ClientTls::load(ClientTlsOptions {
            roots: options.ca.clone().map_or(Roots::System, Roots::File),
            identity: identity(options.cert.as_ref(), options.key.as_ref()),
            server_name: options.server_name.clone(),
            oldest: TlsVersion::default(),
        })
        .map_err(told)?;
        let mut connect = ConnectOptions::new(to.clone());
        connect.tls = Some(Arc::new(tls));
        let connector = Connector::new(connect).map_err(told)?;
        // Tried once first, so that a certificate that does not fit is told as such.
        drop(connector.connect().await.map_err(told)?);
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("cannot listen on loopback")?;
        let address = listener.local_addr().context("cannot listen on loopback")?;
        let failed: Arc<Mutex<Option<String>>> = Arc::default();
        let told = Arc::clone(&failed);
        let (carrying, carried) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            while let Ok((plain, _)) = listener.accept().await {
                let (connector, told) = (connector.clone(), Arc::clone(&told));
                let carrying = carrying.clone();
                tokio::spawn(async move {
                    let _carrying = carrying;
                    match connector.connect().await {
                        Ok(connection) => carry(plain, connection.stream).await,
                        Err(error) => note(&told, &error),
                    }
                });
            }
        });
        let bridge = Self {
            task,
            carried,
            failed,
        };
        Ok((bridge, address))
    }

    /// From TLS connections at an address to plain ones to `to`; gives the address it listens at.
    pub(super) async fn inward(
        at: &HostPort,
        options: &ReceiveTls,
        to: SocketAddr,
    ) -> anyhow::Result<(Self, SocketAddr)> {
        let identity = identity(options.cert.as_ref(), options.key.as_ref())
            .context("a receiver with TLS needs --cert and --key")?;
        let tls = ServerTls::load(ServerTlsOptions {
            identity,
            clients: options
                .ca
                .clone()
                .map_or(ClientCertificates::None, ClientCertificates::Required),
            oldest: TlsVersion::default(),
            protocols: Vec::new(),
        })
        .map_err(told)?;
        let mut listen = ListenOptions::new(at.clone());
        listen.tls = Some(Arc::new(tls));
        let listener = Listener::bind(listen).await.map_err(told)?;
        let address = listener.local_address();
        let failed: Arc<Mutex<Option<String>>> = Arc::default();
        let told = Arc::clone(&failed);
        let (carrying, carried) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            loop {
                let incoming = listener.accept().await;
                let (carrying, told) = (carrying.clone(), Arc::clone(&told));
                tokio::spawn(async move {
                    let _carrying = carrying;
                    let connection = match incoming.handshake().await {
                        Ok(connection) => connection,
                        Err(error) => return note(&told, &error),
                    };
                    if let Ok(plain) = TcpStream::connect(to).await {
                        carry(plain, connection.stream).await;
                    }
                });
            }
        });
        let bridge = Self {
            task,
            carried,
            failed,
        };
        Ok((bridge, address))
    }
}

fn identity(
    certificate: Option<&std::path::PathBuf>,
    key: Option<&std::path::PathBuf>,
) -> Option<Identity> {
    let (certificate, key) = (certificate?.clone(), key?.clone());
    Some(Identity { certificate, key })
}

fn told(error: NetError) -> anyhow::Error {
    match error.hint() {
        Some(hint) => anyhow::anyhow!("{}; {hint}", error.chain()),
        None => anyhow::anyhow!("{}", error.chain()),
    }
}

fn note(told: &Mutex<Option<String>>, error: &NetError) {
    *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.chain());
}

async fn carry(mut plain: TcpStream, mut stream: Stream) {
    // Small messages and answers must not wait for more. A peer that goes away ends both sides.
    drop(plain.set_nodelay(true));
    drop(tokio::io::copy_bidirectional(&mut plain, &mut stream).await);
}
