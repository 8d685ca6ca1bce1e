//! Positions that a profile's statements use, such as `2[1].3[*].1[1]`, and what they lead to.
//!
//! A position counts the children of the profile's own tree: of a message or group its segments and
//! groups, of a segment its fields, below that components and subcomponents.

use crate::message::{Level, Message, Part};
use crate::structure::{Assignment, Grammar};

/// Steps of a position that are followed.
const STEPS_MAX: usize = 32;

/// `2[1]`: position and instance, all instances where there is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) position: u16,
    pub(crate) instance: Option<u32>,
}

/// A chain of steps; empty is the element itself (`.`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Position(pub(crate) Vec<Step>);

impl Position {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "." {
            return Some(Self::default());
        }
        let mut steps = Vec::new();
        for part in text.split('.') {
            let (position, instance) = match part.split_once('[') {
                Some((position, rest)) => (position, rest.strip_suffix(']')?),
                None => (part, "*"),
            };
            let instance = match instance {
                "*" => None,
                number => Some(number.parse().ok().filter(|number| *number > 0)?),
            };
            let position = position.parse().ok().filter(|position| *position > 0)?;
            steps.push(Step { position, instance });
        }
        (steps.len() <= STEPS_MAX).then_some(Self(steps))
    }
}

/// The message that statements look at.
#[derive(Clone, Copy)]
pub(crate) struct View<'m> {
    pub(crate) message: &'m Message,
    pub(crate) grammar: &'m Grammar,
    pub(crate) assignment: &'m Assignment,
}

/// Something that a position leads to.
#[derive(Clone, Copy)]
pub(crate) enum Target<'m> {
    /// The message or a group.
    Group(u32),
    /// A segment, by index.
    Segment(usize),
    /// A repetition of a field, a component or a subcomponent.
    Part(Part<'m>),
}

impl<'m> View<'m> {
    /// What a position leads to, in document order.
    pub(crate) fn follow(&self, from: Target<'m>, position: &Position) -> Vec<Target<'m>> {
        let mut found = vec![from];
        for step in &position.0 {
            found = found
                .into_iter()
                .flat_map(|target| self.step(target, *step))
                .collect();
        }
        found
    }

    fn step(&self, from: Target<'m>, step: Step) -> Vec<Target<'m>> {
        let all: Vec<Target<'m>> = match from {
            Target::Group(occurrence) => self.members(occurrence, step.position),
            Target::Segment(index) => {
                let segment = self.message.segment(index);
                let field = segment.and_then(|segment| segment.field(u32::from(step.position)));
                field
                    .into_iter()
                    .flat_map(|field| field.children())
                    .map(Target::Part)
                    .collect()
            }
            Target::Part(part) if part.level() == Level::Subcomponent => Vec::new(),
            Target::Part(part) => part
                .nth(u32::from(step.position))
                .map(Target::Part)
                .into_iter()
                .collect(),
        };
        match step.instance {
            None => all,
            Some(instance) => all
                .into_iter()
                .skip((instance as usize).saturating_sub(1))
                .take(1)
                .collect(),
        }
    }

    /// Segments or groups at a position of a group.
    pub(crate) fn members(&self, occurrence: u32, position: u16) -> Vec<Target<'m>> {
        let Some(group) = self.assignment.occurrences.get(occurrence as usize) else {
            return Vec::new();
        };
        let child = self
            .grammar
            .children(group.node)
            .nth(usize::from(position).saturating_sub(1));
        let Some((node, _)) = child else {
            return Vec::new();
        };
        let places = self.assignment.places.iter().enumerate();
        let segments = places
            .filter(|(_, place)| place.occurrence == occurrence && place.node == Some(node))
            .map(|(index, _)| Target::Segment(index));
        let inner = self.assignment.occurrences.iter().enumerate().skip(1);
        let groups = inner
            .filter(|(_, inner)| inner.parent == occurrence && inner.node == node)
            .filter_map(|(number, _)| u32::try_from(number).ok().map(Target::Group));
        segments.chain(groups).collect()
    }
}

impl Target<'_> {
    /// Whether there is something.
    pub(crate) fn is_present(&self) -> bool {
        match self {
            Self::Group(_) | Self::Segment(_) => true,
            Self::Part(part) => !part.is_blank(),
        }
    }

    /// The value of a part; groups and segments have none.
    pub(crate) fn value(&self) -> Option<String> {
        match self {
            Self::Group(_) | Self::Segment(_) => None,
            Self::Part(part) => Some(first_leaf(*part).text().into_owned()),
        }
    }
}

/// A position may stop above a value whose components are not used.
pub(crate) fn first_leaf(part: Part<'_>) -> Part<'_> {
    let mut part = part;
    while !part.is_leaf() {
        match part.nth(1) {
            Some(inner) => part = inner,
            None => break,
        }
    }
    part
}
