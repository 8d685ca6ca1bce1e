//! Prints what becomes of files on the way back: `cargo run -p hilum-convert --example reverse -- FILE`.
//! A message of HL7 v2 goes to FHIR first; a file of JSON is a resource.

#![expect(clippy::print_stdout, reason = "printing is its purpose")]

use std::sync::Arc;

use hilum_convert::reverse::{Nothing, Sent, V2Settings, to_v2};
use hilum_convert::{Arrived, FixedZone, Maps, Settings, to_fhir};
use hilum_hl7v2::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let maps = Maps::shipped()?;
    let settings = V2Settings {
        explain: true,
        ..V2Settings::default()
    };
    let sent = Sent {
        control_id: "1",
        at: "2026-01-02T03:04:05Z",
    };
    for path in std::env::args_os().skip(1) {
        let bytes = std::fs::read(path)?;
        let resource = if bytes.starts_with(b"{") {
            let limits = hilum_fhir::Limits::default();
            hilum_fhir::json::parse(&bytes, &limits).map_err(|p| format!("{p:?}"))?
        } else {
            let there = Settings {
                zone: Some(Arc::new(FixedZone(0))),
                ..Settings::default()
            };
            let arrived = Arrived {
                id: "00000000-0000-4000-8000-000000000001",
                at: "2026-01-02T03:04:05.678Z",
            };
            println!("{}\n", String::from_utf8_lossy(&bytes).replace('\r', "\n"));
            to_fhir(maps, &Message::parse(bytes)?, &there, &arrived).bundle
        };
        let made = to_v2(maps, &resource, &Nothing, &settings, sent)?;
        for message in &made.messages {
            let text = message.write();
            println!("{}", String::from_utf8_lossy(&text).replace('\r', "\n"));
        }
        for finding in &made.findings {
            println!("{finding}");
        }
        for path in &made.unmapped {
            println!("not carried over: {path}");
        }
    }
    Ok(())
}
