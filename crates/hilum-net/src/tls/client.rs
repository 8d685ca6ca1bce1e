//! TLS of outbound connections.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::reload::Reloading;
use super::{Identity, TlsVersion, files, provider};
use crate::{CertificateName, HostPort, NetError, Stream};

/// Whom to trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// The authorities that the operating system trusts.
    #[default]
    System,
    /// The authorities in a PEM file, and nobody else.
    File(PathBuf),
}

/// How an outbound connection speaks TLS. The peer is always verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTlsOptions {
    /// Whom to trust.
    pub roots: Roots,
    /// What is shown to a peer that asks (mutual TLS).
    pub identity: Option<Identity>,
    /// The name in the peer's certificate, where it is not the host of the address.
    pub server_name: Option<String>,
    /// The oldest version that is spoken.
    pub oldest: TlsVersion,
}

/// TLS of outbound connections, following its files.
#[derive(Debug)]
pub struct ClientTls {
    options: ClientTlsOptions,
    roots: PathBuf,
    config: Reloading<ClientConfig>,
}

impl ClientTls {
    /// Reads the files and checks that they fit together.
    pub fn load(options: ClientTlsOptions) -> Result<Self, NetError> {
        let roots = match &options.roots {
            Roots::System => files::system_roots()?,
            Roots::File(path) => path.clone(),
        };
        let mut watched = vec![roots.clone()];
        if let Some(identity) = &options.identity {
            watched.extend([identity.certificate.clone(), identity.key.clone()]);
        }
        let config = Reloading::new(watched, || build(&options, &roots))?;
        Ok(Self {
            options,
            roots,
            config,
        })
    }

    /// The configuration for drivers that open TLS on a connection themselves.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        self.config.get(|| build(&self.options, &self.roots))
    }

    /// The name that the certificate of the peer at `address` must carry.
    pub fn server_name(&self, address: &HostPort) -> Result<ServerName<'static>, NetError> {
        let name = self.options.server_name.as_ref().unwrap_or(&address.host);
        ServerName::try_from(name.clone()).map_err(|_| NetError::ServerName { name: name.clone() })
    }

    /// Turns an open plain connection into TLS, for protocols that ask for it on the way.
    pub async fn upgrade(&self, name: ServerName<'static>, stream: Stream) -> io::Result<Stream> {
        match stream {
            Stream::Plain(tcp) => self.connect(name, tcp).await.map(|(stream, _)| stream),
            Stream::Tls(_) => Err(io::Error::other("the connection is TLS already")),
        }
    }

    pub(crate) async fn connect(
        &self,
        name: ServerName<'static>,
        tcp: TcpStream,
    ) -> io::Result<(Stream, Option<CertificateName>)> {
        let tls = TlsConnector::from(self.config()).connect(name, tcp).await?;
        let certificates = tls.get_ref().1.peer_certificates();
        let name = certificates
            .and_then(<[_]>::first)
            .and_then(|own| CertificateName::of(own));
        Ok((Stream::Tls(Box::new(tls.into())), name))
    }
}

fn build(options: &ClientTlsOptions, roots: &std::path::Path) -> Result<ClientConfig, NetError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(options.oldest.and_newer())
        .map_err(|source| NetError::TlsSetup { source })?
        .with_root_certificates(files::roots(roots)?);
    match &options.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => {
            let (chain, key) = files::identity(identity)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|e| files::unusable(&identity.certificate, e.to_string()))
        }
    }
}
