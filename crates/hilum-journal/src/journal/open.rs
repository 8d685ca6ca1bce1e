//! Opening: find the files, recover what an unclean stop left, say what is to be done.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use hilum_db::rusqlite::Connection;
use hilum_db::{Cancel, DbError, Doing, Files, Readers, probe_sync, refuse_unsuitable};
use hilum_message::IndexKey;
use tokio::sync::watch;

use super::control::{Meta, has_log, key_of_partitions, read_meta, start_control};
use super::pool::ReadThreads;
use super::{Inner, Journal, Partitions, Pinned, Threads};
use crate::error::JournalError;
use crate::model::{CommitSink, Disposition};
use crate::options::{Background, JournalOptions};
use crate::partition::{Partition, Role};
use crate::read::placed_of;
use crate::recover::{self, Recovered};
use crate::salvage::{self, SetAside};
use crate::shared::Core;
use crate::state::{ControlWrite, StateMemory, unfolded_of};
use crate::upkeep::{self, PartitionName, Upkeep};

/// Longest read at start: counting a million deliveries may take a while.
const START_READ: Duration = Duration::from_secs(120);

/// What one file brings at start.
#[derive(Default)]
struct FoundIn {
    pending: HashMap<(Arc<str>, Arc<str>), recover::Backlog>,
    work: Vec<crate::read::StoredMessage>,
    completed: Vec<u64>,
    changes: Vec<crate::state::Change>,
    resends: Vec<recover::ResendEntry>,
    placed: Vec<crate::model::PendingDelivery>,
}

impl Journal {
    /// Opens (or makes) the journal in a folder.
    ///
    /// After an unclean stop every file's log is rewritten, synced, checkpointed and emptied
    /// before anything is accepted. What is found counts as accepted.
    ///
    /// # Errors
    /// If the place is unsuitable, or a file cannot be opened or recovered.
    pub fn open(
        dir: impl AsRef<Path>,
        options: &JournalOptions,
        sink: Arc<dyn CommitSink>,
    ) -> Result<(Self, Recovered), JournalError> {
        let dir = dir.as_ref();
        let files = &options.files;
        make_folder(&**files, dir)?;
        refuse_unsuitable(&**files, dir)?;
        let sync = probe_sync(&**files, dir)
            .map_err(|error| DbError::io("probe the syncs of", dir, error))?;
        let mut unclean = false;
        let mut aside = Vec::new();
        let control_path = dir.join("control.db");
        let known = files.len(&control_path);
        let known = known.map_err(|error| DbError::io("look at", &control_path, error))?;
        let (control, control_file) = start_control(dir, options, &mut unclean, &mut aside)?;
        let is_new = known.is_none() || !aside.is_empty();
        let readers = Readers::new(control_file, options.limits.readers_per_file.max(2));
        let mut meta = readers.read(&Cancel::new(), read_meta)?;
        let found = is_new.then(|| key_of_partitions(dir, options)).flatten();
        meta.index_key = found.unwrap_or(meta.index_key);
        let state = StateMemory::new(readers);
        state.set_folded(meta.folded);
        let folder = dir.to_path_buf();
        let core = Arc::new(Core::new(folder, options, sink, state, meta.index_key));
        core.sequence_is_above(meta.sequence);
        let partitions = find_partitions(&core, &meta, &mut unclean, &mut aside)?;
        let pool = match options.background {
            Background::Threads => ReadThreads::start(options.limits.read_threads)?,
            Background::Caller => ReadThreads::start(0)?,
        };
        let inner = Arc::new(Inner {
            core,
            partitions: RwLock::new(partitions),
            control,
            lanes: RwLock::new(HashMap::new()),
            index_key: IndexKey::new(meta.index_key),
            pool,
            upkeep: Mutex::new(Upkeep::default()),
        });
        if let Some(key) = found {
            inner.control(ControlWrite::IndexKey(key))?;
        }
        let mut recovered = inner.recover()?;
        recovered.unclean = unclean;
        recovered.set_aside.splice(0..0, aside);
        recovered.sync = Some(sync);
        let handles = match options.background {
            Background::Threads => upkeep::start_threads(&inner)?,
            Background::Caller => Vec::new(),
        };
        let threads = Threads {
            inner: inner.clone(),
            handles: Mutex::new(handles),
            open: watch::Sender::new(()),
        };
        let journal = Self {
            inner,
            threads: Arc::new(threads),
        };
        Ok((journal, recovered))
    }
}

/// Makes the journal's folder, and its name durable.
fn make_folder(files: &dyn Files, dir: &Path) -> Result<(), DbError> {
    let io = |error| DbError::io("create the folder", dir, error);
    files.create_dir(dir).map_err(io)?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    match files.sync_dir(parent.unwrap_or(Path::new("."))) {
        // A folder above that we may not read was not made by us.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        other => other.map_err(io),
    }
}

/// Finds the partitions of the folder, clears away what belongs to none, opens the last one.
fn find_partitions(
    core: &Arc<Core>,
    meta: &Meta,
    unclean: &mut bool,
    aside: &mut Vec<SetAside>,
) -> Result<Partitions, DbError> {
    let io = |error| DbError::io("list", &core.dir, error);
    let entries = core.files.list(&core.dir).map_err(io)?;
    let names: HashSet<String> = entries
        .iter()
        .filter_map(|entry| Some(entry.path.file_name()?.to_str()?.to_owned()))
        .collect();
    let mut found: Vec<PartitionName> = names
        .iter()
        .filter_map(|name| name.strip_suffix(".db")?.parse().ok())
        .collect();
    found.sort();
    for entry in &entries {
        remove_orphan(core, entry, &names)?;
    }
    let pinned = opened(core, "pinned", aside, |pinned| {
        *unclean |= has_log(pinned.file())?;
        pinned.start(Role::Pinned).map(drop)
    })?;
    core.sequence_is_above(pinned.shared.last());
    let last = found.len().saturating_sub(1);
    let mut list = Vec::with_capacity(found.len() + 1);
    for (at, name) in found.iter().enumerate() {
        let partition = opened(core, &name.to_string(), aside, |partition| {
            if has_log(partition.file())? {
                *unclean = true;
                partition.start(Role::Old)?;
                partition.stop();
            }
            if at == last && upkeep::still_fits(core, name, partition)? {
                Inner::start_open(partition)?;
                partition.shared.begin_at(core.sequence());
                Ok(())
            } else {
                partition.look()
            }
        })?;
        core.sequence_is_above(partition.shared.last());
        let pinned = meta.pinned.contains(&**partition.name());
        partition.pinned.store(pinned, Ordering::Release);
        list.push(partition);
    }
    // Files that were opened ahead and never used have no place in the order.
    list.retain(|partition| {
        partition.shared.last() > 0 || partition.writer().is_some() || found.is_empty()
    });
    if list.last().is_none_or(|last| last.writer().is_none()) {
        let name = upkeep::next_name(core, found.last());
        let partition = Partition::new(core, &name.to_string());
        Inner::start_open(&partition)?;
        partition.shared.begin_at(core.sequence());
        list.push(Arc::new(partition));
    }
    Ok(Partitions {
        list,
        next: None,
        pinned,
    })
}

/// Opens one file; if it is damaged, what can be read of it.
fn opened(
    core: &Arc<Core>,
    name: &str,
    aside: &mut Vec<SetAside>,
    mut open: impl FnMut(&Partition) -> Result<(), DbError>,
) -> Result<Arc<Partition>, DbError> {
    let partition = Partition::new(core, name);
    match open(&partition) {
        Ok(()) => Ok(Arc::new(partition)),
        Err(error) if salvage::is_damage(&error) => {
            aside.push(salvage::replace(core, &partition, &error)?);
            let partition = Partition::new(core, name);
            open(&partition)?;
            Ok(Arc::new(partition))
        }
        Err(error) => Err(error),
    }
}

/// Removes what a partition that was dropped left behind when its removal was interrupted.
fn remove_orphan(
    core: &Core,
    entry: &hilum_db::DirEntry,
    names: &HashSet<String>,
) -> Result<(), DbError> {
    let Some(name) = entry.path.file_name().and_then(|name| name.to_str()) else {
        return Ok(());
    };
    let suffixes = [
        ".blobs", ".db-wal", ".db-shm", ".idx", ".idx-wal", ".idx-shm",
    ];
    let owner = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
    let Some(owner) = owner.filter(|owner| owner.parse::<PartitionName>().is_ok()) else {
        return Ok(());
    };
    if names.contains(&format!("{owner}.db")) {
        return Ok(());
    }
    let io = |error| DbError::io("remove", &entry.path, error);
    if entry.is_dir {
        for inside in core.files.list(&entry.path).map_err(io)? {
            core.files.remove(&inside.path).map_err(io)?;
        }
        return core.files.remove_dir(&entry.path).map_err(io);
    }
    core.files.remove(&entry.path).map_err(io)
}

impl Partition {
    /// Reads what the journal has to know of a file that needs no writer.
    pub(crate) fn look(&self) -> Result<(), DbError> {
        let name = self.name().clone();
        self.readers.read(&Cancel::new(), |conn| {
            self.shared.names.load(conn, &name)?;
            let sql = "SELECT min(seq) FROM message UNION ALL SELECT max(seq) FROM message";
            let read = || {
                let mut statement = conn.prepare(sql)?;
                let rows = statement.query_map([], |row| row.get::<_, Option<u64>>(0))?;
                rows.collect::<Result<Vec<_>, _>>()
            };
            let bounds = read().doing("look into", &name)?;
            if let [Some(first), Some(last)] = bounds[..] {
                self.shared.begin_at(first);
                self.shared.reached(last);
            }
            Ok(())
        })
    }
}

impl Inner {
    fn recover(&self) -> Result<Recovered, JournalError> {
        let core = &self.core;
        let now_ms = core.clock.now_ms();
        let limits = &core.limits;
        let since_ms = now_ms.saturating_sub(limits.resend_window_ms);
        let mut recovered = Recovered::default();
        let mut work = Vec::new();
        let mut completed = HashSet::new();
        for partition in self.all(Pinned::Included) {
            let found = match self.found_in(&partition, since_ms) {
                Err(JournalError::Db(error)) if salvage::is_damage(&error) => {
                    let mended = self.mend(&partition, &error, &mut recovered.set_aside)?;
                    self.found_in(&mended, since_ms)?
                }
                other => other?,
            };
            for (destination, backlog) in found.pending {
                let all = recovered.pending.entry(destination);
                all.or_default().add(&backlog);
            }
            work.extend(found.work);
            completed.extend(found.completed);
            core.state.add(found.changes);
            recovered.resends.extend(found.resends);
            recovered.placed.extend(found.placed);
        }
        let surplus = recovered
            .resends
            .len()
            .saturating_sub(limits.resend_entries_max);
        recovered.resends.drain(..surplus);
        for message in work {
            if completed.contains(&message.sequence) {
                // Completed in a later partition, but the crash came before that was noted here.
                let sequence = message.sequence;
                self.route_or_keep(crate::partition::ops::Op::Finish { sequence });
                continue;
            }
            match message.disposition {
                Disposition::Held => recovered.holds.push(message),
                Disposition::BatchOpen => recovered.open_batches.push(message),
                Disposition::Received
                | Disposition::Accepted
                | Disposition::Filtered
                | Disposition::Refused
                | Disposition::Rejected
                | Disposition::Suppressed
                | Disposition::BatchClosed => recovered.received.push(message),
            }
        }
        for list in [
            &mut recovered.holds,
            &mut recovered.received,
            &mut recovered.open_batches,
        ] {
            list.sort_by_key(|message| message.sequence);
        }
        recovered.timers = core.state.due(now_ms, usize::MAX / 4)?;
        Ok(recovered)
    }

    /// What one file brings.
    fn found_in(&self, partition: &Partition, since_ms: u64) -> Result<FoundIn, JournalError> {
        let core = &self.core;
        let shared = &partition.shared;
        let mut found = FoundIn::default();
        let read = |conn: &Connection| {
            recover::count_pending(conn, shared, &mut found.pending)?;
            found.placed = placed_of(conn, shared)?;
            if !partition.pinned.load(Ordering::Acquire) {
                found.work = recover::open_work(conn, shared)?;
            }
            found.completed = recover::completed_in(conn, &shared.name)?;
            if *shared.name != *"pinned" {
                found.changes = unfolded_of(conn, &shared.name, core.state.folded())?;
                let limit = core.limits.resend_entries_max;
                found.resends = recover::resends_since(conn, shared, since_ms, limit)?;
                found.resends.reverse();
                load_dictionaries(core, conn, &shared.name)?;
            }
            Ok(())
        };
        let readers = &partition.readers;
        readers.read_within(START_READ, &Cancel::new(), read)?;
        self.remove_orphan_blobs(partition)?;
        Ok(found)
    }

    /// Puts what can be read of a damaged partition in its place.
    fn mend(
        &self,
        damaged: &Partition,
        error: &DbError,
        aside: &mut Vec<SetAside>,
    ) -> Result<Arc<Partition>, JournalError> {
        let name = damaged.name();
        let is_open = damaged.writer().is_some();
        let is_pinned = **name == *"pinned";
        aside.push(salvage::replace(&self.core, damaged, error)?);
        let mended = Arc::new(Partition::new(&self.core, name));
        if is_pinned {
            mended.start(Role::Pinned)?;
        } else if is_open {
            Self::start_open(&mended)?;
            mended.shared.begin_at(self.core.sequence());
        } else {
            mended.look()?;
        }
        let pinned = damaged.pinned.load(Ordering::Acquire);
        mended.pinned.store(pinned, Ordering::Release);
        let mut partitions = self.write_partitions();
        if is_pinned {
            partitions.pinned = mended.clone();
        }
        for known in &mut partitions.list {
            if known.name() == name {
                *known = mended.clone();
            }
        }
        Ok(mended)
    }

    /// Blobs whose message was never accepted.
    fn remove_orphan_blobs(&self, partition: &Partition) -> Result<(), DbError> {
        let folder = partition.blob_folder();
        let files = &self.core.files;
        let io = |error| DbError::io("clear", &folder, error);
        let entries = files.list(&folder).map_err(io)?;
        if entries.is_empty() {
            return Ok(());
        }
        let name = partition.name().clone();
        let known: HashSet<String> = partition.readers.read(&Cancel::new(), |conn| {
            let read = || {
                let mut statement = conn.prepare("SELECT name FROM blob")?;
                let rows = statement.query_map([], |row| row.get(0))?;
                rows.collect::<Result<_, _>>()
            };
            read().doing("read the blobs of", &name)
        })?;
        for entry in entries {
            let name = entry.path.file_name().and_then(|name| name.to_str());
            if name.is_none_or(|name| !known.contains(name)) {
                files.remove(&entry.path).map_err(io)?;
            }
        }
        Ok(())
    }
}

/// Takes up the newest dictionary of each channel.
fn load_dictionaries(core: &Core, conn: &Connection, file: &str) -> Result<(), DbError> {
    let read = || {
        let mut statement = conn.prepare("SELECT channel, bytes FROM dictionary")?;
        let rows = statement.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    for (channel, bytes) in read().doing("read the dictionaries of", file)? {
        if let Some(dictionary) = crate::codec::Dictionary::new(bytes.into()) {
            core.codecs.set_current(&channel.into(), dictionary);
        }
    }
    Ok(())
}
