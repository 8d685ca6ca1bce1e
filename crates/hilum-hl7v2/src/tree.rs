//! A message as expressions see it.
//!
//! The root's children are segments, anywhere in the message, and groups where structures are
//! known; a segment's children are the repetitions of its fields, named by number, then
//! components, then subcomponents. Empty places are no nodes. Leaves are strings, unescaped and
//! decoded; `""` is the string `""`. A composite has no value of its own, with one exception:
//! OBX-5 is one string where OBX-2 names a type without components, so that `A & B` sent
//! unescaped stays whole.
//!
//! A node is valid until the message is edited.

use std::borrow::Cow;

use hilum_fhirpath::tree::Visit;
use hilum_fhirpath::{NodeId, PathLiteral, Scalar, Tree};

use crate::message::{GroupId, Groups, Level, Message, Part, segment_key};
use crate::path::{Path, Scope};

/// What a [`NodeId`] means here: kind, field and segment (or group) in `hi`, span in `lo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Root,
    Group(GroupId),
    Segment(usize),
    Part {
        level: Level,
        segment: u32,
        field: u32,
        start: u32,
        end: u32,
    },
}

const KIND_SHIFT: u32 = 60;
const FIELD_SHIFT: u32 = 32;
const FIELD_MASK: u64 = 0x0FFF_FFFF;

impl Node {
    fn pack(self) -> NodeId {
        let (kind, field, index, start, end) = match self {
            Self::Root => (0_u64, 0, 0, 0, 0),
            Self::Group(id) => (1, 0, id as u64, 0, 0),
            Self::Segment(index) => (2, 0, index as u64, 0, 0),
            Self::Part {
                level,
                segment,
                field,
                start,
                end,
            } => {
                let kind = match level {
                    Level::Field => 3,
                    Level::Repetition => 4,
                    Level::Component => 5,
                    Level::Subcomponent => 6,
                };
                (kind, field, u64::from(segment), start, end)
            }
        };
        let field = u64::from(field) & FIELD_MASK;
        NodeId {
            hi: kind << KIND_SHIFT | field << FIELD_SHIFT | (index & u64::from(u32::MAX)),
            lo: u64::from(start) << 32 | u64::from(end),
        }
    }

    fn unpack(id: NodeId) -> Self {
        let low = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        let index = low(id.hi);
        let level = match id.hi >> KIND_SHIFT {
            1 => return Self::Group(index as usize),
            2 => return Self::Segment(index as usize),
            3 => Level::Field,
            4 => Level::Repetition,
            5 => Level::Component,
            6 => Level::Subcomponent,
            _ => return Self::Root,
        };
        Self::Part {
            level,
            segment: index,
            field: low(id.hi >> FIELD_SHIFT & FIELD_MASK),
            start: low(id.lo >> 32),
            end: low(id.lo),
        }
    }
}

impl Part<'_> {
    /// The node of this part.
    pub fn node(&self) -> NodeId {
        Node::Part {
            level: self.level,
            segment: self.segment,
            field: self.field,
            start: self.start,
            end: self.end,
        }
        .pack()
    }
}

impl Message {
    /// The part that a node stands for; `None` for root, groups and segments.
    pub fn part_of(&self, node: NodeId) -> Option<Part<'_>> {
        match Node::unpack(node) {
            Node::Root | Node::Group(_) | Node::Segment(_) => None,
            Node::Part {
                level,
                segment,
                field,
                start,
                end,
            } => {
                let text = self.seg_text(segment as usize)?;
                Some(Part {
                    message: self,
                    source: text.source,
                    segment,
                    field,
                    level,
                    key: text.key,
                    start,
                    end,
                })
            }
        }
    }

    /// The index of the segment that a node is or lies in.
    pub fn segment_of(&self, node: NodeId) -> Option<usize> {
        match Node::unpack(node) {
            Node::Root | Node::Group(_) => None,
            Node::Segment(index) => Some(index),
            Node::Part { segment, .. } => Some(segment as usize),
        }
    }

    fn visit_group_children(
        &self,
        groups: &Groups,
        parent: Option<GroupId>,
        visit: &mut Visit<'_>,
    ) {
        // A group stands where its first segment stands.
        let mut seen: Vec<GroupId> = Vec::new();
        for (index, of) in groups.of_segment.iter().enumerate() {
            let mut at = *of;
            if at == parent {
                visit(Node::Segment(index).pack());
                continue;
            }
            // Climb to the group just below the parent.
            while let Some(id) = at {
                let up = groups.groups.get(id).and_then(|group| group.parent);
                if up == parent {
                    if !seen.contains(&id) {
                        seen.push(id);
                        visit(Node::Group(id).pack());
                    }
                    break;
                }
                at = up.filter(|up| *up < id);
            }
        }
    }

    fn visit_named(&self, name: &str, within: Option<GroupId>, visit: &mut Visit<'_>) {
        let groups = self.grouped();
        let Some(groups) = groups else {
            for segment in self.segments_named(name) {
                visit(Node::Segment(segment.index()).pack());
            }
            return;
        };
        let mut found = false;
        for (id, group) in groups.groups.iter().enumerate() {
            if group.name == name && (within.is_none() || group.parent == within) {
                found = true;
                visit(Node::Group(id).pack());
            }
        }
        if found {
            return;
        }
        for segment in self.segments_named(name) {
            let of = groups.of_segment.get(segment.index()).copied().flatten();
            if within.is_none() || of == within {
                visit(Node::Segment(segment.index()).pack());
            }
        }
    }

    /// OBX-5 under an OBX-2 that has no components is one value however it is punctuated.
    fn is_plain_observation(&self, part: &Part<'_>) -> bool {
        const PLAIN: [&[u8]; 13] = [
            b"ST", b"TX", b"FT", b"NM", b"DT", b"TM", b"DTM", b"TS", b"IS", b"ID", b"SI", b"GTS",
            b"TN",
        ];
        part.level == Level::Repetition
            && part.field == 5
            && part.key == segment_key(b"OBX")
            && part
                .segment()
                .field(2)
                .is_some_and(|kind| PLAIN.contains(&kind.raw()))
    }

    /// Children of a part: empty ones left out; a field is skipped for its repetitions.
    fn visit_parts(part: Part<'_>, visit: &mut Visit<'_>) {
        for child in part.children().filter(|child| !child.is_blank()) {
            visit(child.node());
        }
    }

    fn visit_literal(&self, path: &Path, scope: Scope, visit: &mut Visit<'_>) {
        if path.field.is_some() {
            self.select(path, scope, &mut |part| visit(part.node()));
            return;
        }
        // A lone quoted name: a group if there is one of that name, else segments.
        let mut steps = path.groups.clone();
        steps.push(crate::message::GroupStep {
            name: path.segment.clone(),
            index: match path.occurrence {
                crate::path::Which::Nth(n) => Some(n),
                crate::path::Which::Unsaid | crate::path::Which::All => None,
            },
        });
        let groups = match scope {
            Scope::Group(_) => Vec::new(),
            Scope::Message | Scope::Segment(_) => self.walk_groups(&steps),
        };
        if groups.is_empty() {
            match scope {
                Scope::Group(id) if path.groups.is_empty() => {
                    self.visit_named(&path.segment, Some(id), visit);
                }
                Scope::Group(_) | Scope::Message | Scope::Segment(_) => {
                    self.select_segments(path, scope, &mut |i| visit(Node::Segment(i).pack()));
                }
            }
        }
        for id in groups {
            visit(Node::Group(id).pack());
        }
    }
}

impl Tree for Message {
    fn root(&self) -> NodeId {
        Node::Root.pack()
    }

    fn children(&self, of: NodeId, name: &str, visit: &mut Visit<'_>) {
        match Node::unpack(of) {
            Node::Root => self.visit_named(name, None, visit),
            Node::Group(id) => self.visit_named(name, Some(id), visit),
            Node::Segment(index) => {
                let field = name
                    .parse()
                    .ok()
                    .and_then(|n| self.segment(index)?.field(n));
                if let Some(field) = field {
                    Self::visit_parts(field, visit);
                }
            }
            Node::Part { .. } => {
                let child = name
                    .parse()
                    .ok()
                    .and_then(|n: u32| self.part_of(of)?.nth_below(n));
                if let Some(child) = child.filter(|child| !child.is_blank()) {
                    visit(child.node());
                }
            }
        }
    }

    fn all_children(&self, of: NodeId, visit: &mut Visit<'_>) {
        match Node::unpack(of) {
            Node::Root => match self.grouped() {
                Some(groups) => self.visit_group_children(&groups, None, visit),
                None => (0..self.segment_count()).for_each(|i| visit(Node::Segment(i).pack())),
            },
            Node::Group(id) => {
                if let Some(groups) = self.grouped() {
                    self.visit_group_children(&groups, Some(id), visit);
                }
            }
            Node::Segment(index) => {
                for field in self
                    .segment(index)
                    .iter()
                    .flat_map(|segment| segment.fields())
                {
                    Self::visit_parts(field, visit);
                }
            }
            Node::Part { .. } => {
                // A leaf is its own value, not a tree of depth three.
                if let Some(part) = self.part_of(of).filter(|part| !part.is_leaf()) {
                    Self::visit_parts(part, visit);
                }
            }
        }
    }

    fn name(&self, node: NodeId) -> Cow<'_, str> {
        match Node::unpack(node) {
            Node::Root => Cow::Borrowed(""),
            Node::Group(id) => {
                let name = self
                    .grouped()
                    .and_then(|g| Some(g.groups.get(id)?.name.clone()));
                Cow::Owned(name.unwrap_or_default())
            }
            Node::Segment(index) => self
                .segment(index)
                .map(|segment| segment.id())
                .unwrap_or_default(),
            Node::Part { .. } => match self.part_of(node) {
                Some(part) if part.level <= Level::Repetition => Cow::Owned(part.field.to_string()),
                Some(part) => Cow::Owned(part.ordinal().to_string()),
                None => Cow::Borrowed(""),
            },
        }
    }

    fn value(&self, node: NodeId) -> Option<Scalar<'_>> {
        let part = self.part_of(node)?;
        (part.is_leaf() || self.is_plain_observation(&part))
            .then(|| Scalar::String(part.value_text()))
    }

    fn literal(&self, literal: &PathLiteral, focus: NodeId, visit: &mut Visit<'_>) {
        let Some(path) = literal.compiled.downcast_ref::<Path>() else {
            return;
        };
        let scope = match Node::unpack(focus) {
            Node::Root => Scope::Message,
            Node::Group(id) => Scope::Group(id),
            Node::Segment(index) => Scope::Segment(index),
            Node::Part { segment, .. } => Scope::Segment(segment as usize),
        };
        let here = self.part_of(focus).filter(|part| {
            path.groups.is_empty() && part.level == Level::Repetition && part.key == path.key
        });
        match (here, path.field) {
            // Seen from a repetition of the same field, the path means that repetition.
            (Some(part), Some(field))
                if field.field == part.field && field.repetition == crate::path::Which::Unsaid =>
            {
                crate::path::descend(Some(part), &field, &mut |part| visit(part.node()));
            }
            _ => self.visit_literal(path, scope, visit),
        }
    }

    fn location(&self, node: NodeId) -> String {
        match Node::unpack(node) {
            Node::Root => String::new(),
            Node::Group(id) => self.group_location(id),
            Node::Segment(index) => self.segment_location(index),
            Node::Part { .. } => match self.part_of(node) {
                Some(part) => part.location(),
                None => String::new(),
            },
        }
    }
}

impl Message {
    fn group_location(&self, id: GroupId) -> String {
        let Some(groups) = self.grouped() else {
            return String::new();
        };
        let mut names = Vec::new();
        let mut at = Some(id);
        while let Some((id, group)) = at.and_then(|id| Some((id, groups.groups.get(id)?))) {
            let before = groups.groups.iter().take(id);
            let same = before
                .filter(|g| g.name == group.name && g.parent == group.parent)
                .count();
            names.push(format!("{}[{}]", group.name, same.saturating_add(1)));
            at = group.parent.filter(|up| *up < id);
        }
        names.reverse();
        names.join("/")
    }

    /// `OBX[3]`; the number is left out where the id occurs once.
    pub fn segment_location(&self, index: usize) -> String {
        let Some(segment) = self.segment(index) else {
            return String::new();
        };
        let id = segment.id();
        let same = self.segments_named(&id).count();
        if same < 2 {
            return id.into_owned();
        }
        let before = self
            .segments_named(&id)
            .take_while(|other| other.index() < index)
            .count();
        format!("{id}[{}]", before.saturating_add(1))
    }
}

impl<'m> Part<'m> {
    /// The child that a path component below means: of a repetition its component, of a component
    /// its subcomponent.
    fn nth_below(&self, n: u32) -> Option<Self> {
        (self.level != Level::Subcomponent)
            .then(|| self.nth(n))
            .flatten()
    }

    /// Its number among its siblings, from 1.
    pub fn ordinal(&self) -> u32 {
        self.chain().last().copied().unwrap_or(1)
    }

    /// Repetition, component and subcomponent numbers down to this part.
    fn chain(&self) -> Vec<u32> {
        let mut chain = Vec::new();
        let Some(mut at) = self.segment().field(self.field) else {
            return chain;
        };
        while at.level < self.level {
            let inside = at
                .children()
                .zip(1_u32..)
                .find(|(child, _)| child.start <= self.start && self.end <= child.end);
            let Some((child, n)) = inside else { break };
            chain.push(n);
            at = child;
        }
        chain
    }

    /// The value as one string, whatever separators it holds.
    pub(crate) fn value_text(&self) -> Cow<'m, str> {
        if self.is_separators() {
            return self.text();
        }
        crate::escape::unescape(self.raw(), &self.message.delimiters, &self.message.decoding)
    }

    /// Its place in words of the standard: `PID-3[2].4`.
    pub fn location(&self) -> String {
        let mut out = self.message.segment_location(self.segment as usize);
        out.push_str(&format!("-{}", self.field));
        let chain = self.chain();
        let mut numbers = chain.iter();
        if let Some(repetition) = numbers.next() {
            let field = self.segment().field(self.field);
            if field.is_some_and(|field| field.children().nth(1).is_some()) {
                out.push_str(&format!("[{repetition}]"));
            }
        }
        for n in numbers {
            out.push_str(&format!(".{n}"));
        }
        out
    }
}
