//! TLS of listeners.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::reload::Reloading;
use super::{Identity, TlsVersion, files, provider};
use crate::{CertificateName, NetError, Stream};

/// What a listener asks of its peers' certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Nothing.
    #[default]
    None,
    /// One that comes from an authority in this file may be shown.
    Optional(PathBuf),
    /// One that comes from an authority in this file must be shown (mutual TLS).
    Required(PathBuf),
}

/// How a listener speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTlsOptions {
    /// What it shows.
    pub identity: Identity,
    /// What it asks for.
    pub clients: ClientCertificates,
    /// The oldest version it speaks.
    pub oldest: TlsVersion,
    /// Protocols offered in the handshake (`http/1.1`); none for protocols without the choice.
    pub protocols: Vec<Vec<u8>>,
}

/// TLS of a listener, following its files.
#[derive(Debug)]
pub struct ServerTls {
    options: ServerTlsOptions,
    config: Reloading<ServerConfig>,
}

impl ServerTls {
    /// Reads the files and checks that they fit together.
    pub fn load(options: ServerTlsOptions) -> Result<Self, NetError> {
        let mut watched = vec![
            options.identity.certificate.clone(),
            options.identity.key.clone(),
        ];
        match &options.clients {
            ClientCertificates::None => {}
            ClientCertificates::Optional(ca) | ClientCertificates::Required(ca) => {
                watched.push(ca.clone());
            }
        }
        let config = Reloading::new(watched, || build(&options))?;
        Ok(Self { options, config })
    }

    pub(crate) async fn accept(
        &self,
        tcp: TcpStream,
    ) -> io::Result<(Stream, Option<CertificateName>)> {
        let config = self.config.get(|| build(&self.options));
        let tls = TlsAcceptor::from(config).accept(tcp).await?;
        let certificates = tls.get_ref().1.peer_certificates();
        let name = certificates
            .and_then(<[_]>::first)
            .and_then(|own| CertificateName::of(own));
        Ok((Stream::Tls(Box::new(tls.into())), name))
    }
}

fn build(options: &ServerTlsOptions) -> Result<ServerConfig, NetError> {
    let setup = |source| NetError::TlsSetup { source };
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(options.oldest.and_newer())
        .map_err(setup)?;
    let (ca, optional) = match &options.clients {
        ClientCertificates::None => (None, true),
        ClientCertificates::Optional(ca) => (Some(ca), true),
        ClientCertificates::Required(ca) => (Some(ca), false),
    };
    let builder = match ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let roots = Arc::new(files::roots(ca)?);
            let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            if optional {
                verifier = verifier.allow_unauthenticated();
            }
            let verifier = verifier
                .build()
                .map_err(|e| files::unusable(ca, e.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let (chain, key) = files::identity(&options.identity)?;
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|e| files::unusable(&options.identity.certificate, e.to_string()))?;
    config.alpn_protocols.clone_from(&options.protocols);
    Ok(config)
}
