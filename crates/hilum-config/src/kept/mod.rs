//! Plans that are kept beside the messages that they processed.
//!
//! ```text
//! <folder>/<digest of the plan>.json   the program, the environment, the channels with their
//!                                      digests, and for each file of the site its path and digest
//! <folder>/files/<digest>              the files, each once, however many plans use it
//! ```
//! Both are written under another name, synced and renamed, the files first: a plan that is there
//! is whole. No secret is kept, only the references to them that the files hold.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hilum_component::Plan;
use hilum_message::PlanDigest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The folder of the files.
const FILES: &str = "files";
/// How the name of a kept plan ends.
const ENDING: &str = ".json";

/// A folder of plans.
#[derive(Debug)]
pub struct KeptPlans {
    folder: PathBuf,
    /// The plan that was kept last: it is about to run, or runs.
    last: Mutex<Option<String>>,
}

/// What is kept of a plan.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Manifest {
    /// The version of the program that made it.
    program: String,
    /// The environment that was asked for.
    environment: Option<String>,
    /// The digests of its channels.
    channels: BTreeMap<String, String>,
    /// The digests of the files by their paths.
    files: BTreeMap<String, String>,
}

/// A plan that was kept.
#[derive(Clone, Debug)]
pub struct KeptPlan {
    /// Its digest, in hexadecimal digits.
    pub digest: String,
    /// The version of the program that made it.
    pub program: String,
    /// The environment that was asked for.
    pub environment: Option<String>,
    /// The files, for [`crate::load_kept`].
    pub files: BTreeMap<String, Arc<[u8]>>,
}

/// Why a plan cannot be kept or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeptError {
    /// A file cannot be read or written.
    #[error("cannot use {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A kept plan is not what was written.
    #[error("the kept plan {path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// Too few digits.
    #[error("several kept plans begin with {0}; give more digits")]
    Ambiguous(String),
}

impl KeptPlans {
    /// A folder of plans, made where it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(folder: &Path) -> Result<Self, KeptError> {
        let files = folder.join(FILES);
        std::fs::create_dir_all(&files).map_err(of(&files))?;
        sync(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            last: Mutex::default(),
        })
    }

    /// Keeps a plan with the files that it was made of, durably; to be called before it runs.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn keep(
        &self,
        plan: &Plan,
        environment: Option<&str>,
        files: &BTreeMap<String, Arc<[u8]>>,
    ) -> Result<(), KeptError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let name = hex(&plan.digest.0);
        let path = self.folder.join(format!("{name}{ENDING}"));
        if !path.exists() {
            let mut named = BTreeMap::new();
            for (path, bytes) in files {
                let digest = hex(&Sha256::digest(bytes));
                self.write(&self.folder.join(FILES).join(&digest), bytes)?;
                named.insert(path.clone(), digest);
            }
            sync(&self.folder.join(FILES))?;
            let channel = |(name, plan): (&Arc<str>, &Arc<hilum_component::ChannelPlan>)| {
                (name.to_string(), hex(&plan.digest.0))
            };
            let manifest = Manifest {
                program: env!("CARGO_PKG_VERSION").to_owned(),
                environment: environment.map(str::to_owned),
                channels: plan.channels.iter().map(channel).collect(),
                files: named,
            };
            let text =
                serde_json::to_vec_pretty(&manifest).map_err(|error| KeptError::Damaged {
                    path: path.clone(),
                    reason: error.to_string(),
                })?;
            self.write(&path, &text)?;
            sync(&self.folder)?;
        }
        *last = Some(name);
        Ok(())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), KeptError> {
        if path.exists() {
            return Ok(());
        }
        let half = path.with_extension("half");
        let written = || {
            let mut file = std::fs::File::create(&half)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&half, path)
        };
        written().map_err(of(path))
    }

    /// The plan of which the digest, or that of this channel, begins with these hexadecimal
    /// digits.
    ///
    /// # Errors
    /// If a file cannot be read or is damaged, or the digits fit plans that differ.
    pub fn find(&self, channel: &str, digits: &str) -> Result<Option<KeptPlan>, KeptError> {
        let mut found: Option<(String, Manifest)> = None;
        for (name, manifest) in self.all()? {
            let own = manifest.channels.get(channel);
            let fits = name.starts_with(digits) || own.is_some_and(|own| own.starts_with(digits));
            let Some(own) = own.filter(|_| fits) else {
                continue;
            };
            // Plans of a site that differ in another channel are one and the same for this one.
            let other = found
                .as_ref()
                .is_some_and(|(_, known)| known.channels.get(channel) != Some(own));
            if other {
                return Err(KeptError::Ambiguous(digits.to_owned()));
            }
            found = Some((name, manifest));
        }
        found
            .map(|(name, manifest)| self.read(name, manifest))
            .transpose()
    }

    fn read(&self, digest: String, manifest: Manifest) -> Result<KeptPlan, KeptError> {
        let mut files = BTreeMap::new();
        for (path, name) in manifest.files {
            let at = self.folder.join(FILES).join(&name);
            let bytes = std::fs::read(&at).map_err(of(&at))?;
            if hex(&Sha256::digest(&bytes)) != name {
                let reason = "its content is not that of its name".to_owned();
                return Err(KeptError::Damaged { path: at, reason });
            }
            files.insert(path, bytes.into());
        }
        Ok(KeptPlan {
            digest,
            program: manifest.program,
            environment: manifest.environment,
            files,
        })
    }

    /// All plans, by digest.
    fn all(&self) -> Result<Vec<(String, Manifest)>, KeptError> {
        let mut all = Vec::new();
        for path in list(&self.folder)? {
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(name) = name.and_then(|name| name.strip_suffix(ENDING)) else {
                continue;
            };
            let text = std::fs::read(&path).map_err(of(&path))?;
            let manifest = serde_json::from_slice(&text).map_err(|error| KeptError::Damaged {
                path: path.clone(),
                reason: error.to_string(),
            })?;
            all.push((name.to_owned(), manifest));
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(all)
    }

    /// Removes every plan of which no channel is in use, and the files that only those had. The
    /// plan that was kept last stays in any case.
    ///
    /// # Errors
    /// If a file cannot be read or removed.
    pub fn retain(&self, in_use: &BTreeSet<PlanDigest>) -> Result<(), KeptError> {
        // Held throughout, so that no file goes that a plan is just being kept with.
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let in_use: BTreeSet<String> = in_use.iter().map(|digest| hex(&digest.0)).collect();
        let (mut files, mut dropped) = (BTreeSet::new(), 0_usize);
        for (name, manifest) in self.all()? {
            let used = manifest.channels.values().any(|own| in_use.contains(own));
            if used || last.as_ref() == Some(&name) {
                files.extend(manifest.files.into_values());
            } else {
                let path = self.folder.join(format!("{name}{ENDING}"));
                std::fs::remove_file(&path).map_err(of(&path))?;
                dropped += 1;
            }
        }
        if dropped == 0 {
            return Ok(());
        }
        sync(&self.folder)?;
        for path in list(&self.folder.join(FILES))? {
            let name = path.file_name().and_then(|name| name.to_str());
            if !name.is_some_and(|name| files.contains(name)) {
                std::fs::remove_file(&path).map_err(of(&path))?;
            }
        }
        Ok(())
    }
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, KeptError> {
    let entries = std::fs::read_dir(folder).and_then(|entries| {
        entries
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<_>>()
    });
    entries.map_err(of(folder))
}

/// Makes the names in a folder durable.
fn sync(folder: &Path) -> Result<(), KeptError> {
    let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(of(folder))
}

fn of(path: &Path) -> impl FnOnce(io::Error) -> KeptError {
    let path = path.to_owned();
    move |source| KeptError::Io { path, source }
}

/// Hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
