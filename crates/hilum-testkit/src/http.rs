//! An HTTP receiver that records what it got and misbehaves on request, and a small client.
//!
//! HTTP/1.1 with `Content-Length` or chunked bodies, written apart from the library that the
//! program uses, so that it can break off wherever a test wants.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What a receiver does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpReaction {
    /// Answers with a status, further header lines, and a body.
    Status(u16, Vec<(&'static str, String)>, Bytes),
    /// Sends these bytes as they are, and closes.
    Raw(Vec<u8>),
    /// Never answers.
    Nothing,
    /// Closes without an answer.
    Close,
    /// Resets the connection.
    Reset,
    /// Answers 200 after this time.
    After(Duration),
}

impl HttpReaction {
    /// Answers with a status and nothing else.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self::Status(status, Vec::new(), Bytes::new())
    }
}

/// One request or response as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpMessage {
    /// The first line.
    pub line: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl HttpMessage {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The status of a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.line.split(' ').nth(1)?.parse().ok()
    }
}

/// A running receiver; stops when dropped.
#[derive(Debug)]
pub struct HttpReceiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    reaction: Mutex<HttpReaction>,
    received: Mutex<Vec<HttpMessage>>,
    connections: Mutex<u64>,
}

impl HttpReceiver {
    /// Listens on a loopback port and answers 200.
    pub async fn start() -> io::Result<Self> {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            reaction: Mutex::new(HttpReaction::status(200)),
            received: Mutex::default(),
            connections: Mutex::default(),
        });
        let task = Some(tokio::spawn(accept(listener, Arc::clone(&shared))));
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Behaves differently from the next request on.
    pub fn react(&self, reaction: HttpReaction) {
        *self
            .shared
            .reaction
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = reaction;
    }

    /// What came so far.
    #[must_use]
    pub fn received(&self) -> Vec<HttpMessage> {
        self.shared
            .received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many connections were made.
    #[must_use]
    pub fn connections(&self) -> u64 {
        *self
            .shared
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the listener and all connections.
    pub async fn down(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // The result only says that it was aborted.
            drop(task.await);
        }
    }

    /// Listens again at the same address.
    pub async fn up(&mut self) -> io::Result<()> {
        self.down().await;
        let listener = listen(self.address)?;
        self.task = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
        Ok(())
    }
}

impl Drop for HttpReceiver {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(128)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, which ends the connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                *shared.connections.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    // A peer that goes away is part of the tests.
                    drop(serve(stream, &shared).await);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::new();
    while let Some(request) = read_message(&mut stream, &mut buffer).await? {
        shared
            .received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request);
        let reaction = shared
            .reaction
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (status, headers, body) = match reaction {
            HttpReaction::Status(status, headers, body) => (status, headers, body),
            HttpReaction::Raw(bytes) => return stream.write_all(&bytes).await,
            HttpReaction::Nothing => continue,
            HttpReaction::Close => return Ok(()),
            HttpReaction::Reset => return stream.set_zero_linger(),
            HttpReaction::After(pause) => {
                tokio::time::sleep(pause).await;
                (200, Vec::new(), Bytes::new())
            }
        };
        let mut head = format!(
            "HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
    }
    Ok(())
}

/// A connection that sends requests.
#[derive(Debug)]
pub struct HttpClient {
    address: SocketAddr,
    stream: TcpStream,
    buffer: BytesMut,
}

impl HttpClient {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        // A body that waits for the acknowledgement of its head would cost 40 ms.
        stream.set_nodelay(true)?;
        Ok(Self {
            address,
            stream,
            buffer: BytesMut::new(),
        })
    }

    /// Sends bytes as they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends a request with a body, without waiting for the response.
    pub async fn send(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<()> {
        let mut head = format!(
            "{line} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n",
            self.address,
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.stream.write_all(head.as_bytes()).await?;
        self.stream.write_all(body).await
    }

    /// The next response; `None` when the peer has closed.
    pub async fn receive(&mut self) -> io::Result<Option<HttpMessage>> {
        read_message(&mut self.stream, &mut self.buffer).await
    }

    /// Sends a request and waits for its response; a peer that closes is an error.
    pub async fn exchange(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<HttpMessage> {
        // A peer may say no before the body is sent.
        let sent = self.send(line, headers, body).await;
        match self.receive().await {
            Ok(Some(response)) => Ok(response),
            Ok(None) => Err(sent
                .err()
                .unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(error),
        }
    }
}

/// The next message; `None` if the connection ends before one begins.
async fn read_message(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
) -> io::Result<Option<HttpMessage>> {
    let end = loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await? == 0 {
            return if buffer.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
    };
    let head = String::from_utf8_lossy(&buffer.split_to(end)).into_owned();
    buffer.advance(4);
    let mut lines = head.split("\r\n");
    let mut message = HttpMessage {
        line: lines.next().unwrap_or_default().to_owned(),
        ..HttpMessage::default()
    };
    for line in lines {
        if let Some((name, value)) = line.split_once(':') {
            message
                .headers
                .push((name.to_lowercase(), value.trim().to_owned()));
        }
    }
    if message.header("transfer-encoding") == Some("chunked") {
        message.body = read_chunks(stream, buffer).await?;
    } else {
        let length = message
            .header("content-length")
            .and_then(|value| value.parse().ok())
            .unwrap_or(0);
        message.body = take(stream, buffer, length).await?;
    }
    Ok(Some(message))
}

async fn read_chunks(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Bytes> {
    let mut body = BytesMut::new();
    loop {
        let end = loop {
            if let Some(end) = find(buffer, b"\r\n") {
                break end;
            }
            if stream.read_buf(buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let line = String::from_utf8_lossy(&buffer.split_to(end)).into_owned();
        buffer.advance(2);
        let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        body.extend_from_slice(&take(stream, buffer, length).await?);
        take(stream, buffer, 2).await?;
        if length == 0 {
            return Ok(body.freeze());
        }
    }
}

async fn take(stream: &mut TcpStream, buffer: &mut BytesMut, length: usize) -> io::Result<Bytes> {
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(buffer.split_to(length).freeze())
}

fn find(buffer: &[u8], what: &[u8]) -> Option<usize> {
    buffer.windows(what.len()).position(|window| window == what)
}
