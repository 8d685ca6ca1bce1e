//! Rows of the way back: paths of FHIR elements, conditions on them, and ways to a message.
//!
//! The rows stand in blocks of their own (`map Patient -> PID`); their columns are kept as they were
//! written and are read here when they are compiled, with what the types of FHIR say.

use super::block::MapName;
use super::condition::Compare;
use super::logic::{TextTest, called, compare, joined, list, quoted};
use super::path::EXTENSIONS;
use super::scan::Scan;
use crate::problem::Fault;

/// What a block of the way back is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReverseHead {
    /// `map Patient -> PID`.
    Map(MapName),
    /// `message Patient -> ORU_R01`, with the rows of another one where `as` names it.
    Message {
        /// The type of what a message is about.
        from: String,
        /// The structure.
        structure: String,
        /// The structure whose rows it has.
        with: Option<String>,
    },
    /// `codes NAME (reverse)`: which code of v2 stands for a code of FHIR.
    Codes(String),
    /// `events`: which message is made of what.
    Events,
}

impl std::fmt::Display for ReverseHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Map(name) => name.fmt(f),
            Self::Message {
                from, structure, ..
            } => write!(f, "{from} -> {structure}"),
            Self::Codes(name) => write!(f, "{name} (reverse)"),
            Self::Events => f.write_str("events"),
        }
    }
}

impl MapName {
    /// Whether it leads from FHIR to v2, whose names have capital letters only.
    pub(crate) fn is_reverse(&self) -> bool {
        self.from.chars().any(|c| c.is_ascii_lowercase())
    }
}

/// Steps to elements.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FhirPath {
    pub(crate) at: usize,
    pub(crate) text: String,
    pub(crate) start: Start,
    pub(crate) steps: Vec<(usize, FhirStep)>,
}

/// Where a path begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Start {
    /// At what the map runs on.
    Context,
    /// `all(Type)`: every resource of a type.
    All(String),
    /// `subjects(Type.element)`: what the resources of a type refer to, each once, and nothing once
    /// where one of them refers to nothing.
    Subjects(String),
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FhirStep {
    Child(String),
    Extension(String),
    Where(FhirCond),
    Resolve(String),
    /// `back(Type.element)`: the resources of a type whose element refers to this one.
    Back(String),
    Index(usize),
    Skip(usize),
}

/// A condition on elements.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FhirCond {
    And(Vec<FhirCond>),
    Or(Vec<FhirCond>),
    Not(Box<FhirCond>),
    Exists(FhirPath),
    Empty(FhirPath),
    TargetEmpty,
    Compare(FhirPath, Compare, String),
    In(FhirPath, Vec<String>),
    Count(FhirPath, Compare, u32),
    StartsWith(FhirPath, String),
    EndsWith(FhirPath, String),
    Contains(FhirPath, String),
    Matches(FhirPath, String),
    Given(String, Compare, String),
    GivenIn(String, Vec<String>),
}

/// How a value gets into the message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Backward {
    Constant(String),
    Given(usize, String),
    Map {
        map: MapName,
        at: usize,
        codes: Option<String>,
    },
    Codes(String),
    Function {
        function: Inverse,
        argument: Option<String>,
        codes: Option<String>,
    },
}

/// What rows of the way back cannot say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inverse {
    /// What stands behind a text.
    After,
    /// The URI of an authority as namespace, universal id and type.
    Authority,
    /// What stands before a text.
    Before,
    /// The codings of a CodeableConcept or a Coding as the triplets of CWE.
    Concept,
    /// The namespace of the URI of an authority.
    Namespace,
    /// The type of the universal id of the URI of an authority.
    Scheme,
    /// The parts between a text, as components.
    Spread,
    /// The universal id of the URI of an authority.
    Universal,
    /// The values with a text between them.
    Join,
    /// A date or time cut to its day.
    Day,
    /// Base64 as text.
    Plain,
    /// The URI of a coding system as its name.
    System,
    /// Upper case.
    Upper,
}

impl Inverse {
    pub(crate) const ALL: &'static [(&'static str, Self, bool)] = &[
        ("after", Self::After, true),
        ("authority", Self::Authority, false),
        ("before", Self::Before, true),
        ("concept", Self::Concept, false),
        ("day", Self::Day, false),
        ("join", Self::Join, true),
        ("namespace", Self::Namespace, false),
        ("plain", Self::Plain, false),
        ("scheme", Self::Scheme, false),
        ("spread", Self::Spread, true),
        ("system", Self::System, false),
        ("universal", Self::Universal, false),
        ("upper", Self::Upper, false),
    ];
}

/// Conditions within each other.
const DEPTH_MAX: usize = 16;

impl FhirPath {
    pub(crate) fn read(text: &str) -> Result<Self, Fault> {
        let mut scan = Scan::new(text);
        let path = path(&mut scan, 0)?;
        scan.end()?;
        Ok(path)
    }
}

impl FhirCond {
    pub(crate) fn read(text: &str) -> Result<Self, Fault> {
        let mut scan = Scan::new(text);
        let condition = any(&mut scan, 0)?;
        scan.end()?;
        Ok(condition)
    }
}

/// Functions that end a path: the condition reads them.
const ENDS: &[&str] = &[
    "exists(",
    "empty(",
    "count(",
    "startsWith(",
    "endsWith(",
    "contains(",
    "matches(",
    "not(",
];

fn path(scan: &mut Scan<'_>, depth: usize) -> Result<FhirPath, Fault> {
    let at = scan.column();
    let whole = scan.rest();
    let mut steps = Vec::new();
    let mut start = Start::Context;
    let mut first = true;
    if scan.take("$this") {
        first = false;
    }
    loop {
        if !first {
            let mut ahead = scan.clone();
            if !ahead.take(".") || ENDS.iter().any(|end| ahead.rest().starts_with(end)) {
                break;
            }
            *scan = ahead;
        }
        let place = scan.column();
        let begin = scan.clone();
        let name = scan.take_while(|c| c.is_ascii_alphanumeric());
        if name.is_empty() {
            return Err(begin.fault("the name of an element was expected"));
        }
        if scan.take("(") {
            let nested = matches!(steps.last(), Some((_, FhirStep::Extension(_))));
            let step = match (name, first) {
                ("all", true) => {
                    start = Start::All(argument(scan)?);
                    None
                }
                ("subjects", true) => {
                    start = Start::Subjects(argument(scan)?);
                    None
                }
                _ => Some(call(scan, name, &begin, nested, depth)?),
            };
            steps.extend(step.map(|step| (place, step)));
        } else {
            steps.push((place, FhirStep::Child(name.to_owned())));
        }
        if scan.take("[") {
            let place = scan.column();
            steps.push((place, FhirStep::Index(scan.number()? as usize)));
            scan.expect("]")?;
        }
        first = false;
    }
    let length = whole.len() - scan.rest().len();
    Ok(FhirPath {
        at,
        text: whole.get(..length).unwrap_or_default().to_owned(),
        start,
        steps,
    })
}

/// A function of a path; its opening parenthesis was read.
fn call(
    scan: &mut Scan<'_>,
    name: &str,
    begin: &Scan<'_>,
    nested: bool,
    depth: usize,
) -> Result<FhirStep, Fault> {
    Ok(match name {
        "all" | "subjects" => {
            return Err(begin.fault("this stands at the beginning of a path only"));
        }
        "back" => FhirStep::Back(argument(scan)?),
        "resolve" => FhirStep::Resolve(argument(scan)?),
        "extension" | "modifierExtension" => {
            let url = argument(scan)?;
            let whole = nested || url.contains(':');
            FhirStep::Extension(if whole {
                url
            } else {
                format!("{EXTENSIONS}{url}")
            })
        }
        "first" => {
            argument(scan)?;
            FhirStep::Index(0)
        }
        "skip" => {
            let number = scan.number()?;
            scan.expect(")")?;
            FhirStep::Skip(number as usize)
        }
        "where" => {
            let condition = any(scan, depth + 1)?;
            scan.blanks();
            scan.expect(")")?;
            FhirStep::Where(condition)
        }
        _ => {
            return Err(begin.fault("there is no such function in a path").remedy(
                "there are all, subjects, back, resolve, extension, where, first and skip",
            ));
        }
    })
}

fn argument(scan: &mut Scan<'_>) -> Result<String, Fault> {
    Ok(scan.parenthesis()?.trim().to_owned())
}

fn any(scan: &mut Scan<'_>, depth: usize) -> Result<FhirCond, Fault> {
    joined(scan, depth, term, FhirCond::And, FhirCond::Or)
}

fn term(scan: &mut Scan<'_>, depth: usize) -> Result<FhirCond, Fault> {
    scan.blanks();
    if depth >= DEPTH_MAX {
        return Err(scan.fault("the condition is too deep"));
    }
    if scan.word("not") {
        return Ok(FhirCond::Not(Box::new(term(scan, depth + 1)?)));
    }
    if scan.take("(") {
        let inner = any(scan, depth + 1)?;
        scan.blanks();
        scan.expect(")")?;
        return Ok(inner);
    }
    if scan.take("%target.empty()") {
        return Ok(FhirCond::TargetEmpty);
    }
    if scan.take("%") {
        let name = scan
            .take_while(|c| c.is_ascii_alphanumeric() || c == '-')
            .to_owned();
        scan.blanks();
        if scan.word("in") {
            return Ok(FhirCond::GivenIn(name, list(scan)?));
        }
        let compare = compare(scan)?;
        return Ok(FhirCond::Given(name, compare, quoted(scan)?));
    }
    test(scan, depth)
}

fn test(scan: &mut Scan<'_>, depth: usize) -> Result<FhirCond, Fault> {
    let left = path(scan, depth)?;
    if scan.take(".exists()") {
        return Ok(FhirCond::Exists(left));
    }
    if scan.take(".empty()") {
        return Ok(FhirCond::Empty(left));
    }
    if scan.take(".count()") {
        let compare = compare(scan)?;
        scan.blanks();
        return Ok(FhirCond::Count(left, compare, scan.number()?));
    }
    if let Some((test, text)) = called(scan)? {
        return Ok(match test {
            TextTest::StartsWith => FhirCond::StartsWith(left, text),
            TextTest::EndsWith => FhirCond::EndsWith(left, text),
            TextTest::Contains => FhirCond::Contains(left, text),
            TextTest::Matches => FhirCond::Matches(left, text),
        });
    }
    scan.blanks();
    if scan.word("in") {
        return Ok(FhirCond::In(left, list(scan)?));
    }
    let compare = compare(scan)?;
    Ok(FhirCond::Compare(left, compare, quoted(scan)?))
}

impl Backward {
    pub(crate) fn read(text: &str) -> Result<Self, Fault> {
        let mut scan = Scan::new(text);
        if let Some(constant) = scan.quoted()? {
            scan.end()?;
            return Ok(Self::Constant(constant));
        }
        if scan.take("%") {
            let at = scan.column();
            let name = scan
                .take_while(|c| c.is_ascii_alphanumeric() || c == '-')
                .to_owned();
            scan.end()?;
            return Ok(Self::Given(at, name));
        }
        if scan.word("codes") {
            return codes(&mut scan).map(Self::Codes);
        }
        let (way, table) = match text.split_once(", codes ") {
            Some((way, table)) => (way.trim_end(), Some(table.trim().to_owned())),
            None => (text, None),
        };
        let mut scan = Scan::new(way);
        let name = scan.take_while(|c| c.is_ascii_lowercase());
        if !name.is_empty() && scan.take("(") {
            let known = Inverse::ALL.iter().find(|(known, ..)| *known == name);
            let Some((_, function, needs)) = known else {
                return Err(Fault::new(0, name, "there is no function of this name")
                    .nearest(Inverse::ALL.iter().map(|(name, ..)| *name)));
            };
            scan.blanks();
            let argument = scan.quoted()?;
            if *needs != argument.is_some() {
                let takes = if *needs { "one text" } else { "no argument" };
                return Err(Fault::new(0, name, format!("the function takes {takes}")));
            }
            scan.blanks();
            scan.expect(")")?;
            scan.end()?;
            return Ok(Self::Function {
                function: *function,
                argument,
                codes: table,
            });
        }
        Ok(Self::Map {
            map: MapName::read(way)?,
            at: 0,
            codes: table,
        })
    }
}

fn codes(scan: &mut Scan<'_>) -> Result<String, Fault> {
    scan.blanks();
    let name = scan.take_while(|c| !c.is_whitespace()).to_owned();
    scan.end()?;
    Ok(name)
}
