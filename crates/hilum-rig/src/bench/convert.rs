//! Conversion and terminology: questions about codes through HTTP, and results that a channel
//! converts into its own store.
//!
//! The server has one core and the generator the other. What conversions take by themselves is
//! measured by the benches of the crate and handed over.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use hilum_testkit::mllp::{Load, MessageOf};
use hilum_testkit::ports::free_ports;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::fhir::{Fhir, many, on_core};
use super::report::{Report, Row};
use super::{STOP_WITHIN, document, page};
use crate::program::Program;
use crate::{folder, machine};

const ROWS: [&str; 3] = ["terminology", "store", "document"];
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a queue may take to drain before the measurement is given up.
const DRAIN_WITHIN: Duration = Duration::from_secs(240);
/// How often the store is asked.
const ASK_EVERY: Duration = Duration::from_millis(50);

const SYSTEM: &str = "http://hilum.example/bench/lab";
const SET: &str = "http://hilum.example/bench/lab-set";
const MAP: &str = "http://hilum.example/bench/lab-map";
/// Codes of the laboratory.
const CODES: usize = 2_000;
/// Patients of the results.
const PATIENTS: u64 = 1_000;
/// Observations of a result.
const OBSERVATIONS: usize = 30;
/// The steps of the destination that stores results.
const STEPS: &str = "      - convert: fhir\n";
/// Senders of results.
const SENDERS: usize = 8;

/// `hilum-rig convert`
#[derive(Debug, Args)]
pub(crate) struct ConvertBench {
    /// The program
    #[arg(long, value_name = "FILE")]
    hilum: PathBuf,
    /// Only these rows: terminology, store, document, micro
    #[arg(long, value_delimiter = ',', value_name = "ROW")]
    only: Vec<String>,
    /// How long each rate is measured
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Results that are converted into the store
    #[arg(long, default_value_t = 2_000)]
    results: u64,
    /// What single operations take, measured by the benches of the crates
    #[arg(long, value_name = "NAME=VALUE")]
    micro: Vec<String>,
    /// Where data and logs go, on the disk that is to be measured
    #[arg(long, value_name = "FOLDER", default_value = "target/rig")]
    work: PathBuf,
    /// Prints the report as JSON at the end
    #[arg(long)]
    json: bool,
    /// Puts the report into the page of figures
    #[arg(long, conflicts_with = "only")]
    write: bool,
    /// The page of figures
    #[arg(long, value_name = "FILE", default_value = "docs/figures.md")]
    page: PathBuf,
}

impl ConvertBench {
    pub(crate) async fn run(self) -> Result<()> {
        let known = |name: &str| name == "micro" || ROWS.contains(&name);
        if let Some(unknown) = self.only.iter().find(|name| !known(name)) {
            let names = ROWS.join(", ");
            bail!("no row is called {unknown}; there are {names}, micro");
        }
        let wants = |name: &str| self.only.is_empty() || self.only.iter().any(|only| only == name);
        let mut report = Report::begin();
        if wants("micro") {
            self.add(&mut report, super::micro::rows(&self.micro)?);
        }
        on_core(1)?;
        for name in ROWS.into_iter().filter(|name| wants(name)) {
            let rows = match name {
                "terminology" => self.terminology().await,
                "document" => self.document().await,
                _ => self.store().await,
            };
            let rows = rows.unwrap_or_else(|error| vec![Row::failed(name, &error)]);
            self.add(&mut report, rows);
        }
        if self.json {
            println!("{:#}", report.json());
        } else {
            println!("\n{}", report.markdown());
        }
        if self.write {
            page::write(&self.page, "convert", &report.markdown())?;
        }
        Ok(())
    }

    fn add(&self, report: &mut Report, rows: Vec<Row>) {
        if !self.json {
            for row in &rows {
                println!("  {row}");
            }
        }
        report.add(rows);
    }

    /// Questions about codes of a system with 2,000 of them.
    async fn terminology(&self) -> Result<Vec<Row>> {
        let site = Site::write(&self.work.join("terminology"), "")?;
        let mut program = self.started(&site)?;
        let mut fhir = Fhir::new(site.fhir);
        for resource in terminology() {
            let path = format!("{}/bench", resource["resourceType"].as_str().unwrap_or("?"));
            let body = resource.to_string();
            fhir.expect("PUT", &path, body.as_bytes(), &[200, 201])
                .await?;
        }
        let mut rows = Vec::new();
        for (name, operation, url) in [
            ("$validate-code", "ValueSet/$validate-code", SET),
            ("$translate", "ConceptMap/$translate", MAP),
        ] {
            let path = |at: usize| {
                let code = at * 7 % CODES;
                format!("{operation}?url={url}&system={SYSTEM}&code=L{code}")
            };
            let paths: Arc<[String]> = (0..CODES).map(path).collect();
            for path in paths.iter().take(3) {
                let told = fhir.json(path).await?;
                let is_yes = told["parameter"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|one| one["valueBoolean"] == json!(true)));
                ensure!(is_yes, "{path}: {told}");
            }
            let (address, seconds) = (site.fhir, self.seconds);
            let request = |client: u64| {
                let paths = Arc::clone(&paths);
                async move {
                    let (mut fhir, mut times) = (Fhir::new(address), Vec::new());
                    let begun = Instant::now();
                    for path in paths.iter().cycle().skip(client as usize * 97) {
                        if begun.elapsed().as_secs_f64() > seconds {
                            break;
                        }
                        let sent = Instant::now();
                        fhir.get(path).await?;
                        times.push(sent.elapsed());
                    }
                    Ok(times)
                }
            };
            let measured = async || many(&program, seconds, request).await;
            let (measured, withheld) = machine::calmest(measured).await?;
            let what = format!("{name} through HTTP, one core, 16 clients");
            let row = Row::new(what, measured.rate, "/s").at_least(5_000.0, 20_000.0);
            rows.push(row.decimals(0).note(measured.note(withheld)));
        }
        program.stop(STOP_WITHIN)?;
        Ok(rows)
    }

    /// Results through a channel that converts them into the site's own store.
    async fn store(&self) -> Result<Vec<Row>> {
        let ports = free_ports(1)?;
        let mllp = ports.first().context("a free port")?;
        let listens = SocketAddr::from(([127, 0, 0, 1], *mllp));
        let site = Site::write(&self.work.join("converted"), &channel(listens, STEPS))?;
        let mut program = self.started(&site)?;
        let mut fhir = Fhir::new(site.fhir);
        // What is compiled and cached at the first message is not the rate.
        let warm = 20;
        sent(listens, 0, warm).await?;
        stored(&mut fhir, warm).await?;
        program.forget_peak()?;
        let (begun, cpu) = (Instant::now(), program.cpu_seconds()?);
        let report = sent(listens, warm, self.results).await?;
        stored(&mut fhir, warm + self.results).await?;
        let took = begun.elapsed().as_secs_f64();
        let cpu = program.cpu_seconds()? - cpu;
        let count = self.results as f64;
        let rows = vec![
            Row::new(
                "ORU with 30 observations converted into the local store, durable",
                count / took,
                "msg/s",
            )
            .at_least(200.0, 500.0)
            .decimals(0)
            .note(format!(
                "{:.2} ms CPU each; accepted at {:.0}/s; {SENDERS} senders, one core",
                cpu * 1000.0 / count,
                report,
            )),
            Row::new(
                "resident, most while they are stored",
                program.peak_mb()?,
                "MB",
            ),
        ];
        program.stop(STOP_WITHIN)?;
        Ok(rows)
    }

    /// Large documents into the site's own store and back, and through `hilum convert`.
    async fn document(&self) -> Result<Vec<Row>> {
        let ports = free_ports(1)?;
        let mllp = ports.first().context("a free port")?;
        let listens = SocketAddr::from(([127, 0, 0, 1], *mllp));
        let steps = document::STEPS;
        let site = Site::write(&self.work.join("documents"), &channel(listens, steps))?;
        let mut program = self.started(&site)?;
        let mut rows = document::stored(&mut program, listens, site.fhir).await?;
        program.stop(STOP_WITHIN)?;
        rows.push(document::converted(&self.hilum, &self.work).await?);
        Ok(rows)
    }

    fn started(&self, site: &Site) -> Result<Program> {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(&self.hilum).arg("run");
        command.arg(&site.home).arg("--data").arg(&site.data);
        Program::start(&mut command, &site.log, READY_WITHIN)
    }
}

/// A site with a FHIR store, in an empty folder.
struct Site {
    home: PathBuf,
    data: PathBuf,
    log: PathBuf,
    fhir: SocketAddr,
}

impl Site {
    fn write(folder: &Path, channel: &str) -> Result<Self> {
        folder::empty(folder)?;
        let ports = free_ports(2)?;
        let [admin, fhir] = ports[..] else {
            bail!("two free ports were wanted");
        };
        let site = Self {
            home: folder.join("site"),
            data: folder.join("data"),
            log: folder.join("log"),
            fhir: SocketAddr::from(([127, 0, 0, 1], fhir)),
        };
        std::fs::create_dir_all(site.home.join("channels"))?;
        let text = format!(
            "site: bench\nadmin: 127.0.0.1:{admin}\nzone: Europe/Berlin\nfhir:\n  listen: {}\n",
            site.fhir
        );
        std::fs::write(site.home.join("hilum.yaml"), text)?;
        if !channel.is_empty() {
            std::fs::write(site.home.join("channels/results.yaml"), channel)?;
        }
        Ok(site)
    }
}

fn channel(listens: SocketAddr, steps: &str) -> String {
    format!(
        "channel: results\nabout: Results into the store\nowner: bench@hilum.example\n\
         from: {{ mllp: {{ listen: {listens} }} }}\nformat: hl7v2\norder: patient\n\
         to:\n  store:\n    fhir: {{ to: local, connections: 32 }}\n    steps:\n{steps}"
    )
}

/// A code system, a value set of all its codes, and a map of each to another system.
fn terminology() -> [Value; 3] {
    let codes = || (0..CODES).map(|at| format!("L{at}"));
    let concepts: Vec<Value> = codes()
        .map(|code| json!({ "code": code, "display": format!("Test {code}") }))
        .collect();
    let elements: Vec<Value> = codes()
        .map(|code| {
            json!({ "code": code, "target": [
                { "code": format!("T{code}"), "equivalence": "equivalent" }
            ] })
        })
        .collect();
    [
        json!({ "resourceType": "CodeSystem", "id": "bench", "url": SYSTEM, "status": "active",
            "content": "complete", "concept": concepts }),
        json!({ "resourceType": "ValueSet", "id": "bench", "url": SET, "status": "active",
            "compose": { "include": [{ "system": SYSTEM }] } }),
        json!({ "resourceType": "ConceptMap", "id": "bench", "url": MAP, "status": "active",
            "group": [{ "source": SYSTEM, "target": "http://hilum.example/bench/other",
                "element": elements }] }),
    ]
}

/// A result of thirty observations; each number has reports and orders of its own.
fn result(number: u64) -> Vec<u8> {
    let patient = number % PATIENTS;
    let mut text = format!(
        "MSH|^~\\&|LIS^2.16.840.1.1^ISO|NORTH|HUB|H|20260102030405+0100||ORU^R01^ORU_R01|R{number}|P|2.5.1\r\
         PID|1||{patient}^^^NORTH&1.2.3.4&ISO^MR||Ames^Ann^B.||19700102|F|||1 High St^^Town^^12345^GB^H\r\
         PV1|1|I|W1^R2^B3^NORTH|R|||1234^Adams^Ben|||MED||||||||V{patient}^^^NORTH\r\
         ORC|RE|P{number}^PAS|F{number}^LIS||CM||||20260102020000|||1234^Adams^Ben\r\
         OBR|1|P{number}^PAS|F{number}^LIS|24323-8^Metabolic panel^LN|||20260102010000|||||||||1234^Adams^Ben||||||20260102030000||LAB|F\r"
    );
    for at in 1..=OBSERVATIONS {
        text.push_str(&format!(
            "OBX|{at}|NM|2345-{at}^Glucose [Mass/volume] in Serum^LN||{}.{at}|mg/dL^^UCUM|70-105|N|||F|||20260102010000||77^Roe^Jan\r",
            80 + at
        ));
    }
    text.into_bytes()
}

/// Sends results from number `first` on; every one of them must be accepted. Accepted a second.
async fn sent(address: SocketAddr, first: u64, count: u64) -> Result<f64> {
    let message: MessageOf = Arc::new(move |number| result(first + number));
    let report = Load::new(address, SENDERS, count, message).run().await?;
    ensure!(
        report.failed.is_empty(),
        "{} of {count} results were not accepted; answers: {:?}",
        report.failed.len(),
        report.answers
    );
    Ok(report.rate())
}

/// Waits until the store has so many reports.
async fn stored(fhir: &mut Fhir, count: u64) -> Result<()> {
    let deadline = Instant::now() + DRAIN_WITHIN;
    loop {
        let found = fhir.json("DiagnosticReport?_summary=count").await?;
        let found = found["total"].as_u64().unwrap_or(0);
        if found >= count {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{found} of {count} reports were stored within {DRAIN_WITHIN:?}"
        );
        sleep(ASK_EVERY).await;
    }
}
