//! The simulated systems that receive: over MLLP or HTTP, each with a mind of its own.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use hilum_testkit::messages::answer;
use hilum_testkit::mllp::Client;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// The largest request that a simulated system reads.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How a system is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Mllp,
    Http,
}

/// What a system answers: `AA` and so on, by what it gets.
pub(super) type Mind = fn(&[u8]) -> &'static str;

/// One message as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    pub(super) bytes: Vec<u8>,
    pub(super) answer: &'static str,
}

/// A simulated system.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) name: &'static str,
    address: SocketAddr,
    protocol: Protocol,
    mind: Mind,
    seen: Arc<Mutex<Vec<Arrival>>>,
    task: Option<JoinHandle<()>>,
}

type Serving = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

impl Peer {
    pub(super) fn start(
        name: &'static str,
        protocol: Protocol,
        port: u16,
        mind: Mind,
    ) -> Result<Self> {
        let mut peer = Self {
            name,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            protocol,
            mind,
            seen: Arc::default(),
            task: None,
        };
        peer.up()?;
        Ok(peer)
    }

    /// Listens, also again after it was down.
    pub(super) fn up(&mut self) -> Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket
            .bind(self.address)
            .with_context(|| format!("{} cannot listen at {}", self.name, self.address))?;
        let listener = socket.listen(128)?;
        let (protocol, mind, seen) = (self.protocol, self.mind, Arc::clone(&self.seen));
        self.task = Some(tokio::spawn(async move {
            // Dropped with this task, which ends the connections.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                let serving: Serving = match protocol {
                    Protocol::Mllp => Box::pin(mllp(stream, mind, seen)),
                    Protocol::Http => Box::pin(http(stream, mind, seen)),
                };
                connections.spawn(serving);
            }
        }));
        Ok(())
    }

    /// Closes everything, as a machine does that goes down.
    pub(super) async fn down(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // The result only says that it was aborted.
            drop(task.await);
        }
    }

    pub(super) fn seen(&self) -> Vec<Arrival> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn count(&self) -> usize {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

fn record(seen: &Mutex<Vec<Arrival>>, bytes: &[u8], mind: Mind) -> &'static str {
    let answer = mind(bytes);
    let arrival = Arrival {
        bytes: bytes.to_vec(),
        answer,
    };
    seen.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(arrival);
    answer
}

async fn mllp(stream: TcpStream, mind: Mind, seen: Arc<Mutex<Vec<Arrival>>>) -> io::Result<()> {
    let mut client = Client::over(stream);
    while let Some(message) = client.receive().await? {
        let code = record(&seen, &message, mind);
        client.send(&answer(&message, code, None)).await?;
    }
    Ok(())
}

/// As much of HTTP/1.1 as a receiver of posts needs: a length, a body, an answer.
async fn http(stream: TcpStream, mind: Mind, seen: Arc<Mutex<Vec<Arrival>>>) -> io::Result<()> {
    let mut stream = BufStream::new(stream);
    loop {
        let mut length = 0;
        let mut lines = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            lines += 1;
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            let header = line.split_once(':');
            if let Some((_, value)) =
                header.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            {
                length = value.trim().parse().unwrap_or(usize::MAX);
            }
        }
        if length > BODY_BYTES_MAX || lines == 1 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let status = match record(&seen, &body, mind) {
            "AA" => "200 OK",
            _ => "422 Unprocessable Content",
        };
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        stream.flush().await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn takes_posts_one_after_the_other_and_answers_with_its_mind() {
        let port = hilum_testkit::ports::free_port().unwrap();
        let refuses_no = |body: &[u8]| if body == b"no" { "AR" } else { "AA" };
        let mut peer = Peer::start("test", Protocol::Http, port, refuses_no).unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let mut said = [0; 15];
        for (body, expected) in [("yes", "HTTP/1.1 200 OK"), ("no", "HTTP/1.1 422 Un")] {
            let post = format!(
                "POST /hl7 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(post.as_bytes()).await.unwrap();
            stream.read_exact(&mut said).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&said), expected);
            let mut rest = Vec::new();
            while !rest.ends_with(b"\r\n\r\n") {
                rest.push(stream.read_u8().await.unwrap());
            }
        }
        peer.down().await;
        let bodies: Vec<Vec<u8>> = peer.seen().into_iter().map(|a| a.bytes).collect();
        assert_eq!(bodies, [b"yes".to_vec(), b"no".to_vec()]);
    }
}
