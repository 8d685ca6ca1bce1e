//! Sites that only the measurements need: relays side by side.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hilum_testkit::ports::free_ports;

use crate::folder;
use crate::program::Program;

/// Whose numbers the patients of every system have.
const IDENTIFIERS: &str = "\
identifiers:
  - { authority: STE, type: MR }
  - { authority: STE-VISIT, type: VN }
  - { authority: STE-ORDER, type: placer }
  - { authority: STE-LAB, type: filler }
";

const READY_WITHIN: Duration = Duration::from_secs(60);

/// A site of relays, each with the steps of the relay example.
#[derive(Debug)]
pub(super) struct Site {
    home: PathBuf,
    listens: Vec<SocketAddr>,
}

/// Which relays stand side by side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relays {
    pub(super) channels: usize,
    /// Destinations of each, all at the same receiver.
    pub(super) destinations: usize,
    /// What each destination has beyond its address.
    pub(super) more: &'static str,
    /// The steps before those of the relay example: lines of YAML.
    pub(super) steps: &'static str,
}

impl Relays {
    /// So many with one destination each.
    pub(super) const fn of(channels: usize) -> Self {
        Self {
            channels,
            destinations: 1,
            more: PLAIN,
            steps: PLAIN,
        }
    }
}

/// What the destinations of a site have beyond their address, and its channels beyond the steps of the
/// example: lines of YAML, or nothing.
const PLAIN: &str = "";
/// Critical results pass the backlog.
pub(super) const STAT_FIRST: &str =
    "    priority: iif(OBX-8.where($this in ('HH' | 'LL')).exists(), 10, 0)\n";

impl Site {
    /// Relays to one receiver, in an empty folder.
    pub(super) fn write(home: &Path, relays: Relays, receiver: SocketAddr) -> Result<Self> {
        let Relays {
            channels,
            destinations,
            more,
            steps,
        } = relays;
        folder::empty(home)?;
        let site = home.join("site");
        for part in ["channels", "systems"] {
            let part = site.join(part);
            std::fs::create_dir_all(&part).with_context(|| format!("create {}", part.display()))?;
        }
        let mut ports = free_ports(channels + 1)?.into_iter();
        let mut port = || {
            let port = ports.next().context("a free port")?;
            Ok::<_, anyhow::Error>(SocketAddr::from(([127, 0, 0, 1], port)))
        };
        let file = |path: &str, text: String| {
            std::fs::write(site.join(path), text).with_context(|| format!("write {path}"))
        };
        file(
            "hilum.yaml",
            format!(
                "site: bench\nadmin: {}\nretry: {{ first: 200ms, longest: 1s }}\n",
                port()?
            ),
        )?;
        file(
            "systems/receiver.yaml",
            format!("system: receiver\naddresses:\n  mllp: {receiver}\n{IDENTIFIERS}"),
        )?;
        file(
            "systems/sender.yaml",
            format!("system: sender\nabout: Whoever sends\n{IDENTIFIERS}"),
        )?;
        let connections = if channels > 10 { 1 } else { 8 };
        let to: String = (0..destinations)
            .map(|number| {
                format!(
                    "  receiver-{number}:\n    mllp: {{ system: receiver, connections: {connections} }}\n{more}"
                )
            })
            .collect();
        let mut listens = Vec::new();
        for number in 0..channels {
            let listen = port()?;
            let name = format!("relay-{number}");
            let text = format!(
                "channel: {name}\nfrom: {{ mllp: {{ system: sender, listen: {listen} }} }}\nformat: hl7v2\n\
                 order: PID-3.1\nindex: {{ patient-id: PID-3.1, ward: PV1-3.1 }}\n\
                 steps:\n{steps}  - filter: PV1-3.1.exists()\n  - set: {{ MSH-6: PV1-3.4 }}\n\
                 to:\n{to}"
            );
            file(&format!("channels/{name}.yaml"), text)?;
            listens.push(listen);
        }
        Ok(Self {
            home: home.to_path_buf(),
            listens,
        })
    }

    /// Where a channel listens.
    pub(super) fn listens(&self, channel: usize) -> Result<SocketAddr> {
        self.listens.get(channel).copied().context("such a channel")
    }

    /// The folder of its files.
    pub(super) fn folder(&self) -> PathBuf {
        self.home.join("site")
    }

    pub(super) fn start(&self, hilum: &Path) -> Result<Program> {
        let mut command = Command::new(hilum);
        command.arg("run").arg(self.folder());
        command.arg("--data").arg(self.home.join("data"));
        Program::start(&mut command, &self.home.join("hilum.log"), READY_WITHIN)
    }

    /// The folder of the journal.
    pub(super) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Removes everything.
    pub(super) fn remove(self) -> Result<()> {
        std::fs::remove_dir_all(&self.home)
            .with_context(|| format!("remove {}", self.home.display()))
    }
}
