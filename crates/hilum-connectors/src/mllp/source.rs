//! Messages in: listening, or connecting to a peer that waits to be called.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hilum_component::{
    BoxFuture, BuildContext, Built, Intake, Peer, Problem, Source, SourceError, SourceFactory, Stop,
};
use hilum_hl7v2::mllp::StartByte;
use hilum_net::{Connection as Socket, Connector, ListenOptions, Listener, io_reason};
use serde_json::Value;
use tokio::task::JoinSet;

use super::config::SourceConfig;
use super::connection::{Connection, Ended, Served};
use crate::endpoint;

/// First and longest pause before the next attempt to reach a peer that waits to be called.
const RECONNECT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Numbers connections across all sources, so that a label of a log line means one connection.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

pub(super) fn build(value: &Value, context: &BuildContext<'_>) -> Built<SourceFactory> {
    let config: SourceConfig = endpoint::read(value)?;
    let mut problems = Vec::new();
    endpoint::noting(
        &mut problems,
        endpoint::system(context, config.system.as_ref()),
    );
    let served = Arc::new(Served {
        frame_bytes_max: config.frame_bytes_max.0,
        start_byte: if config.unframed {
            StartByte::Optional
        } else {
            StartByte::Required
        },
        idle: config.idle.duration(),
        release: config.release,
    });
    let place = match (&config.listen, &config.connect) {
        (Some(listen), None) => listen_place(context, &mut problems, &config, listen),
        (None, Some(connect)) => connect_place(context, &mut problems, &config, connect),
        (Some(_), Some(_)) | (None, None) => {
            problems.push(
                Problem::at(
                    &[],
                    "either `listen` or `connect` says where messages come from",
                )
                .hint("write `listen: 0.0.0.0:2575` to be called by the peer"),
            );
            None
        }
    };
    let Some(place) = place.filter(|_| problems.is_empty()) else {
        return Err(problems);
    };
    Ok(Arc::new(move || {
        Box::new(MllpSource {
            place: place.clone(),
            served: Arc::clone(&served),
            listener: None,
        })
    }))
}

fn listen_place(
    context: &BuildContext<'_>,
    problems: &mut Vec<Problem>,
    config: &SourceConfig,
    listen: &str,
) -> Option<Place> {
    let (tls, allow) = (config.tls.as_ref(), config.allow.as_slice());
    let mut options = endpoint::listen_options(context, problems, listen, tls, allow, &[])?;
    options.connections_max = usize::try_from(config.connections).unwrap_or(usize::MAX);
    options.keep_alive = endpoint::quiet(config.keep_alive);
    Some(Place::Listen(options))
}

fn connect_place(
    context: &BuildContext<'_>,
    problems: &mut Vec<Problem>,
    config: &SourceConfig,
    connect: &str,
) -> Option<Place> {
    let address = endpoint::noting(problems, endpoint::host_port("connect", connect))?;
    let tls = endpoint::connect_tls(context, "mllp", config.tls.as_ref(), None);
    let tls = endpoint::noting(problems, tls)?;
    let connector = endpoint::connector(address, tls, None, Some(config.keep_alive));
    endpoint::noting(problems, connector).map(Place::Connect)
}

/// Where messages come from.
#[derive(Clone)]
enum Place {
    Listen(ListenOptions),
    Connect(Connector),
}

struct MllpSource {
    place: Place,
    served: Arc<Served>,
    listener: Option<Listener>,
}

impl Source for MllpSource {
    fn open(&mut self) -> BoxFuture<'_, Result<Option<String>, SourceError>> {
        Box::pin(async {
            match &self.place {
                Place::Listen(options) => {
                    let listener = Listener::bind(options.clone()).await;
                    let listener = listener.map_err(|error| endpoint::source_error(&error))?;
                    let address = listener.local_address().to_string();
                    self.listener = Some(listener);
                    Ok(Some(address))
                }
                Place::Connect(connector) => Ok(Some(connector.address().to_string())),
            }
        })
    }

    fn run<'a>(&'a mut self, intake: Intake, stop: Stop) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(async move {
            match &self.place {
                Place::Listen(_) => {
                    // Taken, so that the port closes with the stop.
                    let Some(listener) = self.listener.take() else {
                        let message = "the listener was not opened".to_owned();
                        return Err(SourceError {
                            retry: true,
                            message,
                            hint: None,
                        });
                    };
                    listen(listener, &self.served, &intake, stop).await;
                }
                Place::Connect(connector) => call(connector, &self.served, &intake, stop).await,
            }
            Ok(())
        })
    }
}

async fn listen(listener: Listener, served: &Arc<Served>, intake: &Intake, mut stop: Stop) {
    let mut connections = JoinSet::new();
    let stopping = stop.clone();
    loop {
        tokio::select! {
            biased;
            () = stop.requested() => break,
            Some(ended) = connections.join_next() => note_panic(ended),
            incoming = listener.accept() => {
                let (served, intake, stop) = (Arc::clone(served), intake.clone(), stopping.clone());
                connections.spawn(async move {
                    match incoming.handshake().await {
                        Ok(socket) => serve(socket, &served, &intake, stop).await,
                        Err(error) => {
                            let (error, hint) = (error.chain(), error.hint());
                            tracing::warn!(%error, hint, "a peer could not connect");
                        }
                    }
                });
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

/// Keeps one connection to a peer that waits to be called.
async fn call(connector: &Connector, served: &Served, intake: &Intake, mut stop: Stop) {
    let (first, longest) = RECONNECT;
    let mut pause = first;
    while !stop.is_requested() {
        let stopping = stop.clone();
        tokio::select! {
            biased;
            () = stop.requested() => return,
            connected = connector.connect() => match connected {
                Ok(socket) => {
                    pause = first;
                    serve(socket, served, intake, stopping).await;
                }
                Err(error) => {
                    let (error, hint) = (error.chain(), error.hint());
                    tracing::warn!(%error, hint, retry_delay_ms = pause.as_millis(), "the peer cannot be reached");
                }
            }
        }
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(longest),
        }
    }
}

async fn serve(socket: Socket, served: &Served, intake: &Intake, stop: Stop) {
    let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed) + 1;
    let peer = Peer {
        label: socket.peer.to_string().into(),
        connection,
    };
    let label = Arc::clone(&peer.label);
    tracing::debug!(peer = %label, connection, "connected");
    let Socket { stream, .. } = socket;
    match Connection::new(stream, peer, served, intake)
        .run(stop)
        .await
    {
        Ok(Ended::Closed | Ended::Stopped) => tracing::debug!(peer = %label, connection, "closed"),
        Ok(Ended::Idle) => tracing::info!(peer = %label, connection, "closed: `idle` is over"),
        Ok(Ended::Junk) => {
            tracing::warn!(peer = %label, connection, "closed: the peer does not speak MLLP");
        }
        Ok(Ended::TooLarge) => tracing::warn!(
            peer = %label,
            connection,
            limit = served.frame_bytes_max,
            "closed: the rest of a refused message does not end"
        ),
        Err(error) => {
            let reason = io_reason(&error);
            tracing::warn!(peer = %label, connection, reason, "the connection broke");
        }
    }
}
