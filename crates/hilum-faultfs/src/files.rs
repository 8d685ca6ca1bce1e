//! The disk as `Files`.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hilum_db::{AppendFile, DirEntry, Files};

use crate::disk::{Disk, Entry, State};

struct Append {
    state: Arc<Mutex<State>>,
    inode: u64,
}

impl AppendFile for Append {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let end = state.inodes.get(&self.inode).map_or(0, |f| f.live.len());
        state.write(self.inode, end, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sync(self.inode)
    }
}

impl Files for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let mut state = self.lock();
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let parent = path.parent().unwrap_or(path);
        if state.names.get(parent) != Some(&Entry::Folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inode = state.create(path)?;
        drop(state);
        Ok(Box::new(Append {
            state: self.state.clone(),
            inode,
        }))
    }

    fn read_at(&self, path: &Path, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let state = self.lock();
        state.check()?;
        let inode = state.file(path).ok_or(io::ErrorKind::NotFound)?;
        let live = state.inodes.get(&inode).map(|file| &file.live[..]);
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let there = live.and_then(|live| live.get(from..)).unwrap_or_default();
        let count = there.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..count), there.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }

    fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        let state = self.lock();
        state.check()?;
        let inode = state.file(path).and_then(|inode| state.inodes.get(&inode));
        Ok(inode.map(|file| file.live.len() as u64))
    }

    fn rewrite_and_sync(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let inode = state.file(path).ok_or(io::ErrorKind::NotFound)?;
        let live = state.inodes.get(&inode).map(|file| file.live.clone());
        state.write(inode, 0, &live.unwrap_or_default())?;
        state.sync(inode)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.lock().sync_folder(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.lock().rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.check()?;
        state.unlink(path);
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.check()?;
        if !state.names.contains_key(path) {
            state.link(path, Entry::Folder);
        }
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.check()?;
        let inside = state.names.keys().any(|name| name.parent() == Some(path));
        if inside {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.unlink(path);
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.lock();
        state.check()?;
        let inside = state
            .names
            .iter()
            .filter(|(name, _)| name.parent() == Some(path));
        Ok(inside
            .map(|(name, entry)| DirEntry {
                path: name.clone(),
                is_dir: *entry == Entry::Folder,
            })
            .collect())
    }

    fn unsuitable(&self, _path: &Path) -> io::Result<Option<String>> {
        Ok(None)
    }
}
