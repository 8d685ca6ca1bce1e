//! What is imported: the transaction bundles of Synthea, again and again under new identities.
//!
//! One patient is one bundle. Each round gives every resource of a bundle a new `urn:uuid` and with
//! it new identifiers, so that a million resources come from 76 patients and all are different
//! patients to the server. References to practitioners and places stay as they are: conditional
//! references by identifier, as Synthea writes them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::folder;

const UUID_BYTES: usize = 36;
/// Unpacks every bundle of a folder into another; Python can, and is there for `codegen`.
const UNPACK: &str = "import bz2, pathlib, sys
for packed in pathlib.Path(sys.argv[1]).glob('*.json.bz2'):
    pathlib.Path(sys.argv[2], packed.stem).write_bytes(bz2.decompress(packed.read_bytes()))";

/// The bundle of one patient, cut where an identity stands.
#[derive(Debug)]
pub(super) struct Patient {
    text: String,
    /// Where identities of this bundle stand.
    places: Vec<usize>,
    pub(super) resources: usize,
}

/// All that is imported.
#[derive(Debug)]
pub(super) struct Bundles {
    /// Organisations, places and practitioners: posted first.
    pub(super) shared: Vec<String>,
    pub(super) patients: Arc<[Patient]>,
    /// The resources of the first round, to draw parameters from.
    pub(super) sample: Vec<Value>,
}

impl Bundles {
    /// Reads the Synthea bundles of the shared material.
    pub(super) fn read(work: &Path) -> Result<Self> {
        let from = shared().join("suites/synthea-r4");
        ensure!(
            from.is_dir(),
            "there are no Synthea bundles in {}",
            from.display()
        );
        let unpacked = work.join("synthea");
        folder::empty(&unpacked)?;
        let status = Command::new("python3")
            .args(["-c", UNPACK])
            .args([&from, &unpacked])
            .status()
            .context("start python3")?;
        ensure!(status.success(), "unpack the bundles: {status}");
        let mut files: Vec<_> = std::fs::read_dir(&unpacked)?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        files.sort();
        let (mut shared, mut patients, mut sample) = (Vec::new(), Vec::new(), Vec::new());
        for file in files {
            let text = std::fs::read_to_string(&file)?;
            let bundle: Value = serde_json::from_str(&text)?;
            let Some(entries) = bundle["entry"].as_array() else {
                bail!("{} is no bundle", file.display());
            };
            sample.extend(entries.iter().map(|entry| entry["resource"].clone()));
            let name = file.file_name().unwrap_or_default();
            if name.as_encoded_bytes().starts_with(b"0-") {
                // White space as it was: it is posted once.
                shared.push(text);
            } else {
                patients.push(Patient::cut(bundle.to_string(), entries));
            }
        }
        std::fs::remove_dir_all(&unpacked)?;
        Ok(Self {
            shared,
            patients: patients.into(),
            sample,
        })
    }
}

impl Patient {
    fn cut(text: String, entries: &[Value]) -> Self {
        let own: HashSet<&str> = entries
            .iter()
            .filter_map(|entry| entry["fullUrl"].as_str()?.strip_prefix("urn:uuid:"))
            .collect();
        let bytes = text.as_bytes();
        let mut places = Vec::new();
        let mut at = 0;
        while let Some(window) = bytes.get(at..at + UUID_BYTES) {
            let dashes = [8, 13, 18, 23]
                .iter()
                .all(|&dash| window.get(dash) == Some(&b'-'));
            let is_own = dashes && std::str::from_utf8(window).is_ok_and(|id| own.contains(id));
            if is_own {
                places.push(at);
                at += UUID_BYTES;
            } else {
                at += 1;
            }
        }
        Self {
            text,
            places,
            resources: entries.len(),
        }
    }

    /// The bundle as it is in a round; as it was in round 0.
    pub(super) fn in_round(&self, round: u32) -> Vec<u8> {
        let mut bytes = self.text.clone().into_bytes();
        let mask = round.wrapping_mul(0x9E37_79B9);
        for &place in &self.places {
            let Some(head) = bytes.get_mut(place..place + 8) else {
                continue;
            };
            let old = std::str::from_utf8(head)
                .ok()
                .and_then(|text| u32::from_str_radix(text, 16).ok());
            if let Some(old) = old {
                head.copy_from_slice(format!("{:08x}", old ^ mask).as_bytes());
            }
        }
        bytes
    }
}

fn shared() -> PathBuf {
    std::env::var_os("HILUM_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_round_changes_the_identities_of_the_bundle_and_no_others() {
        let own = "0000000f-0000-4000-8000-000000000001";
        let other = "0000000f-0000-4000-8000-000000000002";
        let bundle = json!({ "entry": [{
            "fullUrl": format!("urn:uuid:{own}"),
            "resource": { "id": own, "x": [format!("Location?identifier={other}")] },
        }]});
        let entries = bundle["entry"].as_array().unwrap();
        let patient = Patient::cut(bundle.to_string(), entries);
        assert_eq!(patient.in_round(0), bundle.to_string().into_bytes());
        let changed = String::from_utf8(patient.in_round(1)).unwrap();
        let new = format!("{:08x}-0000-4000-8000-000000000001", 0xf ^ 0x9E37_79B9_u32);
        assert_eq!(changed.matches(&new).count(), 2);
        assert_eq!(changed.matches(other).count(), 1);
        assert!(!changed.contains(own));
    }
}
