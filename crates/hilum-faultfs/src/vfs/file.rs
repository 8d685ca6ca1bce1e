//! One open file, as SQLite calls it.

use std::os::raw::{c_char, c_int, c_void};
use std::path::PathBuf;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

use super::shm::{Held, PLACES};
use super::{code_of, disk_of, path_from};
use crate::disk::State;

/// What a real disk under Linux says of itself.
const SECTOR_BYTES: c_int = 4096;

/// What SQLite sees of an open file: its methods, then what is ours.
#[repr(C)]
pub(crate) struct FaultFile {
    base: ffi::sqlite3_file,
    open: *mut Open,
}

/// An open file.
struct Open {
    disk: Arc<Mutex<State>>,
    path: PathBuf,
    inode: u64,
    level: c_int,
    mapped: bool,
    held: Held,
    delete_on_close: bool,
    /// Its name becomes durable with its first sync, as SQLite does for logs that it creates.
    sync_name: bool,
}

impl Open {
    fn state(&self) -> MutexGuard<'_, State> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// The open file behind what SQLite passes.
///
/// # Safety
/// `file` was opened by [`open`] and is not closed; SQLite uses a file from one thread at a time.
unsafe fn of<'a>(file: *mut ffi::sqlite3_file) -> &'a mut Open {
    // SAFETY: as promised, `file` is the beginning of a `FaultFile` whose pointer `open` set.
    unsafe { &mut *(*file.cast::<FaultFile>()).open }
}

pub(super) unsafe extern "C" fn open(
    _vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes room for a `FaultFile`. Without methods it does not call close.
    unsafe { (*file).pMethods = std::ptr::null() };
    // SAFETY: SQLite passes null or a string.
    let Some(path) = (unsafe { path_from(name.cast::<c_char>()) }) else {
        return ffi::SQLITE_CANTOPEN;
    };
    let Some(disk) = disk_of(&path) else {
        return ffi::SQLITE_CANTOPEN;
    };
    let mut state = disk.lock().unwrap_or_else(PoisonError::into_inner);
    if state.check().is_err() {
        return ffi::SQLITE_CANTOPEN;
    }
    let mut sync_name = false;
    let inode = match state.file(&path) {
        Some(inode) => inode,
        None if flags & ffi::SQLITE_OPEN_CREATE == 0 => return ffi::SQLITE_CANTOPEN,
        None => {
            let logs = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL;
            sync_name = flags & logs != 0;
            match state.create(&path) {
                Ok(inode) => inode,
                Err(_) => return ffi::SQLITE_CANTOPEN,
            }
        }
    };
    drop(state);
    let open = Box::new(Open {
        disk,
        path,
        inode,
        level: ffi::SQLITE_LOCK_NONE,
        mapped: false,
        held: Held::default(),
        delete_on_close: flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0,
        sync_name,
    });
    // SAFETY: `file` has room for a `FaultFile`; `close` frees the box.
    unsafe {
        (*file.cast::<FaultFile>()).open = Box::into_raw(open);
        (*file).pMethods = &raw const METHODS;
        if !out_flags.is_null() {
            *out_flags = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file once.
    let mut open = unsafe { Box::from_raw((*file.cast::<FaultFile>()).open) };
    unlock_to(&mut open, ffi::SQLITE_LOCK_NONE);
    if open.delete_on_close {
        open.state().unlink(&open.path);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    out: *mut c_void,
    count: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { of(file) };
    let count = usize::try_from(count).unwrap_or(0);
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    let state = open.state();
    if state.check().is_err() {
        return ffi::SQLITE_IOERR_READ;
    }
    let live = state.inodes.get(&open.inode).map(|file| &file.live[..]);
    let there = live.and_then(|live| live.get(from..)).unwrap_or_default();
    let got = there.len().min(count);
    // SAFETY: `out` has room for `count` bytes; `got` is at most that and at most what is there.
    unsafe {
        std::ptr::copy_nonoverlapping(there.as_ptr(), out.cast::<u8>(), got);
        std::ptr::write_bytes(out.cast::<u8>().add(got), 0, count - got);
    }
    if got == count {
        ffi::SQLITE_OK
    } else {
        ffi::SQLITE_IOERR_SHORT_READ
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    count: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { of(file) };
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: SQLite passes that many bytes.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), count) };
    let at = usize::try_from(offset).unwrap_or(usize::MAX);
    let written = open.state().write(open.inode, at, bytes);
    match written {
        Ok(()) => ffi::SQLITE_OK,
        Err(error) => code_of(&error, ffi::SQLITE_IOERR_WRITE),
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: ffi::sqlite3_int64) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { of(file) };
    let size = usize::try_from(size).unwrap_or(0);
    match open.state().truncate(open.inode, size) {
        Ok(()) => ffi::SQLITE_OK,
        Err(_) => ffi::SQLITE_IOERR_TRUNCATE,
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { of(file) };
    let mut state = open.state();
    if state.sync(open.inode).is_err() {
        return ffi::SQLITE_IOERR_FSYNC;
    }
    if open.sync_name {
        let folder = open.path.parent().unwrap_or(&open.path);
        if state.sync_folder(folder).is_err() {
            return ffi::SQLITE_IOERR_DIR_FSYNC;
        }
        drop(state);
        open.sync_name = false;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_size(
    file: *mut ffi::sqlite3_file,
    out: *mut ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { of(file) };
    let state = open.state();
    if state.check().is_err() {
        return ffi::SQLITE_IOERR_FSTAT;
    }
    let length = state.inodes.get(&open.inode).map_or(0, |f| f.live.len());
    // SAFETY: SQLite passes a place for the result.
    unsafe { *out = ffi::sqlite3_int64::try_from(length).unwrap_or(0) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { of(file) };
    if open.level >= level {
        return ffi::SQLITE_OK;
    }
    let disk = open.disk.clone();
    let mut state = disk.lock().unwrap_or_else(PoisonError::into_inner);
    let locks = state.locks.entry(open.inode).or_default();
    if open.level == ffi::SQLITE_LOCK_NONE {
        if locks.pending || locks.exclusive {
            return ffi::SQLITE_BUSY;
        }
        locks.shared += 1;
        open.level = ffi::SQLITE_LOCK_SHARED;
    }
    if level >= ffi::SQLITE_LOCK_RESERVED && open.level < ffi::SQLITE_LOCK_RESERVED {
        if locks.reserved {
            return ffi::SQLITE_BUSY;
        }
        locks.reserved = true;
        open.level = ffi::SQLITE_LOCK_RESERVED;
    }
    if level == ffi::SQLITE_LOCK_EXCLUSIVE {
        locks.pending = true;
        open.level = ffi::SQLITE_LOCK_PENDING;
        if locks.shared > 1 {
            return ffi::SQLITE_BUSY;
        }
        locks.exclusive = true;
        open.level = ffi::SQLITE_LOCK_EXCLUSIVE;
    }
    ffi::SQLITE_OK
}

fn unlock_to(open: &mut Open, level: c_int) {
    let disk = open.disk.clone();
    let mut state = disk.lock().unwrap_or_else(PoisonError::into_inner);
    let locks = state.locks.entry(open.inode).or_default();
    if open.level >= ffi::SQLITE_LOCK_RESERVED && level < ffi::SQLITE_LOCK_RESERVED {
        locks.reserved = false;
        if open.level >= ffi::SQLITE_LOCK_PENDING {
            locks.pending = false;
            locks.exclusive = false;
        }
    }
    if open.level >= ffi::SQLITE_LOCK_SHARED && level < ffi::SQLITE_LOCK_SHARED {
        locks.shared = locks.shared.saturating_sub(1);
    }
    open.level = open.level.min(level);
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: an open file.
    unlock_to(unsafe { of(file) }, level);
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { of(file) };
    let state = open.state();
    let reserved = state.locks.get(&open.inode).is_some_and(|l| l.reserved);
    // SAFETY: SQLite passes a place for the result.
    unsafe { *out = c_int::from(reserved) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(
    _file: *mut ffi::sqlite3_file,
    _op: c_int,
    _arg: *mut c_void,
) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_file: *mut ffi::sqlite3_file) -> c_int {
    SECTOR_BYTES
}

unsafe extern "C" fn characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { of(file) };
    let disk = open.disk.clone();
    let mut state = disk.lock().unwrap_or_else(PoisonError::into_inner);
    if state.check().is_err() {
        return ffi::SQLITE_IOERR_SHMMAP;
    }
    let memory = state.shared_memory.entry(open.path.clone()).or_default();
    if !open.mapped {
        open.mapped = true;
        memory.users += 1;
    }
    let at = usize::try_from(region).unwrap_or(0);
    let bytes = usize::try_from(bytes).unwrap_or(0);
    // SAFETY: SQLite passes a place for the result.
    unsafe { *out = memory.map(at, bytes, extend != 0) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { of(file) };
    let from = usize::try_from(offset).unwrap_or(0);
    let to = (from + usize::try_from(count).unwrap_or(0)).min(PLACES);
    let disk = open.disk.clone();
    let mut state = disk.lock().unwrap_or_else(PoisonError::into_inner);
    let memory = state.shared_memory.entry(open.path.clone()).or_default();
    if memory.lock(&mut open.held, from..to, flags) {
        ffi::SQLITE_OK
    } else {
        ffi::SQLITE_BUSY
    }
}

unsafe extern "C" fn shm_barrier(_file: *mut ffi::sqlite3_file) {
    fence(Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _delete: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { of(file) };
    if !open.mapped {
        return ffi::SQLITE_OK;
    }
    open.mapped = false;
    let disk = open.disk.clone();
    let mut state = disk.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(memory) = state.shared_memory.get_mut(&open.path) {
        memory.users = memory.users.saturating_sub(1);
        if memory.users == 0 {
            // As after the last process: the next one builds it anew from the log.
            state.shared_memory.remove(&open.path);
        }
    }
    ffi::SQLITE_OK
}
