//! TLS, mutual TLS, and files that change.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hilum_net::{
    ClientCertificates, ClientTls, ClientTlsOptions, ConnectOptions, Identity, NetError,
    RELOAD_CHECK_EVERY, Roots, ServerTls, ServerTlsOptions, TlsVersion,
};
use hilum_testkit::certificates::{Authority, CertificateFiles};
use hilum_testkit::wait;

use crate::{Echo, talk, to, with_tls};

fn identity(files: &CertificateFiles) -> Identity {
    Identity {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
    }
}

fn server(
    files: &CertificateFiles,
    clients: ClientCertificates,
) -> Result<Arc<ServerTls>, NetError> {
    let options = ServerTlsOptions {
        identity: identity(files),
        clients,
        oldest: TlsVersion::V1_2,
        protocols: Vec::new(),
    };
    ServerTls::load(options).map(Arc::new)
}

fn client(
    port: u16,
    ca: &std::path::Path,
    change: impl FnOnce(&mut ClientTlsOptions),
) -> ConnectOptions {
    let mut options = ClientTlsOptions {
        roots: Roots::File(ca.to_path_buf()),
        ..Default::default()
    };
    change(&mut options);
    let mut connect = to(port);
    connect.tls = Some(Arc::new(ClientTls::load(options).unwrap()));
    connect
}

#[tokio::test]
async fn the_peer_is_verified_by_authority_and_name() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ca").unwrap();
    let stranger = Authority::new(folder.path(), "stranger").unwrap();
    let files = authority.sign("lab-2", &["localhost"]).unwrap();
    let echo = Echo::start(with_tls(&server(&files, ClientCertificates::None).unwrap())).await;

    talk(client(echo.port, &authority.ca, |_| {}))
        .await
        .unwrap();
    talk(client(echo.port, &authority.ca, |options| {
        options.oldest = TlsVersion::V1_3
    }))
    .await
    .unwrap();
    let error = talk(client(echo.port, &stranger.ca, |_| {}))
        .await
        .unwrap_err();
    assert!(
        error.starts_with("tls-certificate: TLS handshake with localhost:"),
        "{error}"
    );
    let named = |options: &mut ClientTlsOptions| options.server_name = Some("lab-3".to_owned());
    let error = talk(client(echo.port, &authority.ca, named))
        .await
        .unwrap_err();
    assert!(error.starts_with("tls-certificate: "), "{error}");
}

#[tokio::test]
async fn mutual_tls_names_the_peer_and_refuses_strangers() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ca").unwrap();
    let stranger = Authority::new(folder.path(), "stranger").unwrap();
    let own = authority.sign("hub", &["localhost"]).unwrap();
    let peer = authority.sign("analyser-7", &[]).unwrap();
    let foreign = stranger.sign("intruder", &[]).unwrap();
    let required = ClientCertificates::Required(authority.ca.clone());
    let echo = Echo::start(with_tls(&server(&own, required).unwrap())).await;

    let known = |options: &mut ClientTlsOptions| options.identity = Some(identity(&peer));
    talk(client(echo.port, &authority.ca, known)).await.unwrap();
    assert_eq!(echo.seen(), ["CN=analyser-7, O=Synthetic Hospital"]);

    // In TLS 1.3 the client learns of the refusal with its first read.
    talk(client(echo.port, &authority.ca, |_| {}))
        .await
        .unwrap_err();
    let unknown = |options: &mut ClientTlsOptions| options.identity = Some(identity(&foreign));
    talk(client(echo.port, &authority.ca, unknown))
        .await
        .unwrap_err();
    wait::until("three handshakes", || echo.seen().len() == 3).await;
    assert!(
        echo.seen()
            .iter()
            .skip(1)
            .all(|line| line.starts_with("TLS handshake with 127.0.0.1:"))
    );
}

#[tokio::test]
async fn peers_of_different_minds_get_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ca").unwrap();
    let files = authority.sign("lab-2", &["localhost"]).unwrap();
    let plain = Echo::start(|_| {}).await;
    let error = talk(client(plain.port, &authority.ca, |_| {}))
        .await
        .unwrap_err();
    assert!(
        error.starts_with("tls: TLS handshake with localhost:"),
        "{error}"
    );

    let tls = server(&files, ClientCertificates::None).unwrap();
    let hasty = Echo::start(|options| {
        options.tls = Some(tls);
        options.handshake_within = Duration::from_millis(50);
    })
    .await;
    let silent = tokio::net::TcpStream::connect(("127.0.0.1", hasty.port))
        .await
        .unwrap();
    wait::until("the time-out", || hasty.seen().len() == 1).await;
    assert!(
        hasty.seen()[0].ends_with("timed out after 0.050 s"),
        "{:?}",
        hasty.seen()
    );
    drop(silent);
}

#[tokio::test]
async fn changed_files_are_read_and_bad_ones_are_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let old = Authority::new(folder.path(), "old-ca").unwrap();
    let new = Authority::new(folder.path(), "new-ca").unwrap();
    let files = old.sign("hub", &["localhost"]).unwrap();
    let echo = Echo::start(with_tls(&server(&files, ClientCertificates::None).unwrap())).await;
    talk(client(echo.port, &old.ca, |_| {})).await.unwrap();

    let key = std::fs::read(&files.key).unwrap();
    std::fs::write(&files.key, "half a key").unwrap();
    // Only the time between looks is passed over; handshakes need real time.
    later().await;
    talk(client(echo.port, &old.ca, |_| {})).await.unwrap();

    std::fs::write(&files.key, key).unwrap();
    new.sign("hub", &["localhost"]).unwrap();
    later().await;
    talk(client(echo.port, &new.ca, |_| {})).await.unwrap();
    talk(client(echo.port, &old.ca, |_| {})).await.unwrap_err();
}

async fn later() {
    tokio::time::pause();
    tokio::time::advance(RELOAD_CHECK_EVERY + Duration::from_millis(1)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn files_that_do_not_fit_are_refused_at_load() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ca").unwrap();
    let one = authority.sign("one", &["localhost"]).unwrap();
    let two = authority.sign("two", &["localhost"]).unwrap();
    let check = |certificate: PathBuf, key: PathBuf, expected: &str| {
        let mixed = CertificateFiles { certificate, key };
        let error = server(&mixed, ClientCertificates::None)
            .unwrap_err()
            .chain();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("BEGIN"), "{error}");
    };
    check(one.certificate.clone(), two.key.clone(), "one.crt");
    check(
        one.certificate.clone(),
        folder.path().join("absent.key"),
        "absent.key",
    );
    check(one.key.clone(), one.key.clone(), "it holds no certificate");
    check(
        one.certificate.clone(),
        one.certificate.clone(),
        "no usable private key",
    );
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let error = server(&one, ClientCertificates::Required(empty))
        .unwrap_err()
        .chain();
    assert!(error.contains("empty.pem"), "{error}");
}
