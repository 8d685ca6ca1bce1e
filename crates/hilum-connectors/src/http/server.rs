//! Listeners that several sources share, each at its own path.
//!
//! A listener lives as long as one of its sources. The last one to leave closes it: idle
//! connections end at once, requests under way are answered first.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use hilum_component::{Intake, Peer, SourceError};
use hilum_net::{Incoming, ListenOptions, Listener};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::handler::{self, Route};
use crate::endpoint;

/// How long a caller may take to send the headers.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);

/// The listeners of this process.
static SERVERS: tokio::sync::Mutex<Vec<Weak<Server>>> = tokio::sync::Mutex::const_new(Vec::new());
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// A listener with its routes.
struct Server {
    /// What sources that share it must agree on.
    settings: String,
    address: SocketAddr,
    routes: Arc<Routes>,
    closing: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// The sources of a listener by path.
#[derive(Default)]
pub(super) struct Routes(Mutex<BTreeMap<String, Arc<Route>>>);

impl Routes {
    pub(super) fn get(&self, path: &str) -> Option<Arc<Route>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
            .cloned()
    }
}

/// A source's place at a listener; leaves it when dropped.
pub(super) struct Attached {
    server: Arc<Server>,
    route: Arc<Route>,
}

impl Attached {
    /// Binds the listener, or joins the one that is bound with the same settings.
    pub(super) async fn new(
        options: ListenOptions,
        settings: String,
        route: Arc<Route>,
    ) -> Result<Self, SourceError> {
        let error = |message: String| SourceError {
            retry: true,
            message,
            hint: None,
        };
        let mut servers = SERVERS.lock().await;
        servers.retain(|server| server.strong_count() > 0);
        let address = options.address.to_string();
        let shared = servers.iter().filter_map(Weak::upgrade).find(|server| {
            server.address.to_string() == address
                || (options.address.port != 0 && server.settings == settings)
        });
        let server = match shared {
            Some(server) if server.settings == settings => server,
            Some(_) => {
                return Err(error(format!(
                    "listen on {address}: another source listens there with other settings"
                )));
            }
            None => {
                let listener = Listener::bind(options).await;
                let listener = listener.map_err(|error| endpoint::source_error(&error))?;
                let server = Arc::new(Server::start(listener, settings));
                servers.push(Arc::downgrade(&server));
                server
            }
        };
        let taken = {
            let mut routes = server
                .routes
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let taken = routes.contains_key(&route.path);
            if !taken {
                routes.insert(route.path.clone(), Arc::clone(&route));
            }
            taken
        };
        if taken {
            return Err(error(format!(
                "listen on {address}: another source takes {}",
                route.path
            )));
        }
        Ok(Self { server, route })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Answers the requests under way, leaves, and closes the listener if nobody else is there.
    pub(super) async fn leave(self) {
        self.route.close().await;
        self.leave_path();
        let mut servers = SERVERS.lock().await;
        let last = self
            .server
            .routes
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty();
        if !last {
            return;
        }
        servers.retain(|server| !std::ptr::eq(server.as_ptr(), Arc::as_ptr(&self.server)));
        self.server.closing.send_replace(true);
        let task = self
            .server
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            // The lock is kept, so that the next listener at the address finds the port free.
            if let Err(error) = task.await {
                tracing::error!(%error, "a listener ended by a bug in hilum");
            }
        }
    }

    fn leave_path(&self) {
        let mut routes = self
            .server
            .routes
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if routes
            .get(&self.route.path)
            .is_some_and(|route| Arc::ptr_eq(route, &self.route))
        {
            routes.remove(&self.route.path);
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.leave_path();
    }
}

impl Server {
    fn start(listener: Listener, settings: String) -> Self {
        let address = listener.local_address();
        let routes = Arc::new(Routes::default());
        let (closing, closed) = watch::channel(false);
        let task = tokio::spawn(accept(listener, Arc::clone(&routes), closed));
        Self {
            settings,
            address,
            routes,
            closing,
            task: Mutex::new(Some(task)),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            task.abort();
        }
    }
}

async fn accept(listener: Listener, routes: Arc<Routes>, mut closed: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let closing = closed.clone();
    loop {
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => break,
            Some(ended) = connections.join_next() => note_panic(ended),
            incoming = listener.accept() => {
                connections.spawn(serve(incoming, Arc::clone(&routes), closing.clone()));
            }
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        note_panic(ended);
    }
}

fn note_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection ended by a bug in hilum");
    }
}

async fn serve(incoming: Incoming, routes: Arc<Routes>, mut closed: watch::Receiver<bool>) {
    let socket = match incoming.handshake().await {
        Ok(socket) => socket,
        Err(error) => {
            let (error, hint) = (error.chain(), error.hint());
            return tracing::warn!(%error, hint, "a caller could not connect");
        }
    };
    let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed) + 1;
    let peer = Peer {
        label: socket.peer.to_string().into(),
        connection,
    };
    let label = Arc::clone(&peer.label);
    let service = service_fn(move |request| {
        let (routes, peer) = (Arc::clone(&routes), peer.clone());
        async move { Ok::<_, Infallible>(handler::handle(request, &routes, peer).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN);
    let mut served = pin!(http.serve_connection(TokioIo::new(socket.stream), service));
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = closing(&mut closed) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %label, %error, "a connection ended early");
    }
}

/// Returns when the listener closes.
async fn closing(closed: &mut watch::Receiver<bool>) {
    // An error means that the listener is gone already.
    drop(closed.wait_for(|closed| *closed).await);
}

/// Opens a route for requests, until it is closed.
pub(super) fn open(route: &Route, intake: Intake) {
    route.open(intake);
}
