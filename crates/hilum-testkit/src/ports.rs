//! Ports for programs that must be told one. Prefer port 0 wherever the program can say which port
//! it got.
//!
//! They lie below those that systems give to outgoing connections, and a process claims them in
//! blocks as long as it lives: a port is listened on long after it was found free, and a listener
//! that comes back after a kill must not find it taken.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

const FROM: u16 = 12_000;
const TO: u16 = 32_000;
/// Ports that one process claims at once.
const BLOCK: u16 = 100;

/// What this process has claimed, and what it has not yet given away of it.
struct Claimed {
    locks: Vec<File>,
    ports: Vec<u16>,
}

static CLAIMED: Mutex<Claimed> = Mutex::new(Claimed {
    locks: Vec::new(),
    ports: Vec::new(),
});

/// A free port on loopback that nobody else gets from here as long as this process lives.
pub fn free_port() -> io::Result<u16> {
    let mut claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        while let Some(port) = claimed.ports.pop() {
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return Ok(port);
            }
        }
        claimed.claim()?;
    }
}

/// So many ports as [`free_port`] gives them.
pub fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    (0..count).map(|_| free_port()).collect()
}

impl Claimed {
    /// Claims the next block that no other process has.
    fn claim(&mut self) -> io::Result<()> {
        let blocks = (TO - FROM) / BLOCK;
        let first = u16::try_from(std::process::id() % u32::from(blocks)).unwrap_or_default();
        for block in (first..blocks).chain(0..first) {
            let path = std::env::temp_dir().join(format!("hilum-ports-{block}.lock"));
            let lock = File::create(path)?;
            if lock.try_lock().is_ok() {
                let start = FROM + block * BLOCK;
                self.locks.push(lock);
                self.ports.extend((start..start + BLOCK).rev());
                return Ok(());
            }
        }
        let text = "every block of ports on loopback is claimed";
        Err(io::Error::new(io::ErrorKind::AddrInUse, text))
    }
}
