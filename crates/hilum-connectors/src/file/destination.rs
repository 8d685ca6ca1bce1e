//! Files out: a temporary file, synced, then its name, then the folder synced.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use hilum_component::{
    BoxFuture, BuildContext, Built, Delivered, Delivery, DeliveryError, Destination,
    DestinationFactory, Format, Outcome, Problem, Reached,
};
use hilum_message::Piece;
use serde_json::Value;

use super::config::{DestinationConfig, Exists};
use super::folder;
use super::name::NameTemplate;
use crate::endpoint;

/// How much of a blob is copied at once.
const BLOB_CHUNK: usize = 256 * 1024;

pub(super) fn build(value: &Value, context: &BuildContext<'_>) -> Built<DestinationFactory> {
    let config: DestinationConfig = endpoint::read(value)?;
    let mut problems = Vec::new();
    endpoint::noting(
        &mut problems,
        endpoint::system(context, config.system.as_ref()),
    );
    let name = NameTemplate::parse(&config.name).map_err(|text| {
        Problem::at(&["name"], text)
            .hint("{id}, {control-id}, {channel}, {date}, {time} and {meta.NAME} may be used")
    });
    let Some(name) = endpoint::noting(&mut problems, name).filter(|_| problems.is_empty()) else {
        return Err(problems);
    };
    let shared = Arc::new(Settings {
        folder: endpoint::path(context, &config.folder),
        name,
        exists: config.exists,
        append: config.append.then(|| Bytes::from(config.separator)),
        format: Arc::clone(context.format),
        parts: AtomicU64::new(0),
    });
    Ok(Arc::new(move || {
        Arc::new(FileDestination {
            settings: Arc::clone(&shared),
        })
    }))
}

struct Settings {
    folder: PathBuf,
    name: NameTemplate,
    exists: Exists,
    /// The separator, if messages are added to a file.
    append: Option<Bytes>,
    format: Arc<dyn Format>,
    /// Numbers temporary files.
    parts: AtomicU64,
}

struct FileDestination {
    settings: Arc<Settings>,
}

/// A file under way; removed when it is dropped, unless it was published under its name.
struct Part {
    path: PathBuf,
}

impl Drop for Part {
    fn drop(&mut self) {
        // Published: there is nothing left to remove.
        drop(std::fs::remove_file(&self.path));
    }
}

impl Destination for FileDestination {
    fn send<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Outcome>> {
        endpoint::one_by_one(deliveries, |delivery| self.one(delivery))
    }

    fn address(&self) -> String {
        self.settings.folder.display().to_string()
    }

    /// Makes a hidden file and removes it again.
    fn reach(&self) -> BoxFuture<'_, Option<Result<Reached, DeliveryError>>> {
        Box::pin(async {
            let name = format!(".hilum-{}-reach.part", std::process::id());
            let part = Part {
                path: self.settings.folder.join(name),
            };
            let made = blocking(move || File::create(&part.path).map(drop)).await;
            Some(match made {
                Ok(()) => Ok(Reached::default()),
                Err(error) => Err(self.failed(&error)),
            })
        })
    }
}

impl FileDestination {
    async fn one(&self, delivery: &Delivery) -> Outcome {
        let settings = &self.settings;
        let Some(name) = settings.name.render(delivery, &*settings.format) else {
            return Err(
                DeliveryError::reject("file-name", "nothing of the name's values is left")
                    .hint("begin `name` with {id} or a constant"),
            );
        };
        let failed = |error: io::Error| self.failed(&error);
        if let Some(separator) = settings.append.clone() {
            let record = whole(delivery).await.map_err(failed)?;
            let path = settings.folder.join(&name);
            let write = move || folder::append(&path, &[&record, &separator]);
            blocking(write).await.map_err(failed)?;
            return Ok(Delivered {
                reply: None,
                summary: format!("added to {name}"),
            });
        }
        let number = settings.parts.fetch_add(1, Ordering::Relaxed);
        let part = format!(".hilum-{}-{number}.part", std::process::id());
        let part = Part {
            path: settings.folder.join(part),
        };
        write_part(&part.path, delivery).await.map_err(failed)?;
        let (home, exists) = (settings.folder.clone(), settings.exists);
        let published = blocking(move || publish(&home, &part.path, &name, exists)).await;
        match published.map_err(failed)? {
            Some(name) => Ok(Delivered {
                reply: None,
                summary: name,
            }),
            None => Err(
                DeliveryError::reject("file-exists", "there is a file of that name")
                    .hint("`exists` says what happens then; a name with {id} is never taken"),
            ),
        }
    }

    fn failed(&self, error: &io::Error) -> DeliveryError {
        let folder = self.settings.folder.display();
        let text = |what: &str| format!("write to {folder}: {what}");
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                DeliveryError::halt("file-permission", text("not permitted"))
                    .hint("give the user of the service the right to write there")
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                DeliveryError::retry("file-disk-full", text("there is no room left"))
            }
            io::ErrorKind::NotFound => {
                DeliveryError::retry("file-folder", text("there is no such folder"))
                    .hint("make the folder, or mount it")
            }
            _ => DeliveryError::retry("file", text(&error.to_string())),
        }
    }
}

fn publish(home: &Path, part: &Path, name: &str, exists: Exists) -> io::Result<Option<String>> {
    let target = home.join(name);
    match exists {
        Exists::Replace => {
            folder::publish_over(home, part, &target).map(|()| Some(name.to_owned()))
        }
        Exists::Reject => Ok(folder::publish_new(home, part, &target)?.then(|| name.to_owned())),
        Exists::Number => folder::publish_numbered(home, part, name),
    }
}

/// Writes and syncs the temporary file; blobs are copied in chunks.
async fn write_part(path: &Path, delivery: &Delivery) -> io::Result<()> {
    let path = path.to_path_buf();
    let mut file = blocking(move || File::create_new(path)).await?;
    for piece in delivery.payload.pieces() {
        match piece {
            Piece::Inline(bytes) => file = write(file, bytes).await?,
            Piece::Blob(range) => {
                let mut offset = 0;
                while offset < range.length {
                    let chunk = delivery.blobs.read(&range, offset, BLOB_CHUNK).await?;
                    if chunk.is_empty() {
                        return Err(io::Error::other("a blob is shorter than its range"));
                    }
                    offset += chunk.len() as u64;
                    file = write(file, chunk).await?;
                }
            }
        }
    }
    blocking(move || file.sync_all()).await
}

async fn write(mut file: File, bytes: Bytes) -> io::Result<File> {
    blocking(move || file.write_all(&bytes).map(|()| file)).await
}

/// The whole message in memory, for files that are added to.
async fn whole(delivery: &Delivery) -> io::Result<Bytes> {
    if let Some(inline) = delivery.payload.as_inline() {
        return Ok(inline.clone());
    }
    let mut out = Vec::new();
    for piece in delivery.payload.pieces() {
        match piece {
            Piece::Inline(bytes) => out.extend_from_slice(&bytes),
            Piece::Blob(range) => {
                let mut offset = 0;
                while offset < range.length {
                    let chunk = delivery.blobs.read(&range, offset, BLOB_CHUNK).await?;
                    if chunk.is_empty() {
                        return Err(io::Error::other("a blob is shorter than its range"));
                    }
                    offset += chunk.len() as u64;
                    out.extend_from_slice(&chunk);
                }
            }
        }
    }
    Ok(out.into())
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}
