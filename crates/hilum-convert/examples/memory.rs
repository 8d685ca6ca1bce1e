//! What the shipped maps and a thousand conversions take of memory, in megabytes, as Linux counts it:
//! `cargo run --release -p hilum-convert --example memory -- FILE`. `cargo xtask bench convert` reads it.

#![expect(clippy::print_stdout, reason = "printing is its purpose")]

use hilum_convert::{Arrived, Maps, Settings, to_fhir};
use hilum_fhir::{Style, json};
use hilum_hl7v2::Message;

/// How many messages are converted.
const MESSAGES: usize = 1_000;

/// A line of `/proc/self/status`, in megabytes.
fn status(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kb = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kb.unwrap_or(0.0) / 1024.0
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("name a message")?;
    let text = std::fs::read(path)?;
    // The tables of FHIR and HL7 v2 are there whoever uses them.
    let types = hilum_fhir::definitions::Definitions::r4().types().len();
    let before = status("VmRSS");
    let maps = Maps::shipped()?;
    println!("maps-mb={:.1}", status("VmRSS") - before);
    let arrived = Arrived {
        id: "00000000-0000-4000-8000-000000000001",
        at: "2026-01-02T03:04:05.678Z",
    };
    let settings = Settings::default();
    let mut bytes = 0;
    for _ in 0..MESSAGES {
        let message = Message::parse(text.clone())?;
        let converted = to_fhir(maps, &message, &settings, &arrived);
        let mut out = Vec::new();
        json::write(&converted.bundle, Style::Compact, &mut out);
        bytes += out.len();
    }
    if bytes == 0 || types == 0 {
        return Err("nothing was converted".into());
    }
    println!("convert-mb={:.1}", status("VmHWM"));
    Ok(())
}
