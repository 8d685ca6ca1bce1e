//! An open connection, plain or TLS.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsStream;

use crate::CertificateName;

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The address that the connection is bound to.
    pub address: SocketAddr,
    /// The verified certificate, if there is one.
    pub certificate: Option<CertificateName>,
}

impl fmt::Display for PeerIdentity {
    /// The address, and the subject of the certificate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.certificate {
            Some(certificate) => write!(f, "{} ({certificate})", self.address),
            None => self.address.fmt(f),
        }
    }
}

/// A connection with its peer; gives its place at the listener back when dropped.
#[derive(Debug)]
pub struct Connection {
    /// The bytes.
    pub stream: Stream,
    /// Who is at the other end.
    pub peer: PeerIdentity,
    /// The place among the listener's connections.
    pub(crate) _place: Option<OwnedSemaphorePermit>,
}

/// A plain or a TLS connection.
pub enum Stream {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Whether the connection is open and the peer has sent nothing since the last read.
    ///
    /// To be asked before a kept connection is used again: a peer that has closed it meanwhile,
    /// or has sent a late answer, is noticed before anything is sent.
    pub fn is_quiet(&mut self) -> bool {
        let mut byte = [0_u8; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(self)
            .poll_read(&mut context, &mut buffer)
            .is_pending()
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Closes without the usual farewell, so that the peer sees a reset.
    pub fn reset(self) {
        // Failing to set it only means a farewell after all.
        drop(socket2::SockRef::from(self.tcp()).set_linger(Some(Duration::ZERO)));
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Stream(plain)",
            Self::Tls(_) => "Stream(TLS)",
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

/// No delay for small writes, and probes that notice a peer which has vanished.
pub(crate) fn tune(tcp: &TcpStream, keep_alive: Option<Duration>) {
    // A socket that cannot be tuned still works.
    drop(tcp.set_nodelay(true));
    if let Some(after) = keep_alive {
        let probes = socket2::TcpKeepalive::new()
            .with_time(after)
            .with_interval(after / 4);
        drop(socket2::SockRef::from(tcp).set_tcp_keepalive(&probes));
    }
}
