//! Clients of other makers, which know nothing of hilum.

use std::path::PathBuf;
use std::process::Command;

use crate::kit::Server;

/// Where `cargo xtask setup` keeps them.
fn peers() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peers"));
    if folder.join("python/bin/python").exists() && folder.join("javascript/node_modules").exists()
    {
        return Some(folder);
    }
    let demanded = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(
        !demanded,
        "the clients are not installed; run `cargo xtask setup`"
    );
    println!("not run: clients of other makers (cargo xtask setup installs them)");
    None
}

/// Runs a client to its end, which must be a good one.
async fn succeeds(mut client: Command) {
    let run = move || client.output().expect("the client starts");
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    assert!(said.ends_with("done\n"), "{said}");
}

fn script(name: &str) -> String {
    format!(
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/{}"),
        name
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn fhirclient_reads_writes_searches_and_sends_transactions() {
    let Some(peers) = peers() else { return };
    let server = Server::start().await;
    let mut client = Command::new(peers.join("python/bin/python"));
    client.arg(script("fhirclient_peer.py")).arg(server.base());
    succeeds(client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fhir_kit_client_reads_writes_patches_pages_and_sends_bundles() {
    let Some(peers) = peers() else { return };
    let server = Server::start().await;
    let mut client = Command::new("node");
    client.arg(script("fhir_kit_peer.mjs")).arg(server.base());
    client.arg(peers.join("javascript"));
    succeeds(client).await;
}
