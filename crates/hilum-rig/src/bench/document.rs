//! Large documents: what one adds to the memory of a node that converts it into its own store and
//! gives it to a client, and what `hilum convert` takes for one.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hilum_testkit::mllp::Client;
use tokio::time::{Instant, sleep};

use super::fhir::Fhir;
use super::report::Row;
use crate::program::Program;

/// Sizes of documents, in base64.
const SIZES_MB: [usize; 2] = [40, 100];
/// How long one may take.
const WITHIN: Duration = Duration::from_secs(60);
/// How often somebody looks.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// What belongs to a document in a channel.
pub(super) const STEPS: &str = "      - convert: { to: fhir, attachments: binary }\n";

/// A report with a document of so many bytes.
fn message(number: usize, bytes: usize) -> Vec<u8> {
    let mut text = format!(
        "MSH|^~\\&|DOCS|NORTH|HUB|H|20260102030405+0100||MDM^T02^MDM_T02|D{number}|P|2.5.1\r\
         EVN|T02|20260102030405\rPID|1||4711^^^NORTH&1.2.3.4&ISO^MR||Ames^Ann\r\
         TXA|1|11490-0^Summary^LN|AP|20260102030405||||||||DOC{number}^DOCS|||||AU\r\
         OBX|1|ED|11490-0^Summary^LN||DOCS^AP^PDF^Base64^"
    )
    .into_bytes();
    text.reserve(bytes + 16);
    text.extend(document().take(bytes));
    text.extend_from_slice(b"||||||F\r");
    text
}

/// Characters of base64.
fn document() -> impl Iterator<Item = u8> {
    (b'A'..=b'Z').chain(b'0'..=b'9').cycle()
}

/// Documents through a channel into the store of a running node, and back.
pub(super) async fn stored(
    program: &mut Program,
    listens: SocketAddr,
    address: SocketAddr,
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut client = Client::connect(listens).await?;
    // What is made at the first one stays.
    let mut count = 0;
    for bytes in [1_000, 400_000] {
        send(&mut client, address, &mut count, bytes).await?;
    }
    for size in SIZES_MB {
        program.forget_peak()?;
        let before = program.peak_mb()?;
        let begun = Instant::now();
        let bytes = size * 1_000_000;
        send(&mut client, address, &mut count, bytes).await?;
        let (took, extra) = (begun.elapsed(), program.peak_mb()? - before);
        let what = format!("extra memory of a {size} MB document into the local store");
        let row = Row::new(what, extra.max(0.0), "MB").at_most(size as f64 * 2.5, 20.0);
        rows.push(row.note(format!("found after {:.1} s", took.as_secs_f64())));

        let mut fhir = Fhir::new(address);
        let found = fhir
            .json(&format!("DocumentReference?identifier=DOC{count}"))
            .await?;
        let url = found["entry"][0]["resource"]["content"][0]["attachment"]["url"].as_str();
        let url = url.context("the document is not in a Binary")?.to_owned();
        program.forget_peak()?;
        let before = program.peak_mb()?;
        let begun = Instant::now();
        let read = fhir.expect("GET", &url, b"", &[200]).await?;
        let (took, extra) = (begun.elapsed(), program.peak_mb()? - before);
        let text = &read.body[..];
        let sign = b"\"data\":\"";
        let at = text.windows(sign.len()).position(|part| part == sign);
        let data = at
            .and_then(|at| text.get(at + sign.len()..))
            .unwrap_or_default();
        let same = data.iter().copied().take(bytes).eq(document().take(bytes));
        ensure!(same, "the document of {size} MB came back as another one");
        let what = format!("extra memory while that of {size} MB is read");
        let row = Row::new(what, extra.max(0.0), "MB").at_most(size as f64 * 2.5, 20.0);
        rows.push(row.note(format!("read within {:.1} s", took.as_secs_f64())));
    }
    Ok(rows)
}

/// Sends a document and waits until it is found.
async fn send(
    client: &mut Client,
    address: SocketAddr,
    count: &mut usize,
    bytes: usize,
) -> Result<()> {
    *count += 1;
    let answer = client.exchange(&message(*count, bytes)).await?;
    let taken = answer
        .windows(6)
        .any(|part| part == b"MSA|AA" || part == b"MSA|CA");
    ensure!(taken, "a document of {bytes} bytes was not accepted");
    let begun = Instant::now();
    // A connection that nothing is asked on for a while is closed.
    let mut fhir = Fhir::new(address);
    loop {
        let found = fhir.json("DocumentReference?_summary=count").await?;
        if found["total"].as_u64() == Some(*count as u64) {
            return Ok(());
        }
        ensure!(
            begun.elapsed() < WITHIN,
            "a document of {bytes} bytes was not stored"
        );
        sleep(ASK_EVERY).await;
    }
}

/// `hilum convert` of a message with a document.
pub(super) async fn converted(hilum: &Path, work: &Path) -> Result<Row> {
    let size = 100;
    let file = work.join("document.hl7");
    std::fs::write(&file, message(1, size * 1_000_000))?;
    let mut command = Command::new(hilum);
    command
        .args(["convert", "--from", "hl7v2", "--to", "fhir"])
        .arg(&file);
    let begun = Instant::now();
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let (status, mut peak) = (format!("/proc/{}/status", child.id()), 0.0_f64);
    let ended = loop {
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        // It is gone between two looks at the end, having grown to the most long before.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        peak = peak.max(kib.unwrap_or(0.0) / 1024.0);
        sleep(Duration::from_millis(2)).await;
    };
    ensure!(ended.success(), "`hilum convert` ended with {ended}");
    std::fs::remove_file(&file)?;
    let what = format!("resident, most of `hilum convert` of {size} MB");
    let took = begun.elapsed().as_secs_f64();
    Ok(Row::new(what, peak, "MB")
        .at_most(size as f64 * 2.2, size as f64 * 1.5)
        .note(format!("{took:.1} s")))
}
