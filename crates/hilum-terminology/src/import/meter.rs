//! How far an import is.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::rc::Rc;

/// Bytes between two tellings.
const STEP_BYTES: u64 = 1 << 20;

/// How far an import is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The file that is read.
    pub file: String,
    /// Bytes that were read, packed ones as they are packed.
    pub bytes: u64,
    /// Bytes that there are to read.
    pub bytes_total: u64,
    /// Concepts that were found.
    pub concepts: usize,
}

type Tell<'t> = dyn FnMut(&Seen) + 't;

/// Counts what is read and tells it now and then.
pub(super) struct Meter<'t> {
    total: Cell<u64>,
    read: Cell<u64>,
    told: Cell<u64>,
    concepts: Cell<usize>,
    file: RefCell<String>,
    tell: RefCell<&'t mut Tell<'t>>,
}

impl std::fmt::Debug for Meter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}

impl<'t> Meter<'t> {
    pub(super) fn new(tell: &'t mut Tell<'t>) -> Rc<Self> {
        Rc::new(Self {
            total: Cell::new(0),
            read: Cell::new(0),
            told: Cell::new(0),
            concepts: Cell::new(0),
            file: RefCell::default(),
            tell: RefCell::new(tell),
        })
    }

    /// A file of so many bytes is going to be read.
    pub(super) fn expects(&self, bytes: u64) {
        self.total.set(self.total.get() + bytes);
    }

    pub(super) fn begins(&self, file: &str) {
        file.clone_into(&mut self.file.borrow_mut());
    }

    pub(super) fn concepts(&self, concepts: usize) {
        self.concepts.set(concepts);
    }

    /// Bytes of a file that was read before.
    pub(super) fn passes(&self, bytes: u64) {
        self.add(bytes);
    }

    /// Bytes that were read.
    pub(super) fn bytes(&self) -> u64 {
        self.read.get()
    }

    fn add(&self, bytes: u64) {
        let read = self.read.get() + bytes;
        self.read.set(read);
        if read - self.told.get() >= STEP_BYTES {
            self.tell();
        }
    }

    /// Tells how far it is.
    pub(super) fn tell(&self) {
        self.told.set(self.read.get());
        let seen = Seen {
            file: self.file.borrow().clone(),
            bytes: self.read.get(),
            bytes_total: self.total.get().max(self.read.get()),
            concepts: self.concepts.get(),
        };
        (self.tell.borrow_mut())(&seen);
    }
}

/// Counts what is read through it.
#[derive(Debug)]
pub(super) struct Metered<'t, R> {
    pub(super) inner: R,
    pub(super) meter: Rc<Meter<'t>>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.meter.add(count as u64);
        Ok(count)
    }
}
