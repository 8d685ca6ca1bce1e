//! Source and destination against each other over mutual TLS.

use hilum_component::conformance::{FakeIntake, FakeSite, delivery};
use hilum_component::{Class, Disposition};
use hilum_testkit::certificates::Authority;
use serde_json::json;

use super::message;
use crate::{Running, destination_factory, source_factory};

#[tokio::test]
async fn mutual_tls_carries_messages_and_names_the_peer() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ca").unwrap();
    authority.sign("hub", &["localhost"]).unwrap();
    authority.sign("lis", &[]).unwrap();
    Authority::new(folder.path(), "other")
        .unwrap()
        .sign("stranger", &[])
        .unwrap();
    let site = FakeSite {
        folder: folder.path().to_path_buf(),
        ..FakeSite::default()
    };

    let listen = json!({ "listen": "0", "tls": { "certificate": "hub.crt", "key": "hub.key", "ca": "ca.pem" } });
    let source = source_factory("mllp", &listen, &site).unwrap()();
    let intake = FakeIntake::new();
    intake.respond(|number, _| {
        FakeIntake::reply(
            number,
            Disposition::Accepted,
            b"MSH|^~\\&|X\rMSA|AA|T000000001\r",
        )
    });
    let running = Running::start(source, intake).await;
    let port = running.address.rsplit(':').next().unwrap();
    let to = |certificate: &str| {
        let tls = json!({ "ca": "ca.pem", "certificate": format!("{certificate}.crt"), "key": format!("{certificate}.key") });
        let config = json!({ "address": format!("localhost:{port}"), "tls": tls });
        destination_factory("mllp", &config, &site).unwrap()()
    };
    let known = to("lis");
    assert!(known.address().starts_with("mllps://localhost:"));
    for _ in 0..3 {
        known
            .send(&[delivery(1, message(1))])
            .await
            .remove(0)
            .unwrap();
    }
    let label = running.intake.arrivals()[0].peer.label.to_string();
    assert!(label.contains("CN=lis"), "{label}");

    let error = to("stranger")
        .send(&[delivery(1, message(1))])
        .await
        .remove(0)
        .unwrap_err();
    assert_eq!(
        (error.class, error.code),
        (Class::Retry, "tls-certificate-refused"),
        "{error}"
    );
    assert_eq!(running.intake.arrivals().len(), 3);
    running.stop().await;
}
