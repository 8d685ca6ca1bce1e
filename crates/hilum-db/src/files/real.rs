//! The operating system's files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{AppendFile, DirEntry, Files};

/// Bytes read and written back at once by [`Files::rewrite_and_sync`].
const REWRITE_CHUNK_BYTES: usize = 256 * 1024;

/// File systems on which a SQLite WAL or its locks cannot be trusted.
const NETWORK_FILE_SYSTEMS: [&str; 13] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
    "ncpfs",
    "gfs2",
    "ocfs2",
];

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFiles;

/// Bytes that are free for this program where `path` lies.
///
/// # Errors
/// As the file system says.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

struct RealAppend(File);

impl AppendFile for RealAppend {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}

impl Files for RealFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Box::new(RealAppend(file)))
    }

    fn read_at(&self, path: &Path, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        read_full(&File::open(path)?, offset, buf)
    }

    fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        match fs::metadata(path) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn rewrite_and_sync(&self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut chunk = vec![0; REWRITE_CHUNK_BYTES];
        let mut offset = 0;
        loop {
            let got = read_full(&file, offset, &mut chunk)?;
            if got == 0 {
                break;
            }
            file.write_all_at(chunk.get(..got).unwrap_or_default(), offset)?;
            offset += got as u64;
        }
        file.sync_all()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        gone_is_fine(fs::remove_file(path))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        gone_is_fine(fs::remove_dir(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            found.push(DirEntry {
                path: entry.path(),
                is_dir: entry.file_type()?.is_dir(),
            });
        }
        found.sort();
        Ok(found)
    }

    fn unsuitable(&self, path: &Path) -> io::Result<Option<String>> {
        let path = fs::canonicalize(path)?;
        // Without a mount table (not Linux) there is nothing to compare with.
        let Ok(mounts) = fs::read_to_string("/proc/self/mounts") else {
            return Ok(None);
        };
        Ok(file_system_of(&mounts, &path).filter(|kind| is_network(kind)))
    }
}

fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn read_full(file: &File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = buf.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + got as u64) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// The type of the deepest mount that holds `path`; of several mounted there, the last one.
fn file_system_of(mounts: &str, path: &Path) -> Option<String> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (_, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
            let point = point.replace("\\040", " ");
            path.starts_with(&point)
                .then(|| (point.len(), kind.to_owned()))
        })
        .max_by_key(|(depth, _)| *depth)
        .map(|(_, kind)| kind)
}

fn is_network(kind: &str) -> bool {
    NETWORK_FILE_SYSTEMS.contains(&kind) || kind.starts_with("fuse.sshfs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_network_file_system_that_holds_a_path() {
        let mounts = "/dev/sda / ext4 rw 0 0\nsrv:/x /mnt/share nfs4 rw 0 0\n\
                      /dev/sdb /mnt/share/local\\040disk xfs rw 0 0\n";
        for (path, expected) in [
            ("/var/lib/hilum", "ext4"),
            ("/mnt/share/hilum", "nfs4"),
            ("/mnt/share/local disk/hilum", "xfs"),
        ] {
            let kind = file_system_of(mounts, Path::new(path)).unwrap();
            assert_eq!(kind, expected, "{path}");
            assert_eq!(is_network(&kind), expected == "nfs4");
        }
    }

    #[test]
    fn what_was_appended_is_read_back_and_removed_names_are_gone() {
        let dir = tempfile::tempdir().unwrap();
        let files = RealFiles;
        let path = dir.path().join("a");
        let mut file = files.create(&path).unwrap();
        file.append(b"hello ").unwrap();
        file.append(b"there").unwrap();
        file.sync().unwrap();
        assert!(files.create(&path).is_err(), "creating does not truncate");
        files.rewrite_and_sync(&path).unwrap();
        let mut buf = [0; 16];
        assert_eq!(files.read_at(&path, 6, &mut buf).unwrap(), 5);
        assert_eq!(&buf[..5], b"there");
        assert_eq!(files.len(&path).unwrap(), Some(11));
        let moved = dir.path().join("b");
        files.rename(&path, &moved).unwrap();
        files.sync_dir(dir.path()).unwrap();
        assert_eq!(files.list(dir.path()).unwrap().len(), 1);
        files.remove(&moved).unwrap();
        files.remove(&moved).unwrap();
        assert_eq!(files.len(&moved).unwrap(), None);
        assert_eq!(files.unsuitable(dir.path()).unwrap(), None);
    }
}
