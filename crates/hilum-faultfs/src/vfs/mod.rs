//! The disk as a SQLite VFS.
//!
//! One VFS is registered for all disks of the process; the first part of a path says which one is
//! meant. Every function called by SQLite turns errors into its codes and never unwinds.

mod file;
pub(crate) mod shm;

use std::collections::HashMap;
use std::ffi::{CStr, OsStr};
use std::os::raw::{c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};

use rusqlite::ffi;

use crate::disk::State;

/// The name of the VFS.
pub(crate) const NAME: &str = "hilum-fault";
const C_NAME: &CStr = c"hilum-fault";
/// Longest path.
const PATH_MAX: c_int = 512;

static DISKS: Mutex<Option<HashMap<u64, Weak<Mutex<State>>>>> = Mutex::new(None);
static REGISTER: Once = Once::new();
static RANDOM: AtomicU64 = AtomicU64::new(0x5EED);

/// The root of a disk.
pub(crate) fn root_of(number: u64) -> PathBuf {
    PathBuf::from(format!("/fault-disk-{number}"))
}

/// Lets SQLite find a disk.
pub(crate) fn remember(number: u64, state: &Arc<Mutex<State>>) {
    REGISTER.call_once(register);
    let mut disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
    disks
        .get_or_insert_default()
        .insert(number, Arc::downgrade(state));
}

/// The disk is gone.
pub(crate) fn forget(number: u64) {
    let mut disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
    disks.get_or_insert_default().remove(&number);
}

fn disk_of(path: &Path) -> Option<Arc<Mutex<State>>> {
    let first = path.components().nth(1)?;
    let Component::Normal(first) = first else {
        return None;
    };
    let number = first.to_str()?.strip_prefix("fault-disk-")?.parse().ok()?;
    let disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
    disks.as_ref()?.get(&number)?.upgrade()
}

/// The code for an error of the simulated disk.
pub(crate) fn code_of(error: &std::io::Error, otherwise: c_int) -> c_int {
    if error.kind() == std::io::ErrorKind::StorageFull {
        ffi::SQLITE_FULL
    } else {
        otherwise
    }
}

fn register() {
    let vfs = Box::new(ffi::sqlite3_vfs {
        iVersion: 2,
        szOsFile: c_int::try_from(size_of::<file::FaultFile>()).unwrap_or(c_int::MAX),
        mxPathname: PATH_MAX,
        pNext: std::ptr::null_mut(),
        zName: C_NAME.as_ptr(),
        pAppData: std::ptr::null_mut(),
        xOpen: Some(file::open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: Some(last_error),
        xCurrentTimeInt64: Some(current_time_ms),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    });
    // SAFETY: the VFS is valid, its name is static, and it is leaked, so it lives as long as
    // SQLite may use it. Registering fails only without memory; opening then fails by name.
    unsafe {
        ffi::sqlite3_vfs_register(Box::into_raw(vfs), 0);
    }
}

/// The path that SQLite passes.
///
/// # Safety
/// `name` is null or a string that ends with zero.
pub(crate) unsafe fn path_from(name: *const c_char) -> Option<PathBuf> {
    if name.is_null() {
        return None;
    }
    // SAFETY: as promised by the caller.
    let name = unsafe { CStr::from_ptr(name) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

unsafe extern "C" fn delete(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_folder: c_int,
) -> c_int {
    // SAFETY: SQLite passes a string.
    let Some(path) = (unsafe { path_from(name) }) else {
        return ffi::SQLITE_IOERR_DELETE;
    };
    let Some(disk) = disk_of(&path) else {
        return ffi::SQLITE_IOERR_DELETE;
    };
    let mut state = disk.lock().unwrap_or_else(PoisonError::into_inner);
    if state.check().is_err() {
        return ffi::SQLITE_IOERR_DELETE;
    }
    if state.file(&path).is_none() {
        return ffi::SQLITE_IOERR_DELETE_NOENT;
    }
    state.unlink(&path);
    let folder = path.parent().unwrap_or(&path);
    if sync_folder != 0 && state.sync_folder(folder).is_err() {
        return ffi::SQLITE_IOERR_DIR_FSYNC;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn access(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    result: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes a string.
    let Some(path) = (unsafe { path_from(name) }) else {
        return ffi::SQLITE_IOERR_ACCESS;
    };
    let Some(disk) = disk_of(&path) else {
        return ffi::SQLITE_IOERR_ACCESS;
    };
    let state = disk.lock().unwrap_or_else(PoisonError::into_inner);
    if state.check().is_err() {
        return ffi::SQLITE_IOERR_ACCESS;
    }
    let inode = state.file(&path).and_then(|inode| state.inodes.get(&inode));
    // As on a real disk, an empty file does not count as existing.
    let there =
        inode.is_some_and(|file| flags != ffi::SQLITE_ACCESS_EXISTS || !file.live.is_empty());
    // SAFETY: SQLite passes a place for the result.
    unsafe { *result = c_int::from(there) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_pathname(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    if name.is_null() {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: SQLite passes a string that ends with zero.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
    if bytes.len() > usize::try_from(room).unwrap_or(0) {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: `out` has room for `room` bytes, which was compared; the two do not overlap.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn randomness(
    _vfs: *mut ffi::sqlite3_vfs,
    count: c_int,
    out: *mut c_char,
) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    let seed = RANDOM.fetch_add(1, Ordering::Relaxed);
    let mut random = crate::random::Random::new(seed);
    for at in 0..count {
        // SAFETY: `out` has room for `count` bytes and `at` is below it.
        unsafe { *out.add(at) = (random.next() & 0x7F) as c_char };
    }
    c_int::try_from(count).unwrap_or(0)
}

unsafe extern "C" fn sleep(_vfs: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    let wait = u64::try_from(microseconds).unwrap_or(0);
    std::thread::sleep(std::time::Duration::from_micros(wait));
    microseconds
}

/// A fixed moment (2025-06-15) in milliseconds of the Julian calendar: nothing here needs the time.
const JULIAN_MS: i64 = 212_616_748_800_000;

unsafe extern "C" fn current_time(_vfs: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    // SAFETY: SQLite passes a place for the result.
    unsafe { *out = JULIAN_MS as f64 / 86_400_000.0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn current_time_ms(
    _vfs: *mut ffi::sqlite3_vfs,
    out: *mut ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite passes a place for the result.
    unsafe { *out = JULIAN_MS };
    ffi::SQLITE_OK
}

unsafe extern "C" fn last_error(
    _vfs: *mut ffi::sqlite3_vfs,
    _room: c_int,
    _out: *mut c_char,
) -> c_int {
    0
}
