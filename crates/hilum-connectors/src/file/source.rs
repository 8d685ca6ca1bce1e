//! Files in: a file leaves the folder only after its message is durable.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use globset::GlobMatcher;
use hilum_component::{
    Arrival, BoxFuture, BuildContext, Built, Disposition, Intake, NotTaken, Partial, Peer, Problem,
    Reply, Source, SourceError, SourceFactory, Stop,
};
use hilum_message::{Metadata, Payload};
use serde_json::Value;

use super::config::{FileOrder, SourceConfig};
use super::destination::blocking;
use super::folder::{self, FileId, Waiting};
use crate::body::{Gather, Ungathered};
use crate::endpoint;

/// How much of a file is read at once.
const READ_BYTES: usize = 256 * 1024;
/// Files that were taken and cannot be moved, before the source gives up.
const STUCK_MAX: usize = 1_000;
/// Room for events of the folder; more wake the source once.
const EVENT_BYTES: usize = 4_096;

pub(super) fn build(value: &Value, context: &BuildContext<'_>) -> Built<SourceFactory> {
    let config: SourceConfig = endpoint::read(value)?;
    let mut problems = Vec::new();
    endpoint::noting(
        &mut problems,
        endpoint::system(context, config.system.as_ref()),
    );
    let matching = globset::Glob::new(&config.matching)
        .map(|glob| glob.compile_matcher())
        .map_err(|error| Problem::at(&["match"], error.kind().to_string()));
    let matching = endpoint::noting(&mut problems, matching);
    let done = match (&config.done, config.delete) {
        (Some(done), false) => Some(Done::Move(endpoint::path(context, done))),
        (None, true) => Some(Done::Delete),
        (Some(_), true) | (None, false) => {
            problems.push(
                Problem::at(
                    &[],
                    "either `done` or `delete` says what becomes of a file that was taken",
                )
                .hint("write `done: FOLDER`, or `delete: true`"),
            );
            None
        }
    };
    let folder = endpoint::path(context, &config.folder);
    let error = endpoint::path(context, &config.error);
    if folder == error || matches!(&done, Some(Done::Move(done)) if *done == folder) {
        problems.push(Problem::at(
            &["folder"],
            "`done` and `error` are folders of their own",
        ));
    }
    let (Some(matching), Some(done), true) = (matching, done, problems.is_empty()) else {
        return Err(problems);
    };
    let settings = Arc::new(Settings {
        folder,
        matching,
        watch: config.watch,
        every: config.every.duration().max(Duration::from_millis(1)),
        order: config.order,
        stable_for: config.stable_for.duration(),
        done,
        error,
        bytes_max: config.file_bytes_max.0,
    });
    Ok(Arc::new(move || {
        Box::new(FileSource {
            settings: Arc::clone(&settings),
            stuck: BTreeMap::new(),
            passes: 0,
        })
    }))
}

struct Settings {
    folder: PathBuf,
    matching: GlobMatcher,
    watch: bool,
    every: Duration,
    order: FileOrder,
    stable_for: Duration,
    done: Done,
    error: PathBuf,
    bytes_max: u64,
}

#[derive(Clone)]
enum Done {
    Move(PathBuf),
    Delete,
}

impl Done {
    /// Moves or deletes a file that was taken; gives its new path, if it has one.
    fn away(&self, file: &Path, id: FileId) -> io::Result<Option<PathBuf>> {
        let Some(claimed) = folder::claim(file, id)? else {
            return Ok(None);
        };
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("file");
        let done = match self {
            Self::Move(folder) => folder::move_as(&claimed, folder, name).map(Some),
            Self::Delete => std::fs::remove_file(&claimed).map(|()| None),
        };
        if done.is_err() {
            folder::give_back(&claimed, file)?;
        }
        done
    }
}

struct FileSource {
    settings: Arc<Settings>,
    /// Taken, but still in the folder, and what is to become of them.
    stuck: BTreeMap<String, (Done, FileId)>,
    passes: u64,
}

/// What a pass over the folder found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Everything that was there is taken.
    Empty,
    /// There may be more.
    More,
    /// The engine cannot take messages now.
    Wait,
}

impl Source for FileSource {
    fn open(&mut self) -> BoxFuture<'_, Result<Option<String>, SourceError>> {
        Box::pin(async {
            let settings = Arc::clone(&self.settings);
            let shown = settings.folder.display().to_string();
            blocking(move || settings.prepare()).await.map_err(|error| SourceError {
                retry: true,
                message: format!("open the folder {shown}: {error}"),
                hint: Some("make the folder, and give the user of the service the right to write there".to_owned()),
            })?;
            Ok(Some(self.settings.folder.display().to_string()))
        })
    }

    fn run<'a>(
        &'a mut self,
        intake: Intake,
        mut stop: Stop,
    ) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(async move {
            let mut events = self
                .settings
                .watch
                .then(|| self.settings.events())
                .flatten();
            loop {
                let pass = self.pass(&intake, &stop).await?;
                if stop.is_requested() {
                    return Ok(());
                }
                if pass == Pass::More {
                    continue;
                }
                let woken = async {
                    match &mut events {
                        Some(events) if pass == Pass::Empty => drop(events.next().await),
                        Some(_) | None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = stop.requested() => return Ok(()),
                    () = woken => {}
                    () = tokio::time::sleep(self.settings.every) => {}
                }
            }
        })
    }
}

impl Settings {
    /// Makes the folders that files are moved to, and sees that the source may take files away.
    fn prepare(&self) -> io::Result<()> {
        std::fs::read_dir(&self.folder)?;
        let probe = self
            .folder
            .join(format!(".hilum-{}.probe", std::process::id()));
        std::fs::write(&probe, b"")?;
        std::fs::remove_file(probe)?;
        std::fs::create_dir_all(&self.error)?;
        match &self.done {
            Done::Move(done) => std::fs::create_dir_all(done),
            Done::Delete => Ok(()),
        }
    }

    /// Wakes when a file is closed or moved in; `None` where that is not to be had (the regular
    /// looks find the files then).
    #[cfg(target_os = "linux")]
    fn events(&self) -> Option<inotify::EventStream<[u8; EVENT_BYTES]>> {
        use inotify::{Inotify, WatchMask};
        let started = || {
            let inotify = Inotify::init()?;
            inotify
                .watches()
                .add(&self.folder, WatchMask::CLOSE_WRITE | WatchMask::MOVED_TO)?;
            inotify.into_event_stream([0; EVENT_BYTES])
        };
        started()
            .inspect_err(|error| {
                let folder = self.folder.display();
                tracing::warn!(%folder, %error, "the folder cannot be watched, only looked at");
            })
            .ok()
    }

    #[cfg(not(target_os = "linux"))]
    fn events(&self) -> Option<futures_util::stream::Pending<()>> {
        None
    }
}

impl FileSource {
    /// Takes the files of one look.
    async fn pass(&mut self, intake: &Intake, stop: &Stop) -> Result<Pass, SourceError> {
        self.free_stuck().await?;
        let (settings, not) = (
            Arc::clone(&self.settings),
            self.stuck.keys().cloned().collect(),
        );
        let look = move || folder::look(&settings.folder, &settings.matching, settings.order, &not);
        let waiting = blocking(look)
            .await
            .map_err(|error| self.error("look at", &error))?;
        if waiting.is_empty() {
            return Ok(Pass::Empty);
        }
        if !self.settings.stable_for.is_zero() {
            let mut stop = stop.clone();
            tokio::select! {
                () = stop.requested() => return Ok(Pass::Empty),
                () = tokio::time::sleep(self.settings.stable_for) => {}
            }
        }
        self.passes += 1;
        let full = waiting.len() >= folder::LOOK_MAX;
        let (mut growing, mut failed) = (false, false);
        for seen in waiting {
            if stop.is_requested() {
                return Ok(Pass::Empty);
            }
            let settings = Arc::clone(&self.settings);
            let name = seen.name.clone();
            let open = move || Opened::if_unchanged(&settings.folder, &seen);
            let opened = match blocking(open).await {
                Ok(Some(opened)) => opened,
                Ok(None) => {
                    growing = true;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(file = %name, %error, "a file cannot be read");
                    failed = true;
                    continue;
                }
            };
            if self.take(intake, name, opened).await? == Disposition::Failed {
                return Ok(Pass::Wait);
            }
        }
        // Without a time to wait for, a file that grows is left to the next look.
        let again = growing && !self.settings.stable_for.is_zero();
        Ok(match (full || again, failed) {
            (_, true) => Pass::Wait,
            (true, false) => Pass::More,
            (false, false) => Pass::Empty,
        })
    }

    /// Takes one file and moves it away, if its message is recorded.
    async fn take(
        &mut self,
        intake: &Intake,
        name: String,
        opened: Opened,
    ) -> Result<Disposition, SourceError> {
        let (path, id) = (self.settings.folder.join(&name), opened.id);
        let peer = Peer {
            label: name.as_str().into(),
            connection: self.passes,
        };
        let payload = match opened.payload(intake, self.settings.bytes_max).await {
            Ok(payload) => payload,
            Err(Ungathered::TooLarge(first)) => {
                let why = NotTaken::TooLarge {
                    setting: "file-bytes-max",
                    bytes_max: self.settings.bytes_max,
                };
                let partial = Partial {
                    first,
                    total: self.settings.bytes_max,
                    peer,
                    why,
                };
                intake.refuse(partial).await;
                self.put_aside(name, id, "the file exceeds `file-bytes-max`")
                    .await?;
                return Ok(Disposition::Rejected);
            }
            Err(Ungathered::Io(error, _)) => {
                tracing::warn!(file = %name, %error, "a file cannot be read or stored");
                return Ok(Disposition::Failed);
            }
        };
        let metadata: Metadata = [("file", name.as_str())].into_iter().collect();
        let reply = intake
            .take(Arrival {
                payload,
                peer,
                metadata,
                remembers: None,
            })
            .await;
        match reply.disposition {
            Disposition::Accepted | Disposition::Filtered | Disposition::Held => {
                let done = self.settings.done.clone();
                let moved = blocking({
                    let done = done.clone();
                    move || done.away(&path, id).map(drop)
                });
                self.note_stuck(name, done, id, moved.await)?;
            }
            Disposition::Refused | Disposition::Rejected => {
                let reason = reason(&reply);
                self.put_aside(name, id, &reason).await?;
            }
            Disposition::Failed => {}
        }
        Ok(reply.disposition)
    }

    async fn put_aside(
        &mut self,
        name: String,
        id: FileId,
        reason: &str,
    ) -> Result<(), SourceError> {
        let from = self.settings.folder.join(&name);
        let aside = Done::Move(self.settings.error.clone());
        let reason = format!("{reason}\n");
        let moved = blocking({
            let aside = aside.clone();
            move || match aside.away(&from, id)? {
                Some(moved) => {
                    let mut why = moved.into_os_string();
                    why.push(".why");
                    std::fs::write(why, reason)
                }
                None => Ok(()),
            }
        });
        self.note_stuck(name, aside, id, moved.await)
    }

    /// A file that stays must not be taken again by the next look.
    fn note_stuck(
        &mut self,
        name: String,
        done: Done,
        id: FileId,
        moved: io::Result<()>,
    ) -> Result<(), SourceError> {
        let Err(error) = moved else { return Ok(()) };
        if error.kind() == io::ErrorKind::NotFound {
            return Ok(());
        }
        tracing::error!(file = %name, %error, "a file was taken and cannot be moved away");
        self.stuck.insert(name, (done, id));
        if self.stuck.len() > STUCK_MAX {
            return Err(self.error("move files out of", &error));
        }
        Ok(())
    }

    /// Files that were stuck are moved or deleted as soon as that is possible.
    async fn free_stuck(&mut self) -> Result<(), SourceError> {
        for (name, (done, id)) in std::mem::take(&mut self.stuck) {
            let from = self.settings.folder.join(&name);
            let moved = blocking({
                let done = done.clone();
                move || done.away(&from, id).map(drop)
            });
            self.note_stuck(name, done, id, moved.await)?;
        }
        Ok(())
    }

    fn error(&self, what: &str, error: &io::Error) -> SourceError {
        let folder = self.settings.folder.display();
        SourceError {
            retry: true,
            message: format!("{what} the folder {folder}: {error}"),
            hint: None,
        }
    }
}

fn reason(reply: &Reply) -> String {
    let reason = reply.reason.as_deref().unwrap_or("no reason was given");
    match reply.message {
        Some(id) => format!("{}: {reason}\nmessage {id}", reply.disposition.word()),
        None => format!("{}: {reason}", reply.disposition.word()),
    }
}

/// A file with its first bytes.
struct Opened {
    id: FileId,
    file: std::fs::File,
    first: Vec<u8>,
}

impl Opened {
    /// Opens a file if it is as it was seen, and reads its beginning, mostly the whole of it.
    fn if_unchanged(folder: &Path, seen: &Waiting) -> io::Result<Option<Self>> {
        let mut file = match std::fs::File::open(folder.join(&seen.name)) {
            Ok(file) => file,
            // Somebody else took it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if metadata.len() != seen.size || metadata.modified()? != seen.changed {
            return Ok(None);
        }
        let first = chunk(&mut file)?;
        Ok(Some(Self {
            id: FileId::of(&metadata),
            file,
            first,
        }))
    }

    /// Reads the rest in chunks, so that a large file needs little memory.
    async fn payload(self, intake: &Intake, max: u64) -> Result<Payload, Ungathered> {
        let Self {
            mut file,
            first: mut bytes,
            id: _,
        } = self;
        let mut gather = Gather::new(max);
        loop {
            gather.push(intake, &bytes).await?;
            if bytes.len() < READ_BYTES {
                return gather.finish().await;
            }
            let read = move || chunk(&mut file).map(|bytes| (file, bytes));
            (file, bytes) = blocking(read)
                .await
                .map_err(|error| Ungathered::Io(error, Bytes::new()))?;
        }
    }
}

/// The next bytes, fewer than [`READ_BYTES`] only at the end.
fn chunk(file: &mut std::fs::File) -> io::Result<Vec<u8>> {
    use io::Read;
    let mut bytes = Vec::new();
    file.take(READ_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
