//! What the message needs to know about structures, handed in by whoever has a dictionary.

use super::Message;

/// The index of a group in [`Groups`].
pub type GroupId = usize;

/// One occurrence of a segment group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name as the structure has it, `ORDER_OBSERVATION`.
    pub name: String,
    /// The group it lies in.
    pub parent: Option<GroupId>,
}

/// The groups that a message's segments form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// Occurrences in document order, parents before children.
    pub groups: Vec<Group>,
    /// For each segment the innermost group that it belongs to.
    pub of_segment: Vec<Option<GroupId>>,
}

/// One element of a path before the segment: `ORDER_OBSERVATION[2]/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupStep {
    /// The group's name.
    pub name: String,
    /// Which occurrence, counted from 1; all without.
    pub index: Option<u32>,
}

/// Tells which groups a message's segments form.
pub trait Grouping: Send + Sync {
    /// The groups of the segments as they are, tolerant of disorder.
    fn groups(&self, message: &Message) -> Groups;
}

/// Tells where a segment that a message lacks belongs.
pub trait Placement: Send + Sync {
    /// The index at which a segment `id` is to be inserted, within `groups` where a path names
    /// some and they exist; `None` where the structure does not say, which means at the end.
    fn place(&self, message: &Message, groups: &[GroupStep], id: &str) -> Option<usize>;
}

/// Both together, as a dictionary offers them.
pub trait Structures: Grouping + Placement {}

impl<T: Grouping + Placement> Structures for T {}
