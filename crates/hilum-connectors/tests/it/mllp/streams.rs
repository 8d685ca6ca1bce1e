//! Byte streams of real senders, over a socket.

use std::path::PathBuf;

use hilum_component::conformance::FakeIntake;
use hilum_testkit::mllp::Client;
use hilum_testkit::wait;
use serde_json::{Value, json};

use crate::{Running, source};

fn shared() -> PathBuf {
    let default = || concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into();
    std::env::var_os("HILUM_SHARED").map_or_else(default, PathBuf::from)
}

#[tokio::test]
async fn streams_bring_the_frames_that_their_authors_expect() {
    let folder = shared().join("samples/hl7v2/mllp-streams");
    let Ok(expected) = std::fs::read(folder.join("expected.json")) else {
        println!("not run: MLLP streams (no shared material)");
        return;
    };
    let expected: serde_json::Map<String, Value> = serde_json::from_slice(&expected).unwrap();
    assert!(!expected.is_empty());
    for (name, expected) in expected {
        let bytes = std::fs::read(folder.join(&name)).unwrap();
        let lenient = expected.get("lenient").cloned();
        let strict = expected.get("default").cloned().unwrap_or(expected);
        check(&name, &bytes, false, &strict).await;
        if let Some(lenient) = lenient {
            check(&name, &bytes, true, &lenient).await;
        }
    }
}

async fn check(name: &str, bytes: &[u8], unframed: bool, expected: &Value) {
    let frames = expected["frames"].as_u64().unwrap_or(0);
    for step in [1, bytes.len()] {
        let config = json!({ "listen": "0", "unframed": unframed });
        let running = Running::start(source("mllp", &config), FakeIntake::new()).await;
        let mut client = Client::connect(&running.address).await.unwrap();
        for part in bytes.chunks(step) {
            // A source that closes early is as right as one that reads on.
            drop(client.send_raw(part).await);
        }
        drop(client.finish().await);
        let mut answers = 0;
        while let Ok(Some(_)) = wait::within("the end", client.receive()).await {
            answers += 1;
        }
        let intake = &running.intake;
        assert_eq!(
            intake.arrivals().len() as u64,
            frames,
            "{name} in steps of {step}"
        );
        assert_eq!(answers, frames, "{name} in steps of {step}");
        if expected["parse"] == "reject" {
            wait::until("the record", || !intake.junk().is_empty()).await;
        }
        running.stop().await;
    }
}
