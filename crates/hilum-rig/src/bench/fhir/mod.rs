//! Load on the FHIR server: import, reads, a mix of changes, searches, start and memory.
//!
//! The server has one core and the generator the other. The store is filled once with Synthea
//! bundles; all other rows are measured on what it then holds. Beside the import stands the limit
//! program: SQLite with the very rows that the store has, and nothing else. With a PostgreSQL store
//! the database server is not bound to a core.

mod bundles;
mod client;
mod draw;
mod import;
mod limit;
mod mix;
mod search;
mod shapes;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use hilum_testkit::database::{self, DATABASE, Database, PASSWORD, USER};
use tokio::time::Instant;

use super::report::{Report, Row};
use super::{STOP_WITHIN, page};
use crate::program::Program;
use crate::{folder, machine};

use bundles::Bundles;
use draw::Drawn;

pub(super) use client::Fhir;
pub(super) use mix::many;

const ROWS: [&str; 6] = ["import", "limit", "start", "read", "crud", "search"];
const READY_WITHIN: Duration = Duration::from_secs(120);
/// Where the example serves.
const ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 26680);

/// `hilum-rig fhir`
#[derive(Debug, Args)]
pub(crate) struct FhirBench {
    /// The program
    #[arg(long, value_name = "FILE")]
    hilum: PathBuf,
    /// The site to run
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "config/examples/fhir-server"
    )]
    site: PathBuf,
    /// Only these rows: import, limit, start, read, crud, search, micro
    #[arg(long, value_delimiter = ',', value_name = "ROW")]
    only: Vec<String>,
    /// Resources to import; with --long a million
    #[arg(long, default_value_t = 100_000)]
    resources: u64,
    /// A million resources
    #[arg(long)]
    long: bool,
    /// How long each rate is measured
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Goes on with the store of the last run instead of importing
    #[arg(long)]
    keep: bool,
    /// Keeps the resources in a PostgreSQL that is started for it
    #[arg(long, conflicts_with = "keep")]
    postgres: bool,
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

impl FhirBench {
    pub(crate) async fn run(self) -> Result<()> {
        let known = |name: &str| name == "micro" || ROWS.contains(&name);
        if let Some(unknown) = self.only.iter().find(|name| !known(name)) {
            bail!(
                "no row is called {unknown}; there are {}, micro",
                ROWS.join(", ")
            );
        }
        let mut report = Report::begin();
        self.say(format_args!("machine: {}", machine::described()));
        on_core(1)?;
        let bundles = Bundles::read(&self.work)?;
        let store = self.store()?;
        let mut program = self.filled(&store, &bundles, &mut report).await?;
        let drawn = Drawn::from(&bundles.sample, &mut Fhir::new(ADDRESS)).await?;
        for name in ROWS {
            let is_beside = name == "limit" && store.database.is_some();
            if !self.wants(name) || name == "import" || is_beside {
                continue;
            }
            let begun = Instant::now();
            let rows = match name {
                "start" => self.start(&store, &mut program).await,
                "read" => mix::reads(&program, &drawn, self.seconds).await,
                "crud" => mix::changes(&program, &bundles.sample, self.seconds).await,
                "search" => search::shapes(&program, &drawn, self.seconds).await,
                "limit" => {
                    program.stop(STOP_WITHIN)?;
                    let rows = limit::rows(&store.data, &self.work);
                    program = self.started(&store)?;
                    rows
                }
                other => bail!("no row is called {other}"),
            };
            let rows = rows.unwrap_or_else(|error| vec![Row::failed(name, &error)]);
            self.add(&mut report, rows);
            self.say(format_args!(
                "  {name} in {:.0} s",
                begun.elapsed().as_secs_f64()
            ));
            program.must_run()?;
        }
        program.stop(STOP_WITHIN)?;
        if self.wants("micro") {
            self.add(&mut report, super::micro::rows(&self.micro)?);
        }
        if self.json {
            println!("{:#}", report.json());
        } else {
            println!("\n{}", report.markdown());
        }
        if self.write {
            let part = if self.postgres {
                "fhir --postgres"
            } else {
                "fhir"
            };
            page::write(&self.page, part, &report.markdown())?;
        }
        Ok(())
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    fn say(&self, what: std::fmt::Arguments<'_>) {
        if !self.json {
            println!("{what}");
        }
    }

    fn add(&self, report: &mut Report, rows: Vec<Row>) {
        for row in &rows {
            self.say(format_args!("  {row}"));
        }
        report.add(rows);
    }

    /// Where the resources are kept.
    fn store(&self) -> Result<Store> {
        let data = self.work.join("fhir-data");
        if !self.postgres {
            let site = self.site.clone();
            return Ok(Store {
                data,
                site,
                database: None,
            });
        }
        let database = database::postgres_measured()?;
        let database = database.context("servers are left out: HILUM_SKIP_SERVERS")?;
        let site = self.work.join("fhir-site");
        folder::empty(&site)?;
        folder::copy(&self.site, &site)?;
        let file = site.join("hilum.yaml");
        let port = database.port;
        let section = format!(
            "fhir:\n  database:\n    url: postgres://{USER}@127.0.0.1:{port}/{DATABASE}\n    \
             password: file:password\n"
        );
        let text = std::fs::read_to_string(&file)?.replace("fhir:\n", &section);
        std::fs::write(&file, text)?;
        std::fs::write(site.join("password"), PASSWORD)?;
        Ok(Store {
            data,
            site,
            database: Some(database),
        })
    }

    /// A server with the resources that are wanted.
    async fn filled(
        &self,
        store: &Store,
        bundles: &Bundles,
        report: &mut Report,
    ) -> Result<Program> {
        if self.keep {
            ensure!(store.data.is_dir(), "there is no store of an earlier run");
            return self.started(store);
        }
        folder::empty(&store.data)?;
        let program = self.started(store)?;
        let wanted = if self.long { 1_000_000 } else { self.resources };
        let rows = import::run(&program, bundles, wanted, store).await?;
        self.add(report, rows);
        Ok(program)
    }

    fn started(&self, store: &Store) -> Result<Program> {
        let mut command = Command::new("taskset");
        command
            .args(["-c", "0"])
            .arg(&self.hilum)
            .arg("run")
            .arg(&store.site);
        command.arg("--data").arg(&store.data);
        Program::start(&mut command, &self.work.join("fhir.log"), READY_WITHIN)
    }

    /// Start to the first answer, and memory.
    async fn start(&self, store: &Store, program: &mut Program) -> Result<Vec<Row>> {
        let under_load = program.peak_mb()?;
        program.stop(STOP_WITHIN)?;
        let begun = Instant::now();
        *program = self.started(store)?;
        Fhir::new(ADDRESS).get("Patient?_count=1").await?;
        let first = begun.elapsed().as_secs_f64();
        Ok(vec![
            Row::new("start to first answer", first, "s")
                .at_most(1.0, 0.2)
                .decimals(2),
            Row::new("resident, most since the start", under_load, "MB").at_most(300.0, 150.0),
            Row::new("resident after a start", program.resident_mb()?, "MB"),
        ])
    }
}

/// Where the resources are kept: in a file of the data folder or in a database.
struct Store {
    data: PathBuf,
    site: PathBuf,
    database: Option<Database>,
}

impl Store {
    /// The size of it all, in bytes.
    fn bytes(&self) -> Result<u64> {
        let Some(database) = &self.database else {
            return Ok(folder::bytes(&self.data));
        };
        let size = database.sql("select pg_database_size(current_database())")?;
        Ok(size.parse()?)
    }
}

/// Keeps this program on one core; the server has the other.
pub(super) fn on_core(core: usize) -> Result<()> {
    let own = std::process::id().to_string();
    let status = Command::new("taskset")
        .args(["-a", "-c", "-p", &core.to_string(), &own])
        .stdout(std::process::Stdio::null())
        .status()?;
    ensure!(status.success(), "taskset: {status}");
    Ok(())
}
