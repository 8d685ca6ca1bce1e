//! Reading certificates and keys.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::Identity;
use crate::{CertificateName, NetError};

/// Where distributions keep the authorities they trust.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

pub(super) fn identity(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), NetError> {
    let chain = certificates(&identity.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&identity.key)
        .map_err(|e| unusable(&identity.key, format!("no usable private key: {e}")))?;
    Ok((chain, key))
}

pub(super) fn roots(path: &Path) -> Result<RootCertStore, NetError> {
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(certificates(path)?);
    if added == 0 {
        return Err(unusable(
            path,
            "it holds no certificate of an authority".to_owned(),
        ));
    }
    Ok(store)
}

pub(super) fn system_roots() -> Result<PathBuf, NetError> {
    let found = SYSTEM_ROOTS
        .iter()
        .map(Path::new)
        .find(|path| path.is_file());
    found.map(Path::to_path_buf).ok_or_else(|| {
        unusable(
            Path::new(SYSTEM_ROOTS[0]),
            "this system has no list of authorities: install ca-certificates, or set `ca`"
                .to_owned(),
        )
    })
}

/// The names and the ends of the certificates in a PEM file, in its order.
///
/// # Errors
/// If the file holds none.
pub fn certificates_in(path: &Path) -> Result<Vec<CertificateName>, NetError> {
    let found = certificates(path)?;
    Ok(found
        .iter()
        .filter_map(|der| CertificateName::of(der))
        .collect())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, NetError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found: Vec<CertificateDer<'static>> =
        read.map_err(|e| unusable(path, format!("no readable PEM: {e}")))?;
    if found.is_empty() {
        return Err(unusable(path, "it holds no certificate".to_owned()));
    }
    Ok(found)
}

pub(super) fn unusable(path: &Path, reason: String) -> NetError {
    NetError::TlsFile {
        path: path.to_path_buf(),
        reason,
    }
}
