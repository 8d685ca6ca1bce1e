//! Two hospitals' worth: hundreds of generated channels in one program.
//!
//! They start, one is reloaded under load, the program is killed under load and started again.
//! What must hold: a reload leaves the connections of all other channels alone, every message that
//! was accepted is found by control id, by patient and by channel, and reaches its receiver.
//! The loss of power is proved by a test of the program over a simulated disk, with the same site.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use hilum_testkit::hospitals::{Accepted, Entry, Feeder, Hospitals, Load, OWN, Systems, message};
use tokio::time::{Instant, sleep};

use crate::api::Api;
use crate::program::Program;
use crate::{folder, machine};

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(40);
/// How long the rest may take to arrive after the kill.
const ARRIVE_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the channels are under load before and after the reload.
const LOADED_FOR: Duration = Duration::from_secs(2);
/// Messages of a page of a search.
const PAGE: usize = 1_000;

/// `hilum-rig hospitals`
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The program
    #[arg(long, value_name = "FILE")]
    hilum: PathBuf,
    /// How many channels
    #[arg(long, default_value_t = 300)]
    channels: usize,
    /// All of it must be done within so many seconds
    #[arg(long, default_value_t = 60)]
    within: u64,
    /// Where the site, data and logs go
    #[arg(long, value_name = "FOLDER", default_value = "target/rig")]
    work: PathBuf,
}

impl Run {
    pub(crate) async fn run(self) -> Result<()> {
        println!("machine: {}", machine::described());
        let begun = Instant::now();
        let home = self.work.join("hospitals");
        folder::empty(&home)?;
        let systems = Systems::start().await?;
        let site = home
            .canonicalize()
            .with_context(|| format!("find {}", home.display()))?
            .join("site");
        let hospitals = Hospitals::generate(&site, self.channels, systems.peers())
            .context("generate the site")?;
        let mut program = self.start(&hospitals, &home)?;
        let idle_mb = program.resident_mb()?;
        println!(
            "{} channels: ready after {:.0?}, {idle_mb:.0} MB resident",
            self.channels, program.ready_after
        );

        let load = Load::start(&hospitals, 0);
        sleep(LOADED_FOR).await;
        let during = reload(&hospitals).await?;
        sleep(LOADED_FOR).await;
        let loaded_mb = program.resident_mb()?;
        program.must_run()?;
        program.kill()?;
        let accepted = load.end().await?;
        ensure!(!accepted.is_empty(), "nothing was accepted");
        println!(
            "reloaded one in {during:.0?} while {} connections went on; killed after {} messages \
             were accepted, {loaded_mb:.0} MB resident",
            load_bearing(&hospitals),
            accepted.len()
        );

        let mut program = self.start(&hospitals, &home)?;
        println!("ready again after {:.0?}", program.ready_after);
        let searched = Instant::now();
        let questions = found(&hospitals, &accepted).await?;
        println!(
            "{} messages found, by {questions} searches in {:.1?}",
            accepted.len(),
            searched.elapsed()
        );
        arrived(&systems, &accepted).await?;
        after(&hospitals).await?;
        program.stop(STOP_WITHIN)?;
        let took = begun.elapsed();
        println!("nothing is missing; {:.0} s in all", took.as_secs_f64());
        ensure!(
            took <= Duration::from_secs(self.within),
            "took {took:.0?}, more than {} s",
            self.within
        );
        std::fs::remove_dir_all(&home).with_context(|| format!("remove {}", home.display()))
    }

    fn start(&self, hospitals: &Hospitals, home: &Path) -> Result<Program> {
        let mut hilum = Command::new(&self.hilum);
        hilum.arg("run").arg(&hospitals.folder);
        hilum.arg("--data").arg(home.join("data"));
        Program::start(&mut hilum, &home.join("hilum.log"), READY_WITHIN)
    }
}

/// Channels whose connections must outlive the reload of another.
fn load_bearing(hospitals: &Hospitals) -> usize {
    let others = hospitals.channels.iter().skip(1);
    others
        .filter(|channel| matches!(channel.entry, Entry::Mllp(_)))
        .count()
}

/// Changes the first channel, source included, and reloads; a message on a kept connection of every
/// other channel goes through before and after.
async fn reload(hospitals: &Hospitals) -> Result<Duration> {
    let mut kept: Vec<(&str, Feeder)> = hospitals
        .channels
        .iter()
        .skip(1)
        .filter(|channel| matches!(channel.entry, Entry::Mllp(_)))
        .map(|channel| (channel.name.as_str(), Feeder::new(channel)))
        .collect();
    let mut number = OWN;
    let mut all_accept = async |when: &str| -> Result<()> {
        for (name, feeder) in &mut kept {
            number += 1;
            let yes = feeder.send(&message(number)).await;
            let yes = yes.with_context(|| format!("{name}, {when} the reload of another"))?;
            ensure!(yes, "{name} refused a message {when} the reload of another");
        }
        Ok(())
    };
    all_accept("before").await?;
    let Some(first) = hospitals.channels.first() else {
        bail!("there is no channel");
    };
    let text = std::fs::read_to_string(&first.file)?;
    let changed = text.replace("listen: ", "connections: 7, listen: ");
    ensure!(changed != text, "the first channel listens for MLLP");
    std::fs::write(&first.file, changed)?;
    let begun = Instant::now();
    let report = Api::new(hospitals.admin).post("/api/v1/reload").await?;
    let took = begun.elapsed();
    ensure!(
        report["changed"] == serde_json::json!([first.name]),
        "the reload changed {}",
        report["changed"]
    );
    all_accept("after").await?;
    Ok(took)
}

/// Every accepted message is there, by channel, and by control id and patient.
async fn found(hospitals: &Hospitals, accepted: &[Accepted]) -> Result<usize> {
    let mut api = Api::new(hospitals.admin);
    let mut questions = 0;
    for (at, channel) in hospitals.channels.iter().enumerate() {
        let mut ids: HashSet<String> = HashSet::new();
        let mut before = String::new();
        loop {
            let query = format!("channel={}&limit={PAGE}{before}", channel.name);
            let page = api.find(&query).await?;
            questions += 1;
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            ids.extend(page.iter().map(|row| text(&row["control-id"])));
            match page.last() {
                Some(last) if page.len() == PAGE => {
                    before = format!("&before={}", last["sequence"]);
                }
                Some(_) | None => break,
            }
        }
        let own: Vec<&Accepted> = accepted.iter().filter(|one| one.channel == at).collect();
        for one in &own {
            let id = one.message.control_id();
            ensure!(ids.contains(&id), "{id} of {} is lost", channel.name);
        }
        if let Some(one) = own.last() {
            let id = one.message.control_id();
            for query in [
                format!("control-id={id}"),
                format!(
                    "patient={}&channel={}",
                    one.message.patient_id(),
                    channel.name
                ),
            ] {
                let rows = api.find(&query).await?;
                questions += 1;
                let there = rows.iter().any(|row| row["control-id"] == id.as_str());
                ensure!(there, "{id} is not found by {query}");
            }
        }
    }
    Ok(questions)
}

/// What was accepted reaches its receiver.
async fn arrived(systems: &Systems, accepted: &[Accepted]) -> Result<()> {
    let deadline = Instant::now() + ARRIVE_WITHIN;
    loop {
        let seen = systems.seen();
        let missing = accepted
            .iter()
            .find(|one| !seen.contains(&one.message.control_id()));
        let Some(missing) = missing else {
            return Ok(());
        };
        if Instant::now() > deadline {
            bail!(
                "{} was accepted and did not arrive within {ARRIVE_WITHIN:?}",
                missing.message.control_id()
            );
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Every channel takes messages after the kill.
async fn after(hospitals: &Hospitals) -> Result<()> {
    let mut number = OWN * 2;
    for channel in &hospitals.channels {
        let mut feeder = Feeder::new(channel);
        if !feeder.can_send() {
            continue;
        }
        number += 1;
        let message = message(number);
        let yes = feeder.send(&message).await;
        let yes = yes.with_context(|| format!("{} after the kill", channel.name))?;
        ensure!(yes, "{} refuses messages after the kill", channel.name);
        let deadline = Instant::now() + ARRIVE_WITHIN;
        while !feeder.taken(&message) {
            ensure!(Instant::now() < deadline, "{} takes no files", channel.name);
            sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}
