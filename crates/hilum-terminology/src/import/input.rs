//! The files of a release: a folder, a zip, or one file.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::error::ImportError;
use super::meter::{Meter, Metered};
use super::parts::Parts;
use super::zip;

/// Folders within folders of a release.
const LEVELS_MAX: usize = 12;

/// A file of a release.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Its path below the release, with `/`.
    pub(super) name: String,
    place: Place,
    /// Bytes that are read from the disk for it.
    bytes: u64,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    Zipped(zip::Entry),
}

/// A stream of one file.
pub(super) type Stream<'t> = Box<dyn BufRead + 't>;

/// The files of a release.
#[derive(Debug)]
pub(super) struct Input<'t> {
    root: PathBuf,
    members: Vec<Member>,
    pub(super) meter: Rc<Meter<'t>>,
    pub(super) parts: Parts<'t>,
}

impl<'t> Input<'t> {
    /// Looks at what is there.
    pub(super) fn open(
        path: &Path,
        meter: Rc<Meter<'t>>,
        parts: Parts<'t>,
    ) -> Result<Self, ImportError> {
        let shown = path.display().to_string();
        let fails = |error| ImportError::Read(shown.clone(), error);
        let mut members = Vec::new();
        let is_dir = std::fs::metadata(path).map_err(fails)?.is_dir();
        let zipped = path
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("zip"));
        if is_dir {
            walk(path, "", &mut members, LEVELS_MAX).map_err(fails)?;
        } else if zipped {
            let mut file = File::open(path).map_err(fails)?;
            let entries = zip::entries(&mut file).map_err(fails)?;
            let entries = entries.map_err(|text| ImportError::Zip(shown.clone(), text))?;
            members.extend(entries.into_iter().map(|entry| Member {
                name: entry.name.clone(),
                bytes: entry.length,
                place: Place::Zipped(entry),
            }));
        } else {
            let name = path.file_name().unwrap_or_default();
            members.push(Member {
                name: name.to_string_lossy().into_owned(),
                bytes: std::fs::metadata(path).map_err(fails)?.len(),
                place: Place::File(path.to_owned()),
            });
        }
        members.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            root: path.to_owned(),
            members,
            meter,
            parts,
        })
    }

    /// The name of the folder, the zip or the file.
    pub(super) fn name(&self) -> String {
        let name = self.root.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Every file.
    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The files whose name (without folders) a test takes.
    pub(super) fn named(&self, fits: impl Fn(&str) -> bool) -> Vec<Member> {
        let all = self.members.iter();
        all.filter(|member| fits(member.file_name()))
            .cloned()
            .collect()
    }

    /// The first of the files that are called so, case aside.
    pub(super) fn find(&self, name: &str) -> Option<Member> {
        self.named(|own| own.eq_ignore_ascii_case(name))
            .into_iter()
            .next()
    }

    /// The same; an error where there is none.
    pub(super) fn need(&self, name: &'static str) -> Result<Member, ImportError> {
        // One file that was named is what was meant, whatever it is called.
        if let ([only], false) = (&*self.members, self.root.is_dir())
            && matches!(only.place, Place::File(_))
        {
            return Ok(only.clone());
        }
        self.find(name).ok_or_else(|| self.missing(name))
    }

    pub(super) fn missing(&self, wanted: &'static str) -> ImportError {
        ImportError::Missing {
            place: self.root.display().to_string(),
            wanted,
        }
    }

    /// Says which files are going to be read, so that the share is known.
    pub(super) fn expect<'m>(&self, members: impl IntoIterator<Item = &'m Member>) {
        for member in members {
            self.meter.expects(member.bytes);
            self.parts.expects(1);
        }
    }

    /// A file as a stream.
    pub(super) fn stream(&self, member: &Member) -> Result<Stream<'t>, ImportError> {
        self.meter.begins(&member.name);
        self.meter.tell();
        let fails = |error| ImportError::Read(member.name.clone(), error);
        let inner: Box<dyn Read> = match &member.place {
            Place::File(path) => Box::new(File::open(path).map_err(fails)?),
            Place::Zipped(entry) => {
                let file = File::open(&self.root).map_err(fails)?;
                Box::new(zip::open(file, entry).map_err(fails)?)
            }
        };
        let metered = Metered {
            inner,
            meter: Rc::clone(&self.meter),
        };
        Ok(Box::new(BufReader::with_capacity(1 << 16, metered)))
    }

    /// A file as a whole, up to so many bytes.
    pub(super) fn whole(&self, member: &Member, bytes_max: u64) -> Result<Vec<u8>, ImportError> {
        let mut bytes = Vec::new();
        let mut stream = self.stream(member)?.take(bytes_max + 1);
        let read = stream.read_to_end(&mut bytes);
        read.map_err(|error| ImportError::Read(member.name.clone(), error))?;
        if bytes.len() as u64 > bytes_max {
            let text = format!("it has more than {bytes_max} bytes");
            return Err(ImportError::File(member.name.clone(), text));
        }
        Ok(bytes)
    }
}

impl Member {
    /// Its name without folders.
    pub(super) fn file_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }

    /// Its name, its length and when it changed last.
    pub(super) fn stamp(&self) -> String {
        let changed = self
            .path()
            .and_then(|path| std::fs::metadata(path).ok()?.modified().ok());
        format!("{}\n{}\n{changed:?}\n", self.name, self.bytes)
    }

    /// Bytes that are read from the disk for it.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where it lies, unless it is in a zip.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Zipped(_) => None,
        }
    }
}

fn walk(folder: &Path, below: &str, into: &mut Vec<Member>, levels: usize) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let name = format!("{below}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() && levels > 0 {
            walk(&entry.path(), &format!("{name}/"), into, levels - 1)?;
        } else if kind.is_file() && into.len() < zip::ENTRIES_MAX {
            into.push(Member {
                name,
                bytes: entry.metadata()?.len(),
                place: Place::File(entry.path()),
            });
        }
    }
    Ok(())
}
