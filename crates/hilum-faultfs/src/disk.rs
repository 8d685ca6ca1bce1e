//! Names, files and faults of one disk.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::faults::{Counts, Faults};
use crate::inode::Inode;
use crate::random::Random;
use crate::vfs::shm::SharedMemory;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    File(u64),
    Folder,
}

#[derive(Clone, Debug)]
enum NameChange {
    Link(PathBuf, Entry),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, Entry),
}

/// Locks of one file, as SQLite means them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Locks {
    pub(crate) shared: u32,
    pub(crate) reserved: bool,
    pub(crate) pending: bool,
    pub(crate) exclusive: bool,
}

/// The state of a disk.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) inodes: HashMap<u64, Inode>,
    pub(crate) names: BTreeMap<PathBuf, Entry>,
    durable: BTreeMap<PathBuf, Entry>,
    changes: Vec<NameChange>,
    next_inode: u64,
    pub(crate) faults: Faults,
    pub(crate) counts: Counts,
    pub(crate) dead: bool,
    pub(crate) locks: HashMap<u64, Locks>,
    pub(crate) shared_memory: HashMap<PathBuf, SharedMemory>,
}

pub(crate) fn io_error() -> io::Error {
    io::Error::other("the simulated disk failed")
}

impl State {
    pub(crate) fn check(&self) -> io::Result<()> {
        if self.dead { Err(io_error()) } else { Ok(()) }
    }

    /// Counts a write or sync, at which the power may go.
    fn step(&mut self) -> io::Result<()> {
        self.check()?;
        let done = self.counts.writes + self.counts.syncs;
        if self.faults.cut_at.is_some_and(|at| done >= at) {
            self.dead = true;
        }
        self.check()
    }

    fn syncs_fail(&self) -> bool {
        let from = self.faults.fail_syncs_from;
        from.is_some_and(|from| self.counts.syncs >= from)
    }

    pub(crate) fn file(&self, path: &Path) -> Option<u64> {
        match self.names.get(path) {
            Some(Entry::File(inode)) => Some(*inode),
            Some(Entry::Folder) | None => None,
        }
    }

    pub(crate) fn create(&mut self, path: &Path) -> io::Result<u64> {
        self.check()?;
        let inode = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(inode, Inode::default());
        self.link(path, Entry::File(inode));
        Ok(inode)
    }

    pub(crate) fn link(&mut self, path: &Path, entry: Entry) {
        self.names.insert(path.to_path_buf(), entry);
        let change = NameChange::Link(path.to_path_buf(), entry);
        self.changes.push(change);
    }

    pub(crate) fn unlink(&mut self, path: &Path) {
        if self.names.remove(path).is_some() {
            self.changes.push(NameChange::Unlink(path.to_path_buf()));
        }
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.check()?;
        let entry = self.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.names.insert(to.to_path_buf(), entry);
        let change = NameChange::Rename(from.to_path_buf(), to.to_path_buf(), entry);
        self.changes.push(change);
        Ok(())
    }

    /// Makes the names in a folder durable.
    pub(crate) fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
        self.step()?;
        self.counts.syncs += 1;
        if self.syncs_fail() {
            return Err(io_error());
        }
        let of = |path: &PathBuf| path.parent() == Some(folder);
        let (now, later) = std::mem::take(&mut self.changes)
            .into_iter()
            .partition(|change| match change {
                NameChange::Link(path, _) | NameChange::Unlink(path) => of(path),
                NameChange::Rename(from, to, _) => of(from) || of(to),
            });
        self.changes = later;
        let now: Vec<NameChange> = now;
        for change in &now {
            rename_in(&mut self.durable, change);
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, inode: u64, offset: usize, bytes: &[u8]) -> io::Result<()> {
        self.step()?;
        self.counts.writes += 1;
        let used: usize = self.inodes.values().map(|file| file.live.len()).sum();
        let writes = self.counts.writes;
        let short = self.faults.short_write_at == Some(writes);
        let capacity = self.faults.capacity;
        let file = self.inodes.get_mut(&inode).ok_or(io::ErrorKind::NotFound)?;
        let grows = (offset + bytes.len()).saturating_sub(file.live.len());
        if grows > 0 && capacity.is_some_and(|most| (used + grows) as u64 > most) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if short {
            file.write(offset, bytes.get(..bytes.len() / 2).unwrap_or_default());
            return Err(io_error());
        }
        file.write(offset, bytes);
        Ok(())
    }

    pub(crate) fn truncate(&mut self, inode: u64, length: usize) -> io::Result<()> {
        self.step()?;
        self.counts.writes += 1;
        let file = self.inodes.get_mut(&inode).ok_or(io::ErrorKind::NotFound)?;
        file.truncate(length);
        Ok(())
    }

    pub(crate) fn sync(&mut self, inode: u64) -> io::Result<()> {
        self.step()?;
        self.counts.syncs += 1;
        let fails = self.faults.fail_sync_at == Some(self.counts.syncs) || self.syncs_fail();
        let file = self.inodes.get_mut(&inode).ok_or(io::ErrorKind::NotFound)?;
        if fails {
            file.fail_sync();
            return Err(io_error());
        }
        file.sync();
        Ok(())
    }
}

fn rename_in(names: &mut BTreeMap<PathBuf, Entry>, change: &NameChange) {
    match change {
        NameChange::Link(path, entry) => {
            names.insert(path.clone(), *entry);
        }
        NameChange::Unlink(path) => {
            names.remove(path);
        }
        NameChange::Rename(from, to, entry) => {
            names.remove(from);
            names.insert(to.clone(), *entry);
        }
    }
}

/// A simulated disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct Disk {
    pub(crate) state: Arc<Mutex<State>>,
    root: Arc<Root>,
}

/// The folder of a disk, and its entry among the disks that SQLite may open.
#[derive(Debug)]
struct Root {
    path: PathBuf,
    number: u64,
}

impl Drop for Root {
    fn drop(&mut self) {
        crate::vfs::forget(self.number);
    }
}

static NEXT_DISK: AtomicU64 = AtomicU64::new(1);

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::holding(State::default(), None)
    }

    fn holding(state: State, path: Option<PathBuf>) -> Self {
        let number = NEXT_DISK.fetch_add(1, Ordering::Relaxed);
        let state = Arc::new(Mutex::new(state));
        let root = crate::vfs::root_of(number);
        crate::vfs::remember(number, &state);
        let disk = Self {
            state,
            root: Arc::new(Root {
                path: root.clone(),
                number,
            }),
        };
        disk.move_from(path.as_deref(), &root);
        disk
    }

    /// The names of the disk that was cut, under the root of this one.
    fn move_from(&self, old: Option<&Path>, new: &Path) {
        let Some(old) = old else {
            return;
        };
        let mut state = self.lock();
        let rebase = |(path, entry): (&PathBuf, &Entry)| {
            let inside = path.strip_prefix(old).unwrap_or(path);
            (new.join(inside), *entry)
        };
        state.names = state.names.iter().map(rebase).collect();
        state.durable = state.names.clone();
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A folder on this disk, for a journal.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.root.path.join("data")
    }

    /// The name of the SQLite VFS that reaches this disk.
    #[must_use]
    pub fn vfs(&self) -> Arc<str> {
        crate::vfs::NAME.into()
    }

    /// Sets the faults to come; counting starts anew.
    pub fn set_faults(&self, faults: Faults) {
        let mut state = self.lock();
        state.faults = faults;
        state.counts = Counts::default();
    }

    /// Writes and syncs since the faults were set.
    #[must_use]
    pub fn steps(&self) -> u64 {
        let counts = self.lock().counts;
        counts.writes + counts.syncs
    }

    /// Syncs since the faults were set.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.lock().counts.syncs
    }

    /// The power went.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// Bytes of all files.
    #[must_use]
    pub fn used(&self) -> u64 {
        let state = self.lock();
        state
            .inodes
            .values()
            .map(|file| file.live.len() as u64)
            .sum()
    }

    /// Flips a bit of a file, on the disk and in what is read; `false` if it is not that long.
    #[must_use]
    pub fn flip_bit(&self, path: &Path, offset: usize, bit: u8) -> bool {
        let mut state = self.lock();
        let inode = state.file(path);
        inode
            .and_then(|inode| state.inodes.get_mut(&inode))
            .is_some_and(|file| file.flip(offset, bit))
    }

    /// Another disk with what is on this one at the moment, as if all of it had been synced. Nothing
    /// may have a file of it open.
    #[must_use]
    pub fn copy(&self) -> Self {
        let state = self.lock();
        let inode = |(number, file): (&u64, &Inode)| (*number, Inode::on_disk(file.live.clone()));
        let copied = State {
            inodes: state.inodes.iter().map(inode).collect(),
            names: state.names.clone(),
            next_inode: state.next_inode,
            ..State::default()
        };
        drop(state);
        Self::holding(copied, Some(self.root.path.clone()))
    }

    /// Cuts the power: this disk fails from now on, and what it kept is on the one returned.
    #[must_use]
    pub fn power_cut(&self, seed: u64) -> Self {
        let mut state = self.lock();
        state.dead = true;
        let mut random = Random::new(seed);
        // Sometimes nothing of what was not synced is there, sometimes all of it.
        let percent = [0, 20, 50, 80, 100]
            .get(usize::try_from(random.below(5)).unwrap_or(0))
            .copied()
            .unwrap_or(50);
        let mut names = state.durable.clone();
        for change in &state.changes {
            if random.chance(percent) {
                rename_in(&mut names, change);
            }
        }
        // A name in a folder that was lost is lost with it.
        let folders: Vec<PathBuf> = names
            .iter()
            .filter(|(_, entry)| **entry == Entry::Folder)
            .map(|(path, _)| path.clone())
            .collect();
        let root = self.root.path.clone();
        let reachable = |path: &Path| {
            let inside = |parent: &Path| parent == root || folders.iter().any(|f| f == parent);
            path.parent().is_some_and(inside)
        };
        names.retain(|path, _| reachable(path));
        let mut inodes = HashMap::new();
        let mut numbers: Vec<u64> = state.inodes.keys().copied().collect();
        numbers.sort_unstable();
        for number in numbers {
            if let Some(file) = state.inodes.get(&number) {
                let content = file.after_cut(&mut random, percent);
                inodes.insert(number, Inode::on_disk(content));
            }
        }
        let kept = State {
            inodes,
            names,
            next_inode: state.next_inode,
            ..State::default()
        };
        drop(state);
        Self::holding(kept, Some(root))
    }
}
