//! The files of jobs: each job has a folder, named by its id, below the folder of the tenant.
//!
//! A file is written once, from its beginning to its end, and synced; the progress of a job names
//! only those that are complete. One that was left half written is replaced.

use std::io;
use std::path::{Path, PathBuf};

use hilum_db::{AppendFile, Files};
use hilum_fhir::IssueType;
use http::StatusCode;

use crate::fault::Fault;
use crate::tenant::Tenant;

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 256 * 1024;

impl Tenant {
    /// Where the files of a job lie.
    pub(crate) fn job_folder(&self, id: &str) -> PathBuf {
        self.jobs.join(id)
    }
}

/// Does file work beside the threads that serve sockets.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|_| Fault::failed("the work on a file was broken off"))?;
    done.map_err(|error| failed(&error))
}

fn failed(error: &io::Error) -> Fault {
    if error.kind() == io::ErrorKind::StorageFull {
        return Fault::new(
            StatusCode::INSUFFICIENT_STORAGE,
            IssueType::NoStore,
            "the disk is full",
        );
    }
    tracing::error!(%error, "a file of a FHIR job failed");
    Fault::failed("a file of the job failed")
}

/// Makes the folder of a job.
pub(crate) async fn make_folder(tenant: &Tenant, id: &str) -> Result<PathBuf, Fault> {
    let (files, jobs, folder) = (
        tenant.files.clone(),
        tenant.jobs.clone(),
        tenant.job_folder(id),
    );
    blocking(move || {
        files.create_dir(&jobs)?;
        files.create_dir(&folder)?;
        files.sync_dir(&jobs)?;
        Ok(folder)
    })
    .await
}

/// Removes the folder of a job with what is in it.
pub(crate) async fn remove_folder(tenant: &Tenant, id: &str) -> Result<(), Fault> {
    let (files, folder) = (tenant.files.clone(), tenant.job_folder(id));
    blocking(move || remove(&*files, &folder)).await
}

fn remove(files: &dyn Files, folder: &Path) -> io::Result<()> {
    for entry in files.list(folder)? {
        files.remove(&entry.path)?;
    }
    files.remove_dir(folder)
}

/// Removes folders whose jobs there are no more: a crash may have come between.
pub(super) async fn clean(tenant: &Tenant) -> Result<(), Fault> {
    let jobs = tenant.store.jobs().await?;
    let known: Vec<PathBuf> = jobs.iter().map(|job| tenant.job_folder(&job.id)).collect();
    let (files, folder) = (tenant.files.clone(), tenant.jobs.clone());
    blocking(move || {
        for entry in files.list(&folder)? {
            if entry.is_dir && !known.contains(&entry.path) {
                remove(&*files, &entry.path)?;
            }
        }
        Ok(())
    })
    .await
}

/// A file of lines in the making. Blocks: it is used within [`blocking`].
pub(crate) struct Lines {
    file: Box<dyn AppendFile>,
    buffer: Vec<u8>,
    /// Lines so far.
    pub(crate) count: u64,
    /// Bytes so far.
    pub(crate) bytes: u64,
}

impl Lines {
    /// Begins a file, in place of one that was left half written.
    pub(crate) fn create(files: &dyn Files, path: &Path) -> io::Result<Self> {
        files.remove(path)?;
        Ok(Self {
            file: files.create(path)?,
            buffer: Vec::with_capacity(BUFFER_BYTES + 4_096),
            count: 0,
            bytes: 0,
        })
    }

    /// Writes a line.
    pub(crate) fn push(&mut self, line: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(line);
        self.buffer.push(b'\n');
        self.count += 1;
        self.bytes += line.len() as u64 + 1;
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.append(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Returns when the file is on disk.
    pub(crate) fn finish(mut self, files: &dyn Files, folder: &Path) -> io::Result<()> {
        self.flush()?;
        self.file.sync()?;
        files.sync_dir(folder)
    }
}
