//! Converts files of HL7 v2 and prints what came of them: `cargo run -p hilum-convert --example convert -- FILE`.

#![expect(clippy::print_stdout, reason = "printing is its purpose")]

use std::sync::Arc;

use hilum_convert::{Arrived, FixedZone, Maps, Settings, to_fhir};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let maps = Maps::shipped()?;
    let settings = Settings {
        zone: Some(Arc::new(FixedZone(0))),
        explain: true,
        ..Settings::default()
    };
    let arrived = Arrived {
        id: "00000000-0000-4000-8000-000000000001",
        at: "2026-01-02T03:04:05.678Z",
    };
    for path in std::env::args_os().skip(1) {
        let message = hilum_hl7v2::Message::parse(std::fs::read(path)?)?;
        let converted = to_fhir(maps, &message, &settings, &arrived);
        let mut out = Vec::new();
        hilum_fhir::json::write(&converted.bundle, hilum_fhir::Style::Pretty, &mut out);
        println!("{}", String::from_utf8_lossy(&out));
        for finding in &converted.findings {
            println!("{finding}");
        }
        for place in &converted.unmapped {
            println!("unmapped {place}");
        }
        for reason in &converted.reasons {
            println!("{reason:?}");
        }
    }
    Ok(())
}
