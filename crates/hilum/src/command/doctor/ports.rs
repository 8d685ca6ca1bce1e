//! Who holds a port or a file's lock, as Linux says below `/proc`.
//!
//! What cannot be read there (another system, another user's process) is not known, which is no
//! error.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) id: u32,
    pub(super) name: String,
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (process {})", self.name, self.id)
    }
}

impl Process {
    fn of(id: u32) -> Self {
        let name = fs::read_to_string(format!("/proc/{id}/comm"));
        Self {
            id,
            name: name.map_or_else(|_| "a program".to_owned(), |name| name.trim().to_owned()),
        }
    }
}

/// The process that listens at an address, if it may be known.
pub(super) fn listener(address: SocketAddr) -> Option<Process> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| listening(&table, address.port()).map(str::to_owned))?;
    let wanted = format!("socket:[{inode}]");
    processes().find_map(|id| {
        let open = fs::read_dir(format!("/proc/{id}/fd")).ok()?;
        open.flatten()
            .any(|entry| fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy() == wanted))
            .then(|| Process::of(id))
    })
}

fn processes() -> impl Iterator<Item = u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The inode of the socket that listens at a port.
fn listening(table: &str, port: u16) -> Option<&str> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (local, state) = (words.nth(1)?, words.nth(1)?);
        let found = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
        (found == port && state == LISTEN)
            .then(|| words.nth(5))
            .flatten()
    })
}

/// The process that has locked a file, if one has and it may be known.
pub(super) fn locked_by(path: &Path) -> Option<Process> {
    let file = fs::metadata(path).ok()?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (id, place) = (words.get(4)?, words.get(5)?);
        let inode: u64 = place.rsplit(':').next()?.parse().ok()?;
        (inode == file.ino() && words.get(1) == Some(&"FLOCK"))
            .then(|| id.parse().ok().map(Process::of))
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_port_is_found_with_its_holder() {
        let listener_ = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = listener(listener_.local_addr().unwrap());
        assert_eq!(found.map(|process| process.id), Some(std::process::id()));
    }

    #[test]
    fn tables_of_another_form_hold_nothing() {
        for table in ["", "x\ny", "x\n 0: 0100007F:67F2 z 0A"] {
            assert_eq!(listening(table, 26610), None);
        }
    }
}
