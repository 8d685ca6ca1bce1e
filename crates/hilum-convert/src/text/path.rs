//! Where a row reads and where it writes.

use super::scan::Scan;
use crate::problem::Fault;

/// A place of a message: `PID-3.4.2`, `PID-3[1]`, `CX.4`, `CX`, or a segment as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The segment or data type.
    pub name: String,
    /// The field; `None` for the whole segment and in data types.
    pub field: Option<u32>,
    /// The repetition, from 1, where one is named.
    pub repetition: Option<u32>,
    /// The component; 0 for the whole field or value.
    pub component: u32,
    /// The subcomponent; 0 for the whole component.
    pub subcomponent: u32,
}

impl Source {
    /// Reads a place as the whole of a column.
    pub(crate) fn read(text: &str) -> Result<Self, Fault> {
        let mut scan = Scan::new(text);
        let source = Self::scan(&mut scan)?;
        scan.end()?;
        Ok(source)
    }

    /// Reads a place; what follows it (`.exists()`) is left.
    pub(super) fn scan(scan: &mut Scan<'_>) -> Result<Self, Fault> {
        let start = scan.clone();
        let name = scan.take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        if name.len() < 2 || name.len() > 3 || !name.starts_with(|c: char| c.is_ascii_uppercase()) {
            return Err(start
                .fault("not a place of a message")
                .remedy("write a field such as `PID-3.4`, a component such as `CX.4`, or `-`"));
        }
        let mut source = Self {
            name: name.to_owned(),
            field: None,
            repetition: None,
            component: 0,
            subcomponent: 0,
        };
        if scan.take("-") {
            source.field = Some(position(scan)?);
            if scan.take("[") {
                source.repetition = Some(position(scan)?);
                scan.expect("]")?;
            }
        }
        if let Some(component) = below(scan)? {
            source.component = component;
            source.subcomponent = below(scan)?.unwrap_or(0);
        }
        Ok(source)
    }
}

fn position(scan: &mut Scan<'_>) -> Result<u32, Fault> {
    let start = scan.clone();
    match scan.number()? {
        0 => Err(start.fault("places are counted from 1")),
        number => Ok(number),
    }
}

/// `.3`, but not `.exists()`.
fn below(scan: &mut Scan<'_>) -> Result<Option<u32>, Fault> {
    let mut ahead = scan.clone();
    if ahead.take(".") && ahead.peek().is_some_and(|c| c.is_ascii_digit()) {
        let number = position(&mut ahead)?;
        *scan = ahead;
        return Ok(Some(number));
    }
    Ok(None)
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        if let Some(field) = self.field {
            write!(f, "-{field}")?;
        }
        if let Some(repetition) = self.repetition {
            write!(f, "[{repetition}]")?;
        }
        for part in [self.component, self.subcomponent] {
            if part != 0 {
                write!(f, ".{part}")?;
            }
        }
        Ok(())
    }
}

/// Where a row writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As it was written.
    pub text: String,
    /// The steps from the target of the map; none for `.`.
    pub steps: Vec<Place>,
}

/// A step with its place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Characters in front of it.
    pub at: usize,
    /// The step.
    pub step: Step,
}

/// One step of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An element by its JSON name, with the name of its slot.
    Element {
        /// The name.
        name: String,
        /// `[slot]`.
        slot: Option<String>,
        /// `[slot*]`: one for each repetition of the source.
        each: bool,
    },
    /// `extension(URL)`, `modifierExtension(URL)`.
    Extension {
        /// The element that holds it.
        name: String,
        /// The whole URL, or the name within the extension around it.
        url: String,
        /// `*`: one for each repetition of the source.
        each: bool,
    },
    /// `element(Type)`: another resource, to which the element refers.
    Refer {
        /// The element.
        name: String,
        /// The type of the resource.
        to: String,
        /// `[slot]`.
        slot: Option<String>,
        /// `[slot*]`.
        each: bool,
    },
    /// `^Type.element`: another resource whose element refers to this one.
    Back {
        /// The type of the resource.
        from: String,
        /// Its element.
        name: String,
    },
}

/// Where extensions of the standard live.
pub(crate) const EXTENSIONS: &str = "http://hl7.org/fhir/StructureDefinition/";

impl Target {
    /// Reads a target; `.` is the target of the map itself.
    pub(crate) fn read(text: &str) -> Result<Self, Fault> {
        let mut scan = Scan::new(text);
        let mut steps: Vec<Place> = Vec::new();
        if text != "." {
            loop {
                let at = scan.column();
                let nested = steps
                    .last()
                    .is_some_and(|place: &Place| matches!(place.step, Step::Extension { .. }));
                let step = step(&mut scan, steps.is_empty(), nested)?;
                steps.push(Place { at, step });
                if scan.is_done() {
                    break;
                }
                if !scan.take(".") && !scan.take("/") {
                    return Err(scan
                        .fault("not a path of FHIR elements")
                        .remedy("write names with `.` between them, such as `name.family`"));
                }
            }
        }
        Ok(Self {
            text: text.to_owned(),
            steps,
        })
    }
}

fn name(scan: &mut Scan<'_>) -> Result<String, Fault> {
    let start = scan.clone();
    let name = scan.take_while(|c| c.is_ascii_alphanumeric());
    if name.is_empty() {
        return Err(start.fault("the name of an element was expected"));
    }
    Ok(name.to_owned())
}

fn argument(scan: &mut Scan<'_>) -> Result<Option<String>, Fault> {
    if scan.take("(") {
        return Ok(Some(scan.parenthesis()?.trim().to_owned()));
    }
    Ok(None)
}

/// `nested` is an extension within an extension, which has a name instead of a URL.
fn step(scan: &mut Scan<'_>, first: bool, nested: bool) -> Result<Step, Fault> {
    let start = scan.clone();
    if scan.take("^") {
        if !first {
            return Err(start.fault("`^` stands at the beginning of a target"));
        }
        let from = name(scan)?;
        scan.expect(".")?;
        let name = name(scan)?;
        return Ok(Step::Back { from, name });
    }
    let name = name(scan)?;
    let mut argument = argument(scan)?;
    let (mut slot, mut each) = (None, false);
    if scan.take("[") {
        let inside = scan.take_while(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        each = scan.take("*");
        if inside.is_empty() {
            return Err(scan
                .fault("a slot needs a name")
                .remedy("write `[name]` or `[name*]`"));
        }
        slot = Some(inside.to_owned());
        scan.expect("]")?;
    }
    // `parent[one](Specimen)` and `parent(Specimen)[one]` are the same.
    if argument.is_none() && slot.is_some() {
        argument = self::argument(scan)?;
    }
    let star = scan.take("*");
    match argument {
        Some(url) if matches!(name.as_str(), "extension" | "modifierExtension") => {
            if url.is_empty() {
                return Err(start.fault("an extension needs its URL"));
            }
            if slot.is_some() {
                return Err(start
                    .fault("an extension is told from others by its URL, not by a slot")
                    .remedy("write `extension(URL)` or `extension(URL)*`"));
            }
            let url = if nested || url.contains(':') {
                url
            } else {
                format!("{EXTENSIONS}{url}")
            };
            Ok(Step::Extension {
                name,
                url,
                each: star,
            })
        }
        Some(_) | None if star => Err(start
            .fault("`*` stands behind an extension or within a slot")
            .remedy("write `element[name*]`")),
        Some(to) => Ok(Step::Refer {
            name,
            to,
            slot,
            each,
        }),
        None => Ok(Step::Element { name, slot, each }),
    }
}
