//! Reading the files of a site, from disk or from a snapshot that was kept.
//!
//! A path cannot leave the folder, neither by `..` nor through a link. Each file is read once, so
//! that everything that is built from it sees the same bytes.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Largest file that a component may read, in bytes.
pub const SITE_FILE_BYTES_MAX: u64 = 64_000_000;
/// Most files below one folder of a site.
pub const FILES_MAX: usize = 20_000;
/// Deepest folder below `channels/` and the like.
const FOLDER_DEPTH_MAX: usize = 8;

/// The folder of a site.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    source: Source,
    read: Mutex<BTreeMap<String, Arc<[u8]>>>,
}

#[derive(Debug)]
enum Source {
    Disk { canonical: Option<PathBuf> },
    Kept(BTreeMap<String, Arc<[u8]>>),
}

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReadError {
    /// The reason.
    pub message: String,
    /// The path does not lie in the folder.
    pub outside: bool,
}

impl ReadError {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            outside: false,
        }
    }

    fn outside() -> Self {
        Self {
            message: "it lies outside the site's folder".to_owned(),
            outside: true,
        }
    }
}

impl Folder {
    /// A folder on disk.
    #[must_use]
    pub fn on_disk(root: &Path) -> Self {
        let canonical = root.canonicalize().ok();
        Self {
            root: root.to_owned(),
            source: Source::Disk { canonical },
            read: Mutex::default(),
        }
    }

    /// Files that were kept with a plan; `root` is what components see as the folder.
    #[must_use]
    pub fn kept(root: &Path, files: impl IntoIterator<Item = (String, Arc<[u8]>)>) -> Self {
        let files = files.into_iter().collect();
        Self {
            root: root.to_owned(),
            source: Source::Kept(files),
            read: Mutex::default(),
        }
    }

    /// Where it lies.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder is there.
    #[must_use]
    pub fn exists(&self) -> bool {
        match &self.source {
            Source::Disk { .. } => self.root.is_dir(),
            Source::Kept(files) => !files.is_empty(),
        }
    }

    /// The bytes of a file, by its path from the folder.
    pub fn read(&self, path: &str) -> Result<Arc<[u8]>, ReadError> {
        let path = normal(path)?;
        if let Some(bytes) = self.lock().get(&path) {
            return Ok(bytes.clone());
        }
        let bytes = match &self.source {
            Source::Kept(files) => files
                .get(&path)
                .cloned()
                .ok_or_else(|| ReadError::new("there is no such file"))?,
            Source::Disk { canonical } => self.disk(&path, canonical.as_deref())?,
        };
        self.lock().insert(path, bytes.clone());
        Ok(bytes)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<[u8]>>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn disk(&self, path: &str, canonical: Option<&Path>) -> Result<Arc<[u8]>, ReadError> {
        let whole = self.root.join(path);
        let real = whole
            .canonicalize()
            .map_err(|error| ReadError::new(reason(&error)))?;
        if !canonical.is_some_and(|root| real.starts_with(root)) {
            return Err(ReadError::outside());
        }
        // Devices and pipes would block or never end.
        let file = real
            .metadata()
            .map_err(|error| ReadError::new(reason(&error)))?;
        if !file.is_file() {
            return Err(ReadError::new("it is no file"));
        }
        if file.len() > SITE_FILE_BYTES_MAX {
            return Err(ReadError::new(format!(
                "it has more than {SITE_FILE_BYTES_MAX} bytes"
            )));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(file.len()).unwrap_or(0));
        let open = std::fs::File::open(&real);
        open.and_then(|file| file.take(SITE_FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
            .map_err(|error| ReadError::new(reason(&error)))?;
        Ok(bytes.into())
    }

    /// Where a file lies that is too large to be read for a plan, by its path from the folder.
    pub fn find(&self, path: &str) -> Result<PathBuf, ReadError> {
        let path = normal(path)?;
        let Source::Disk { canonical } = &self.source else {
            return Err(ReadError::new("it was not kept"));
        };
        let whole = self.root.join(path);
        let real = whole
            .canonicalize()
            .map_err(|error| ReadError::new(reason(&error)))?;
        if !canonical
            .as_ref()
            .is_some_and(|root| real.starts_with(root))
        {
            return Err(ReadError::outside());
        }
        if !real.is_file() {
            return Err(ReadError::new("it is no file"));
        }
        Ok(real)
    }

    /// The files below a folder, with their paths from the site's folder, sorted; hidden ones are
    /// left out.
    #[must_use]
    pub fn list(&self, folder: &str) -> Vec<String> {
        let mut found = Vec::new();
        match &self.source {
            Source::Kept(files) => {
                let prefix = format!("{folder}/");
                let below = |path: &&String| path.starts_with(&prefix) || folder.is_empty();
                found.extend(files.keys().filter(below).cloned());
            }
            Source::Disk { .. } if folder.is_empty() || normal(folder).is_ok() => {
                walk(&self.root, folder, 0, &mut found);
            }
            Source::Disk { .. } => {}
        }
        found.sort_unstable();
        found
    }

    /// A file that was kept with a plan, if this is one that was kept.
    pub(crate) fn kept_file(&self, path: &str) -> Option<Arc<[u8]>> {
        match &self.source {
            Source::Kept(files) => files.get(path).cloned(),
            Source::Disk { .. } => None,
        }
    }

    /// Adds something that is no file of the folder and that its plan depends on.
    pub(crate) fn add(&self, path: &str, bytes: Arc<[u8]>) {
        self.lock().insert(path.to_owned(), bytes);
    }

    /// All files that were read so far.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<String, Arc<[u8]>> {
        self.lock().clone()
    }
}

fn walk(root: &Path, folder: &str, depth: usize, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
            continue;
        };
        if found.len() >= FILES_MAX {
            return;
        }
        let path = if folder.is_empty() {
            name.to_owned()
        } else {
            format!("{folder}/{name}")
        };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < FOLDER_DEPTH_MAX && !folder.is_empty() => {
                walk(root, &path, depth + 1, found);
            }
            Ok(kind) if kind.is_dir() => {}
            Ok(_) => found.push(path),
            Err(_) => {}
        }
    }
}

/// A path without `.`; an error if it could leave the folder.
fn normal(path: &str) -> Result<String, ReadError> {
    if path.is_empty() || path.len() > 1_024 || path.contains(['\0', '\\', ':']) {
        return Err(ReadError::new("it is no path of the site's folder"));
    }
    if path.starts_with('/') {
        return Err(ReadError::outside());
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(ReadError::outside()),
            _ => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// Why the operating system did not give a file, without its whole path.
pub(super) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "the program may not read it".to_owned(),
        // Kinds that say enough by themselves.
        _ => error.kind().to_string(),
    }
}
