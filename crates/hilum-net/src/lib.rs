//! Every socket: this crate opens every listener and every outbound connection.
//!
//! - [`Listener`] binds (to loopback where no host is named), checks the allow-list and the limit
//!   of connections before anything is read, and leaves the TLS handshake to the task of the
//!   connection, so that a slow peer never keeps others from connecting;
//! - [`Connector`] resolves, connects within a time, and verifies the peer's certificate;
//! - [`Stream`] is a plain or a TLS connection behind one type, without a box on the plain path;
//! - [`NetError`] says what was attempted, with which address, and what to do about it.
//!
//! Invariants: certificates are always verified, there is no switch to turn that off; the host
//! name is resolved once per connection and the connection stays with that address; files of
//! certificates are read again when they change, and a bad new file never replaces a good old one.
//!
//! It knows no protocol above TLS, keeps no pool and never tries again: that is its callers'.

mod address;
mod allow;
mod certificate;
mod connect;
mod error;
mod listen;
mod stream;
mod tls;

pub use address::{AddressError, HostPort, LOOPBACK};
pub use allow::{AllowList, AllowListError};
pub use certificate::CertificateName;
pub use connect::{CONNECT_WITHIN, ConnectOptions, Connector};
pub use error::{NetError, io_code, io_reason};
pub use listen::{
    CONNECTIONS_MAX, HANDSHAKE_WITHIN, Incoming, KEEP_ALIVE, ListenOptions, Listener,
};
pub use stream::{Connection, PeerIdentity, Stream};
pub use tls::{
    ClientCertificates, ClientTls, ClientTlsOptions, Identity, RELOAD_CHECK_EVERY, Roots,
    ServerTls, ServerTlsOptions, TlsVersion, certificates_in,
};
