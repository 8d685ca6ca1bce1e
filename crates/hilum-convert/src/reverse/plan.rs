//! What the rows of the way back compile to.

use std::collections::{HashMap, HashSet};

use hilum_fhir::definitions::{Child, ElementId, TypeId};
use regex::Regex;

use crate::plan::{Number, RowId};
use crate::text::{Compare, Inverse};

/// The way back made ready.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) maps: Vec<Map>,
    pub(crate) codes: Vec<CodeTable>,
    pub(crate) messages: HashMap<(TypeId, String), Vec<Node>>,
    pub(crate) events: Vec<Event>,
    /// Elements whose references some row follows.
    pub(crate) followed: HashSet<ElementId>,
}

/// What an event is made of.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) code: String,
    /// The trigger event; `None` for any that is asked for.
    pub(crate) trigger: Option<String>,
    pub(crate) each: Path,
    pub(crate) condition: Option<Cond>,
}

/// A group or a segment of a message.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) what: What,
    /// `None`: once, on what the group is about.
    pub(crate) source: Option<Path>,
    /// Once also where the path finds nothing.
    pub(crate) always: bool,
    pub(crate) condition: Option<Cond>,
}

/// What a node of a message is.
#[derive(Debug)]
pub(crate) enum What {
    Group(Vec<Node>),
    Segment { name: [u8; 3], map: Number },
}

/// A map of the way back.
#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) rows: Vec<Row>,
    /// The place in the tables from which [`Row::first`] counts.
    pub(crate) base: usize,
    /// Types of elements that are choices, counted from the other end of the bits.
    pub(crate) choices: Vec<(ElementId, TypeId)>,
}

/// A row of a map.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: RowId,
    /// The child without which the row finds nothing and does nothing, counted from [`Map::base`].
    pub(crate) first: Option<u8>,
    pub(crate) source: Option<Path>,
    pub(crate) condition: Option<Cond>,
    pub(crate) target: Target,
    /// More than one value may be written, each as a repetition of its own.
    pub(crate) many: bool,
    pub(crate) way: Way,
}

/// Where a row writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Nowhere: the element is known not to go into a message.
    None,
    /// The segment or value that the map is at.
    Whole,
    /// A field of the segment, or what is in it.
    Field {
        field: u16,
        repetition: u16,
        component: u16,
        subcomponent: u16,
    },
    /// A part of the value that the map is at.
    Part { component: u16, subcomponent: u16 },
}

/// Steps to elements, made ready.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) start: Begin,
    pub(crate) steps: Vec<Step>,
    /// Only children are looked up, one by one or all of them, so that nothing has to be gathered.
    pub(crate) plain: bool,
    /// What is at its end; `None` where that has no type of its own.
    pub(crate) end: Child,
}

/// Where a path begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Begin {
    Context,
    All(TypeId),
    Subjects { ty: TypeId, element: ElementId },
}

/// A step made ready.
#[derive(Debug)]
pub(crate) enum Step {
    Child {
        element: ElementId,
        /// The type, where the element is a choice.
        ty: Option<TypeId>,
    },
    Extension {
        element: ElementId,
        url: Box<str>,
    },
    Where(Cond),
    Resolve(TypeId),
    Back {
        ty: TypeId,
        element: ElementId,
    },
    Index(usize),
    Skip(usize),
}

/// A condition made ready.
#[derive(Debug)]
pub(crate) enum Cond {
    And(Vec<Cond>),
    Or(Vec<Cond>),
    Not(Box<Cond>),
    Exists(Path),
    Empty(Path),
    TargetEmpty,
    Compare(Path, Compare, Box<str>),
    In(Path, Vec<Box<str>>),
    Count(Path, Compare, u32),
    StartsWith(Path, Box<str>),
    EndsWith(Path, Box<str>),
    Contains(Path, Box<str>),
    Matches(Path, Regex),
    Given(Given, Compare, Box<str>),
    GivenIn(Given, Vec<Box<str>>),
}

/// What a conversion is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    Code,
    Trigger,
    Structure,
    Version,
    Time,
    ControlId,
    ProcessingId,
    SendingApplication,
    SendingFacility,
    ReceivingApplication,
    ReceivingFacility,
    Charset,
    Index,
}

impl Given {
    pub(crate) const ALL: &'static [(&'static str, Self)] = &[
        ("code", Self::Code),
        ("trigger", Self::Trigger),
        ("structure", Self::Structure),
        ("version", Self::Version),
        ("time", Self::Time),
        ("control-id", Self::ControlId),
        ("processing-id", Self::ProcessingId),
        ("sending-application", Self::SendingApplication),
        ("sending-facility", Self::SendingFacility),
        ("receiving-application", Self::ReceivingApplication),
        ("receiving-facility", Self::ReceivingFacility),
        ("charset", Self::Charset),
        ("index", Self::Index),
    ];
}

/// How a value gets into the message.
#[derive(Debug)]
pub(crate) enum Way {
    Type,
    Constant(Box<str>),
    Given(Given),
    Map {
        map: Number,
        codes: Option<Number>,
    },
    Codes(Number),
    Function {
        function: Inverse,
        argument: Box<str>,
        codes: Option<Number>,
    },
}

/// A code of v2, for the code of FHIR with this system.
pub(crate) type V2Code = (Option<Box<str>>, Box<str>);

/// A table of codes turned round.
#[derive(Debug, Default)]
pub(crate) struct CodeTable {
    pub(crate) name: String,
    /// The system of the v2 codes.
    pub(crate) v2: Option<Box<str>>,
    /// By the code of FHIR: its system, and the code of v2.
    pub(crate) by_code: HashMap<Box<str>, Vec<V2Code>>,
    /// Codes of FHIR for which several codes of v2 stand and none is marked.
    pub(crate) ambiguous: Vec<String>,
}

impl CodeTable {
    /// The code of v2 for a code of FHIR.
    pub(crate) fn find(&self, code: &str, system: Option<&str>) -> Option<&str> {
        let list = self.by_code.get(code)?;
        let found = list.iter().find(|(of, _)| match (of.as_deref(), system) {
            (Some(of), Some(system)) => of == system,
            (None, _) | (_, None) => true,
        });
        found.map(|(_, code)| &**code)
    }
}
