//! Why a patient is not active: somebody replaces them, or they were deleted (A29).
//!
//! Both write the same. So that taking a merge back does not bring back who was deleted, what is said apart
//! from the merge is kept beside a patient as long as another one replaces them.

use hilum_message::SourceTime;

use super::times::{Own, Times};

/// When it was said last that they are not active, and that nobody says so any more; what stands where
/// elements have their names.
const NOTES: [&str; 2] = ["active=false", "active=gone"];

/// What is said of a replaced patient apart from that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Inactive {
    pub(super) said: Option<SourceTime>,
    pub(super) over: Option<SourceTime>,
}

impl Inactive {
    pub(super) fn of(times: &Times) -> Self {
        let [said, over] = NOTES.map(|name| times.named(name, None));
        Self { said, over }
    }

    pub(super) fn says(&mut self, time: SourceTime) {
        self.said = self.said.max(Some(time));
    }

    pub(super) fn ends(&mut self, time: SourceTime) {
        self.over = self.over.max(Some(time));
    }

    /// Since when they are not active whoever replaces them.
    pub(super) fn since(self) -> Option<SourceTime> {
        self.said.filter(|said| Some(*said) > self.over)
    }

    pub(super) fn is_note(name: &str) -> bool {
        NOTES.contains(&name)
    }

    /// As it stands beside a version.
    pub(super) fn own(self) -> impl Iterator<Item = Own> {
        let both = NOTES.into_iter().zip([self.said, self.over]);
        both.filter_map(|(name, time)| {
            Some(Own {
                name: name.to_owned(),
                place: None,
                time: time?,
            })
        })
    }
}
