//! `control.db` at start: made anew where it is lost, with what the partitions know of it.

use std::collections::HashSet;
use std::path::Path;

use hilum_db::rusqlite::Connection;
use hilum_db::{Cancel, DbError, DbFile, Doing, Readers, Writer, WriterLimits};

use crate::options::JournalOptions;
use crate::salvage::{self, SetAside};
use crate::schema;
use crate::state::{ControlHandler, ControlOp};
use crate::upkeep::PartitionName;

/// Page cache of the writer: enough for the pages above the leaves of a few million values.
const WRITER_CACHE_KIB: u32 = 8 * 1024;

/// What `control.db` says at start.
pub(super) struct Meta {
    pub(super) folded: u64,
    pub(super) sequence: u64,
    pub(super) index_key: [u8; 16],
    pub(super) pinned: HashSet<String>,
}

pub(super) fn start_control(
    dir: &Path,
    options: &JournalOptions,
    unclean: &mut bool,
    aside: &mut Vec<SetAside>,
) -> Result<(Writer<ControlOp>, DbFile), DbError> {
    let mut file = DbFile::new(
        dir.join("control.db"),
        options.files.clone(),
        schema::CONTROL,
    );
    file.vfs.clone_from(&options.vfs);
    file.synchronous = options.synchronous;
    *unclean |= has_log(&file)?;
    let mut writing = file.clone();
    writing.cache_kib = WRITER_CACHE_KIB;
    let start = || {
        let control = Writer::start(writing.clone(), WriterLimits::default(), ControlHandler)?;
        let readers = Readers::new(file.clone(), 1);
        readers.read(&Cancel::new(), read_meta)?;
        Ok(control)
    };
    let control = match start() {
        Err(error) if salvage::is_damage(&error) => {
            // What the partitions hold of it is folded again.
            let (kept_as, bytes) = salvage::set_aside(&file, &error)?;
            tracing::error!(%kept_as, %error, "control.db was set aside as damaged and made anew");
            aside.push(SetAside {
                file: file.name().clone(),
                kept_as,
                bytes,
                reason: error.to_string(),
                messages: 0,
                deliveries: 0,
                lost: 1,
            });
            start()?
        }
        other => other?,
    };
    Ok((control, file))
}

pub(super) fn has_log(file: &DbFile) -> Result<bool, DbError> {
    let wal = file.wal_path();
    let bytes = file.files.len(&wal);
    let bytes = bytes.map_err(|error| DbError::io("look at", &wal, error))?;
    Ok(bytes.is_some_and(|bytes| bytes > 0))
}

pub(super) fn read_meta(conn: &Connection) -> Result<Meta, DbError> {
    let read = || -> Result<Meta, hilum_db::rusqlite::Error> {
        let number = |name: &str| {
            let sql = "SELECT value FROM meta WHERE name = ?1";
            conn.query_row(sql, [name], |row| row.get::<_, u64>(0))
        };
        let sql = "SELECT value FROM meta WHERE name = 'index-key'";
        let index_key: Vec<u8> = conn.query_row(sql, [], |row| row.get(0))?;
        let mut statement = conn.prepare("SELECT partition FROM pinned")?;
        let pinned = statement.query_map([], |row| row.get::<_, String>(0))?;
        Ok(Meta {
            folded: number("folded")?,
            sequence: number("sequence")?,
            index_key: index_key.try_into().unwrap_or_default(),
            pinned: pinned.collect::<Result<_, _>>()?,
        })
    };
    read().doing("read", "control.db")
}

/// The index key as the newest partition that can be read has it: `control.db` was made anew.
pub(super) fn key_of_partitions(dir: &Path, options: &JournalOptions) -> Option<[u8; 16]> {
    let entries = options.files.list(dir).ok()?;
    let names = entries
        .iter()
        .filter_map(|entry| entry.path.file_name()?.to_str()?.strip_suffix(".db"));
    let mut names: Vec<PartitionName> = names.filter_map(|name| name.parse().ok()).collect();
    names.sort();
    let mut newest_first = names.iter().rev();
    newest_first.find_map(|name| {
        let path = dir.join(format!("{name}.db"));
        let mut file = DbFile::new(path, options.files.clone(), schema::PARTITION);
        file.vfs.clone_from(&options.vfs);
        let sql = "SELECT value FROM secret WHERE name = 'index-key'";
        let key = file
            .open_reader()
            .ok()?
            .query_row(sql, [], |row| row.get::<_, [u8; 16]>(0));
        key.ok()
    })
}
