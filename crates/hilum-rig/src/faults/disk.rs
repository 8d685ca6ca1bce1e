//! A disk that fills up under load and has space again later.
//!
//! The program gets a small file system in memory, mounted where only it sees it, which needs the
//! right to make a mount namespace of one's own; where that is not given, the trial says that it
//! was not run. The test of the program over a simulated disk covers the same everywhere.
//!
//! What must hold: while the disk is full senders get negative answers and the program says why;
//! when there is space again it accepts without a restart, with every promise kept.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hilum_testkit::mllp::{Behaviour, Keep, Receiver};
use tokio::time::{Instant, sleep};

use super::site::Site;
use super::{LOOK_EVERY, PATIENCE, READY_WITHIN, STOP_WITHIN, Senders, kept};
use crate::api::Api;
use crate::folder;
use crate::program::Program;
use crate::promise::Load;
use crate::relay::Mix;

const CHANNEL: &str = "relay";
const SENDERS: u64 = 8;
const REST: Duration = Duration::from_millis(5);
/// Size of the file system, in megabytes.
const DISK_MB: u64 = 96;
/// What is left free when the rest is filled.
const LEFT_BYTES: u64 = 1_500_000;
/// How long the load runs before and after.
const AROUND: Duration = Duration::from_secs(2);
/// Negative answers that show that nothing is accepted.
const REFUSED: u64 = 50;

pub(super) async fn run(hilum: &Path, home: &Path, lasting: Duration) -> Result<()> {
    folder::empty(home)?;
    let data = home.join("data");
    std::fs::create_dir(&data)?;
    let Some(unshare) = own_mounts(&data) else {
        println!("not run: a full disk (no file system may be mounted here)");
        return Ok(());
    };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let receiver = Receiver::start_at(any, Behaviour::default(), Keep::Digests).await?;
    let site = Site::write(&home.join("site"), &[(CHANNEL, receiver.address())])?;
    let mut command = mounted(unshare, &data);
    command.arg(hilum).arg("run").arg(&site.folder);
    command.arg("--data").arg(&data);
    let mut program = Program::start(&mut command, &home.join("hilum.log"), READY_WITHIN)?;
    let mut load = Load::new(site.listens(CHANNEL)?, Mix::SomeLarge, SENDERS);
    load.rest = REST;
    let senders = Senders::start(load.clone());
    sleep(AROUND).await;

    let inside = program.sees(&data);
    let ballast = fill(&inside).context("fill the disk")?;
    until("senders are refused", || load.refused() >= REFUSED).await?;
    let mut api = Api::new(site.admin);
    // A small message may still fit between large ones, and then the disk was not full.
    let deadline = Instant::now() + PATIENCE;
    while api.get("/api/v1/status").await?["disk-full"] != true {
        let text = "the status does not say that the disk is full";
        ensure!(Instant::now() < deadline, text);
        sleep(LOOK_EVERY).await;
    }
    sleep(lasting).await;
    program.must_run()?;
    let (accepted, refused) = (load.accepted(), load.refused());
    std::fs::remove_file(&ballast).context("make space")?;
    let begun = Instant::now();
    until("messages are accepted again", || {
        load.accepted() >= accepted + SENDERS
    })
    .await?;
    let again = begun.elapsed();
    sleep(AROUND).await;

    let record = senders.end(Mix::SomeLarge, Vec::new()).await?;
    let summary = kept(&mut program, &site.place(CHANNEL), &record, &receiver).await?;
    println!(
        "full disk: {refused} refused, accepted again {again:.0?} after there was space; {summary}"
    );
    program.stop(STOP_WITHIN)?;
    std::fs::remove_dir_all(home).with_context(|| format!("remove {}", home.display()))
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        ensure!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// The arguments with which `unshare` gives a program mounts of its own here, if any do: plainly
/// with the right to mount, else within a user namespace.
fn own_mounts(data: &Path) -> Option<&'static str> {
    ["-m", "-Urm"].into_iter().find(|arguments| {
        let mut command = mounted(arguments, data);
        command
            .arg("true")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

/// A command that mounts a small file system and then becomes the program that is appended.
fn mounted(unshare: &str, data: &Path) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("mount -t tmpfs -o size={DISK_MB}m tmpfs \"$0\" && exec \"$@\"");
    command.args([unshare, "--", "sh", "-c", &script]).arg(data);
    command
}

/// A file that leaves little space.
fn fill(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("ballast");
    let mut file = File::create(&path)?;
    let block = vec![0_u8; 64 * 1024];
    // Until nothing more fits, which is the only way to know how much that is.
    let mut written = 0;
    while file.write_all(&block).is_ok() {
        written += block.len() as u64;
    }
    file.set_len(written.saturating_sub(LEFT_BYTES))?;
    Ok(path)
}
