//! An import that was broken off goes on behind the files that it has read.
//!
//! After a file, everything that was read so far is handed over to be kept: which files, and the
//! table as it is by then. The same import of the same release begins with that. It is handed over
//! only when reading has gone far enough since the last time, so that keeping never takes a
//! considerable part of the time of reading.

use std::cell::{Cell, RefCell};

use sha2::{Digest as _, Sha256};

use super::Request;
use super::error::ImportError;
use super::input::{Input, Member};
use crate::table::{Damaged, Reader, TableBuilder, Writer};

/// Bytes that are read between two keepings, at least.
const STEP_BYTES: u64 = 1 << 20;
/// What was kept is written again when a fourth of its size has been read.
const SHARE: u64 = 4;
const MAGIC: &[u8; 8] = b"hilumimp";
const VERSION: u32 = 1;

/// Keeps what an import has read.
pub trait Keep {
    /// What was kept of the same import; it is given away.
    fn kept(&mut self) -> Option<Vec<u8>>;

    /// Keeps what was read so far, in the place of what was kept before. Where that is not possible
    /// the import goes on all the same.
    fn keep(&mut self, state: &[u8]);

    /// Bytes that are read between two keepings, at least.
    fn step_bytes(&self) -> u64 {
        STEP_BYTES
    }
}

/// How far an import was when it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Files that were read.
    pub files: usize,
    /// Files that there are to read.
    pub files_total: usize,
}

/// How far the import was that was kept as `state`; `None` if it is another one than the request, if
/// another version of the program kept it, or if it is damaged.
#[must_use]
pub fn progress(state: &[u8], request: &Request<'_>) -> Option<Progress> {
    let (head, _) = Head::read(state).ok()?;
    (head.about == about(request)).then_some(head.progress)
}

/// What an import is: what else than its files makes its outcome.
fn about(request: &Request<'_>) -> String {
    let parts = [
        env!("CARGO_PKG_VERSION"),
        request.kind.name(),
        request.version.unwrap_or_default(),
        request.url.unwrap_or_default(),
    ];
    parts.join("\n")
}

/// What an import has made of the files that it has read.
pub(super) trait Saved: Sized {
    fn save(&self, out: &mut Writer);
    fn restore(from: &mut Reader<'_>) -> Result<Self, Damaged>;
}

impl Saved for TableBuilder {
    fn save(&self, out: &mut Writer) {
        Self::save(self, out);
    }

    fn restore(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Self::restore(from)
    }
}

struct Head {
    about: String,
    progress: Progress,
    done: Vec<String>,
}

impl Head {
    fn read(state: &[u8]) -> Result<(Self, Reader<'_>), Damaged> {
        let (head, body) = state.split_at_checked(44).ok_or(Damaged::Other)?;
        let mut known = Vec::from(*MAGIC);
        known.extend_from_slice(&VERSION.to_le_bytes());
        known.extend_from_slice(&Sha256::digest(body));
        if head != known {
            return Err(Damaged::Checksum);
        }
        let mut from = Reader::new(body);
        let about = from.text()?.to_owned();
        let [files_total, files] = from.numbers()?[..] else {
            return Err(Damaged::Form);
        };
        let mut done = Vec::new();
        for _ in 0..files {
            done.push(from.text()?.to_owned());
        }
        let progress = Progress {
            files: files as usize,
            files_total: files_total as usize,
        };
        let head = Self {
            about,
            progress,
            done,
        };
        Ok((head, from))
    }
}

/// Which files an import has read.
#[derive(Default)]
pub(super) struct Parts<'k> {
    keep: Option<RefCell<&'k mut (dyn Keep + 'k)>>,
    about: String,
    done: RefCell<Vec<String>>,
    total: Cell<usize>,
    /// What the meter had counted when it was kept last, and how long that was.
    kept_at: Cell<u64>,
    kept_bytes: Cell<u64>,
}

impl std::fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

impl<'k> Parts<'k> {
    pub(super) fn new(request: &Request<'_>, keep: &'k mut (dyn Keep + 'k)) -> Self {
        Self {
            keep: Some(RefCell::new(keep)),
            about: about(request),
            ..Self::default()
        }
    }

    pub(super) fn expects(&self, files: usize) {
        self.total.set(self.total.get() + files);
    }

    /// What was kept of this import, or `new`.
    pub(super) fn resumed<S: Saved>(&self, new: impl FnOnce() -> S) -> S {
        let kept = self.keep.as_ref().and_then(|keep| keep.borrow_mut().kept());
        let restored = kept.and_then(|state| {
            let (head, mut from) = Head::read(&state).ok()?;
            if head.about != self.about {
                return None;
            }
            let restored = S::restore(&mut from).ok()?;
            self.kept_bytes.set(state.len() as u64);
            *self.done.borrow_mut() = head.done;
            Some(restored)
        });
        restored.unwrap_or_else(new)
    }

    fn keep<S: Saved>(&self, state: &S, read: u64) {
        let Some(keep) = &self.keep else {
            return;
        };
        let mut keep = keep.borrow_mut();
        let step = keep.step_bytes();
        let wanted = if step == 0 {
            0
        } else {
            step.max(self.kept_bytes.get() / SHARE)
        };
        if read - self.kept_at.get() < wanted {
            return;
        }
        let mut out = Writer::default();
        let done = self.done.borrow();
        out.text(&self.about);
        // A release has at most 100,000 files.
        out.numbers(&[self.total.get() as u32, done.len() as u32]);
        for name in done.iter() {
            out.text(name);
        }
        state.save(&mut out);
        let body = out.into_bytes();
        let mut kept = Vec::with_capacity(body.len() + 44);
        kept.extend_from_slice(MAGIC);
        kept.extend_from_slice(&VERSION.to_le_bytes());
        kept.extend_from_slice(&Sha256::digest(&body));
        kept.extend_from_slice(&body);
        keep.keep(&kept);
        self.kept_at.set(read);
        self.kept_bytes.set(kept.len() as u64);
    }
}

impl Input<'_> {
    /// Reads a file into what was made so far, unless that has been done; `what` tells apart what is
    /// read from one file.
    pub(super) fn part<S: Saved>(
        &self,
        state: &mut S,
        what: &str,
        member: &Member,
        read: impl FnOnce(&mut S) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let name = format!("{what} {}", member.name);
        if self.parts.done.borrow().contains(&name) {
            self.meter.passes(member.bytes());
            return Ok(());
        }
        read(state)?;
        self.parts.done.borrow_mut().push(name);
        self.parts.keep(state, self.meter.bytes());
        Ok(())
    }
}
