//! An authority and certificates for TLS between test peers on loopback.

use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};

/// An authority that signs certificates into one folder.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
    /// The authority's own certificate (PEM).
    pub ca: PathBuf,
}

/// The files of one signed certificate.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The certificate (PEM).
    pub certificate: PathBuf,
    /// Its key (PEM).
    pub key: PathBuf,
}

impl Authority {
    /// Makes an authority whose certificate is `<name>.pem` in `folder`.
    pub fn new(folder: &Path, name: &str) -> io::Result<Self> {
        let mut params = params(&[], name)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params.self_signed(&key).map_err(io::Error::other)?;
        let ca = folder.join(format!("{name}.pem"));
        std::fs::write(&ca, certificate.pem())?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            folder: folder.to_path_buf(),
            ca,
        })
    }

    /// Signs a certificate for `names` (hosts or addresses) with this common name; the files are
    /// `<common_name>.crt` and `<common_name>.key`.
    pub fn sign(&self, common_name: &str, names: &[&str]) -> io::Result<CertificateFiles> {
        let mut params = params(names, common_name)?;
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let signed = params
            .signed_by(&key, &self.issuer)
            .map_err(io::Error::other)?;
        let files = CertificateFiles {
            certificate: self.folder.join(format!("{common_name}.crt")),
            key: self.folder.join(format!("{common_name}.key")),
        };
        std::fs::write(&files.certificate, signed.pem())?;
        std::fs::write(&files.key, key.serialize_pem())?;
        Ok(files)
    }
}

fn params(names: &[&str], common_name: &str) -> io::Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Synthetic Hospital");
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    Ok(params)
}
