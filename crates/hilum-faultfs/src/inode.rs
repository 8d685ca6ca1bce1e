//! The bytes of one file: what is on the disk, and what was written since.

use crate::random::Random;

/// The unit in which a disk writes.
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Not synced yet.
    Open,
    /// Synced behind something whose sync failed.
    Synced,
    /// Its sync failed: no later one helps.
    Lost,
}

/// One file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inode {
    /// What programs read.
    pub(crate) live: Vec<u8>,
    /// What is surely on the disk.
    base: Vec<u8>,
    changes: Vec<(Change, Fate)>,
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes } => {
            let end = offset + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            if let Some(place) = content.get_mut(*offset..end) {
                place.copy_from_slice(bytes);
            }
        }
        Change::Truncate(length) => content.resize(*length, 0),
    }
}

impl Inode {
    pub(crate) fn on_disk(content: Vec<u8>) -> Self {
        Self {
            live: content.clone(),
            base: content,
            changes: Vec::new(),
        }
    }

    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let bytes = bytes.to_vec();
        let change = Change::Write { offset, bytes };
        apply(&mut self.live, &change);
        self.changes.push((change, Fate::Open));
    }

    pub(crate) fn truncate(&mut self, length: usize) {
        let change = Change::Truncate(length);
        apply(&mut self.live, &change);
        self.changes.push((change, Fate::Open));
    }

    pub(crate) fn sync(&mut self) {
        if self.changes.iter().all(|(_, fate)| *fate == Fate::Open) {
            for (change, _) in self.changes.drain(..) {
                apply(&mut self.base, &change);
            }
            return;
        }
        for (_, fate) in &mut self.changes {
            if *fate == Fate::Open {
                *fate = Fate::Synced;
            }
        }
    }

    /// A sync that failed: the pages are no longer dirty, but not on the disk either.
    pub(crate) fn fail_sync(&mut self) {
        for (_, fate) in &mut self.changes {
            if *fate == Fate::Open {
                *fate = Fate::Lost;
            }
        }
    }

    pub(crate) fn flip(&mut self, offset: usize, bit: u8) -> bool {
        let mask = 1 << (bit % 8);
        let mut flipped = false;
        for content in [&mut self.live, &mut self.base] {
            if let Some(byte) = content.get_mut(offset) {
                *byte ^= mask;
                flipped = true;
            }
        }
        flipped
    }

    /// What a power cut leaves: everything synced, and `percent` of the sectors of the rest.
    pub(crate) fn after_cut(&self, random: &mut Random, percent: u64) -> Vec<u8> {
        let mut content = self.base.clone();
        for (change, fate) in &self.changes {
            match (change, fate) {
                (change, Fate::Synced) => apply(&mut content, change),
                (Change::Truncate(_), Fate::Open | Fate::Lost) => {
                    if random.chance(percent) {
                        apply(&mut content, change);
                    }
                }
                (Change::Write { offset, bytes }, Fate::Open | Fate::Lost) => {
                    for (at, sector) in bytes.chunks(SECTOR).enumerate() {
                        if !random.chance(percent) {
                            continue;
                        }
                        let torn = random.chance(3);
                        let keep = if torn {
                            usize::try_from(random.below(SECTOR as u64)).unwrap_or(0)
                        } else {
                            SECTOR
                        };
                        let kept = sector.get(..keep.min(sector.len())).unwrap_or_default();
                        let bytes = kept.to_vec();
                        let offset = offset + at * SECTOR;
                        apply(&mut content, &Change::Write { offset, bytes });
                    }
                }
            }
        }
        content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_keeps_what_was_synced_and_some_sectors_of_the_rest() {
        let mut file = Inode::default();
        file.write(0, &[1; 2048]);
        file.sync();
        file.write(512, &[2; 1024]);
        let none = file.after_cut(&mut Random::new(1), 0);
        assert_eq!(none, [1; 2048]);
        let all = file.after_cut(&mut Random::new(1), 100);
        assert!(all.contains(&2) && all[..512] == [1; 512]);
        let same = file.after_cut(&mut Random::new(1), 100);
        assert_eq!(all, same, "the seed decides");
    }

    #[test]
    fn what_a_failed_sync_lost_is_not_saved_by_the_next_one() {
        let mut file = Inode::default();
        file.write(0, &[1; 512]);
        file.fail_sync();
        file.write(512, &[2; 512]);
        file.sync();
        let left = file.after_cut(&mut Random::new(1), 0);
        assert_eq!(left[..512], [0; 512]);
        assert_eq!(left[512..], [2; 512]);
        file.write(0, &[1; 512]);
        file.sync();
        let left = file.after_cut(&mut Random::new(1), 0);
        assert_eq!(left[..512], [1; 512], "written again it is");
    }
}
