//! Sockets on loopback, with real certificates.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod plain;
mod tls;

use std::sync::Arc;

use hilum_net::{ConnectOptions, Connector, HostPort, ListenOptions, Listener, ServerTls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

/// A listener that sends back what it gets, and says who the peer was or why there is none.
struct Echo {
    port: u16,
    task: JoinHandle<()>,
    seen: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Echo {
    async fn start(change: impl FnOnce(&mut ListenOptions)) -> Self {
        let mut options = ListenOptions::new(HostPort::listen("0").unwrap());
        change(&mut options);
        let listener = Listener::bind(options).await.unwrap();
        let port = listener.local_address().port();
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            loop {
                let incoming = listener.accept().await;
                let log = Arc::clone(&log);
                tokio::spawn(async move {
                    let mut connection = match incoming.handshake().await {
                        Ok(connection) => connection,
                        Err(error) => return log.lock().unwrap().push(error.chain()),
                    };
                    let who = connection.peer.certificate.clone();
                    log.lock()
                        .unwrap()
                        .push(who.map_or("anonymous".to_owned(), |name| name.subject));
                    let mut buffer = [0; 64];
                    while let Ok(count @ 1..) = connection.stream.read(&mut buffer).await {
                        connection.stream.write_all(&buffer[..count]).await.unwrap();
                        connection.stream.flush().await.unwrap();
                    }
                });
            }
        });
        Self { port, task, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn to(port: u16) -> ConnectOptions {
    ConnectOptions::new(HostPort {
        host: "localhost".to_owned(),
        port,
    })
}

/// Connects and sends a word back and forth.
async fn talk(options: ConnectOptions) -> Result<(), String> {
    let connector = Connector::new(options).map_err(|e| e.chain())?;
    let mut connection = connector
        .connect()
        .await
        .map_err(|e| format!("{}: {}", e.code(), e.chain()))?;
    let mut word = [0; 5];
    let exchange = async {
        connection.stream.write_all(b"hello").await?;
        connection.stream.flush().await?;
        connection.stream.read_exact(&mut word).await
    };
    exchange.await.map_err(|e| e.to_string())?;
    assert_eq!(&word, b"hello");
    Ok(())
}

fn with_tls(tls: &Arc<ServerTls>) -> impl FnOnce(&mut ListenOptions) {
    let tls = Arc::clone(tls);
    move |options| options.tls = Some(tls)
}
