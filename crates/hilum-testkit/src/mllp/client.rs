//! One connection that sends and reads answers.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, ToSocketAddrs};

use super::{framed, next_frame};

/// A connection to an MLLP listener.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    buffer: BytesMut,
    searched: usize,
}

impl Client {
    /// Connects.
    pub async fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }

    /// Over a connection that exists.
    #[must_use]
    pub fn over(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: BytesMut::with_capacity(16 * 1024),
            searched: 0,
        }
    }

    /// Sends bytes as they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends a message in its frame.
    pub async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.send_raw(&framed(message)).await
    }

    /// The next frame; `None` when the peer has closed.
    pub async fn receive(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(frame) = next_frame(&mut self.buffer, &mut self.searched) {
                return Ok(Some(frame));
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Sends a message and waits for the next frame; a peer that closes is an error.
    pub async fn exchange(&mut self, message: &[u8]) -> io::Result<Bytes> {
        self.send(message).await?;
        self.receive()
            .await?
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// What has arrived outside of frames.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.buffer
    }

    /// Says that nothing more is sent, but still reads.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Closes so that the peer sees a reset.
    pub fn reset(self) -> io::Result<()> {
        self.stream.set_zero_linger()
    }
}
