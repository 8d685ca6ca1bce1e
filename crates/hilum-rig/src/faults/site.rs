//! A site of relays, each with a receiver of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use hilum_testkit::ports::free_ports;

use crate::folder;
use crate::promise::Place;

/// Connections that a destination may have.
pub(super) const CONNECTIONS: usize = 4;

/// Whose numbers the patients of every system have.
const IDENTIFIERS: &str = "identifiers: [{ authority: STE, type: MR }]\n";

/// The written site.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) folder: PathBuf,
    pub(super) admin: SocketAddr,
    /// Where each channel listens.
    listens: Vec<(String, SocketAddr)>,
}

impl Site {
    /// A relay for each name and receiver. What does not answer is given up soon, and tried again
    /// soon, so that a fault of seconds is one of many attempts.
    pub(super) fn write(folder: &Path, relays: &[(&str, SocketAddr)]) -> Result<Self> {
        folder::empty(folder)?;
        let mut ports = free_ports(relays.len() + 1)?.into_iter();
        let mut free = || {
            let port = ports.next().context("a free port")?;
            Ok::<_, anyhow::Error>(SocketAddr::from(([127, 0, 0, 1], port)))
        };
        let file = |path: String, text: String| -> Result<()> {
            let path = folder.join(path);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
        };
        let admin = free()?;
        file(
            "hilum.yaml".to_owned(),
            format!("site: faults\nadmin: {admin}\nretry: {{ first: 100ms, longest: 500ms }}\n"),
        )?;
        file(
            "systems/sender.yaml".to_owned(),
            format!("system: sender\nabout: Whoever sends\n{IDENTIFIERS}"),
        )?;
        let mut listens = Vec::new();
        for (name, receiver) in relays {
            let listen = free()?;
            file(
                format!("systems/{name}-receiver.yaml"),
                format!("system: {name}-receiver\naddresses:\n  mllp: {receiver}\n{IDENTIFIERS}"),
            )?;
            file(
                format!("channels/{name}.yaml"),
                format!(
                    "channel: {name}\nfrom: {{ mllp: {{ system: sender, listen: {listen} }} }}\n\
                     format: hl7v2\norder: PID-3.1\n\
                     steps:\n  - filter: PV1-3.1.exists()\n  - set: {{ MSH-6: PV1-3.4 }}\n\
                     to:\n  receiver:\n    mllp: {{ system: {name}-receiver, \
                     connections: {CONNECTIONS}, answer-within: 400ms }}\n"
                ),
            )?;
            listens.push(((*name).to_owned(), listen));
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            admin,
            listens,
        })
    }

    /// Where a channel listens.
    pub(super) fn listens(&self, channel: &str) -> Result<SocketAddr> {
        let found = self.listens.iter().find(|(name, _)| name == channel);
        found.map(|(_, address)| *address).context("such a channel")
    }

    pub(super) fn place(&self, channel: &str) -> Place {
        Place {
            admin: self.admin,
            channel: channel.to_owned(),
        }
    }
}
