//! Two hospitals' worth: a generated site of any number of channels, and what is sent to them.
//!
//! Channels come in blocks of ten: seven listen for MLLP, one takes HTTP, one
//! reads a folder, one subscribes to a topic that a channel of its block publishes to. They deliver
//! over MLLP to two records and over HTTP to two archives, and every system gets what many
//! channels send. The same number of channels gives the same site, apart from its ports.

mod feed;
mod systems;

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use feed::{Accepted, Feeder, Load, OWN, message};
pub use systems::Systems;

use crate::ports::free_ports;

/// Channels of one block.
const BLOCK: usize = 10;
/// Hospitals, each with a record and an archive of its own.
const SITES: usize = 2;

/// How a channel gets its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It listens here for MLLP.
    Mllp(SocketAddr),
    /// It takes requests here, under this path.
    Http(SocketAddr, String),
    /// It reads this folder; what was taken moves to the second one.
    Folder(PathBuf, PathBuf),
    /// It gets what the channel of this name publishes.
    Topic(String),
}

/// A generated channel.
#[derive(Clone, Debug)]
pub struct HospitalChannel {
    /// Its name.
    pub name: String,
    /// How it gets its messages.
    pub entry: Entry,
    /// Its file.
    pub file: PathBuf,
}

/// A generated site.
#[derive(Clone, Debug)]
pub struct Hospitals {
    /// Its folder.
    pub folder: PathBuf,
    /// Where the management API listens.
    pub admin: SocketAddr,
    /// Its channels.
    pub channels: Vec<HospitalChannel>,
}

/// Where the simulated systems listen.
#[derive(Clone, Copy, Debug)]
pub struct Peers {
    /// The records, over MLLP.
    pub records: [SocketAddr; SITES],
    /// The archives, over HTTP.
    pub archives: [SocketAddr; SITES],
}

impl Hospitals {
    /// Writes a site of so many channels.
    pub fn generate(folder: &Path, channels: usize, peers: Peers) -> io::Result<Self> {
        let ports = free_ports(channels + 1)?;
        let mut ports = ports.into_iter();
        let mut port = move || {
            let port = ports.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
            Ok::<_, io::Error>(SocketAddr::from(([127, 0, 0, 1], port)))
        };
        let admin = port()?;
        for part in ["channels", "systems"] {
            std::fs::create_dir_all(folder.join(part))?;
        }
        std::fs::write(
            folder.join("hilum.yaml"),
            format!(
                "site: two-hospitals\nadmin: {admin}\nretry: {{ first: 200ms, longest: 2s }}\n"
            ),
        )?;
        for (number, (record, archive)) in peers.records.iter().zip(peers.archives).enumerate() {
            let authority = "identifiers: [{ authority: STE, type: MR }]\n";
            let record =
                format!("system: record-{number}\naddresses:\n  mllp: {record}\n{authority}");
            let archive = format!(
                "system: archive-{number}\naddresses:\n  http: http://{archive}/hl7\n{authority}"
            );
            std::fs::write(folder.join(format!("systems/record-{number}.yaml")), record)?;
            std::fs::write(
                folder.join(format!("systems/archive-{number}.yaml")),
                archive,
            )?;
        }
        let sender =
            "system: sender\nabout: Whoever sends\nidentifiers: [{ authority: STE, type: MR }]\n";
        std::fs::write(folder.join("systems/sender.yaml"), sender)?;
        let mut all = Vec::new();
        for number in 0..channels {
            let name = format!("c{number:04}");
            let file = folder.join(format!("channels/{name}.yaml"));
            let entry = match number % BLOCK {
                6 => Entry::Topic(format!("c{:04}", number - 1)),
                7 => Entry::Http(port()?, format!("/{name}")),
                8 => Entry::Folder(
                    folder.join(format!("in/{name}")),
                    folder.join(format!("done/{name}")),
                ),
                _ => Entry::Mllp(port()?),
            };
            if let Entry::Folder(from, done) = &entry {
                std::fs::create_dir_all(from)?;
                std::fs::create_dir_all(done)?;
            }
            std::fs::write(&file, channel(number, &name, &entry))?;
            all.push(HospitalChannel { name, entry, file });
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            admin,
            channels: all,
        })
    }
}

fn channel(number: usize, name: &str, entry: &Entry) -> String {
    let site = number / BLOCK % SITES;
    let mut text = format!("channel: {name}\nfrom:\n");
    let from = match entry {
        Entry::Mllp(address) => format!("  mllp: {{ system: sender, listen: {address} }}\n"),
        Entry::Http(address, path) => {
            format!("  http: {{ system: sender, listen: {address}, path: {path} }}\n")
        }
        Entry::Folder(from, done) => format!(
            "  file:\n    system: sender\n    folder: {}\n    done: {}\n    error: {}\n    stable-for: 0s\n",
            from.display(),
            done.display(),
            done.with_extension("error").display()
        ),
        Entry::Topic(_) => format!("  topic: block-{}\n", number / BLOCK),
    };
    text.push_str(&from);
    text.push_str("format: hl7v2\norder: patient\nindex: { visit: PV1-19.1 }\nsteps:\n");
    text.push_str("  - filter: PID-3.1.exists()\n");
    // Of steps that differ from channel to channel, so that nothing can be shared.
    for step in 0..=number % 3 {
        writeln!(text, "  - set: {{ MSH-{}: \"'{name}'\" }}", 5 + step).ok();
    }
    let to = match number % BLOCK {
        5 => format!(
            "to:\n  topic:\n    topic: block-{}\n  record:\n    mllp: {{ system: record-{site} }}\n",
            number / BLOCK
        ),
        6 | 9 => format!("to:\n  archive:\n    http: {{ system: archive-{site} }}\n"),
        _ => format!("to:\n  record:\n    mllp: {{ system: record-{site} }}\n"),
    };
    text.push_str(&to);
    text
}
