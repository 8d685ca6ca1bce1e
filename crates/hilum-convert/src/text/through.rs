//! How a row's value becomes what is written.

use super::block::{MapName, Role, role};
use super::path::Source;
use super::scan::Scan;
use crate::problem::{Fault, nearest};

/// The way of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Through {
    /// By the type of the target.
    Type,
    /// A constant.
    Constant(String),
    /// A map, and codes for the first coding.
    Map {
        /// Where its value stands, if not at the row's source (`OBX-6: CWE -> Quantity`).
        of: Option<Source>,
        /// The map.
        map: MapName,
        /// Characters in front of its name.
        at: usize,
        /// The codes.
        codes: Option<String>,
    },
    /// A table of codes.
    Codes(String),
    /// A reference to a resource of the message.
    Reference {
        /// Characters in front of the role.
        at: usize,
        /// The resource.
        role: Role,
    },
    /// What the conversion was told (`%arrival`, `%id`).
    Given(Given),
    /// A function, and codes for its result.
    Function {
        /// The function.
        function: Function,
        /// What stands in its parentheses.
        arguments: Vec<JoinPart>,
        /// The codes.
        codes: Option<String>,
    },
}

/// What stands in the parentheses of a function.
#[derive(Clone, Debug, PartialEq)]
pub enum JoinPart {
    /// A place.
    Path {
        /// Characters in front of it.
        at: usize,
        /// The place.
        source: Source,
    },
    /// A text.
    Text(String),
}

/// What a conversion is told beside the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// When the message arrived.
    Arrival,
    /// The id that the message has here.
    Id,
}

/// What rows cannot say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// HD, or namespace, universal id and its type, to the URI of an identifier's system.
    Authority,
    /// The first group of a regular expression.
    Capture,
    /// The comparator in front of a number (`<`, `<=`, `>=`, `>`).
    Comparator,
    /// Data of ED (or data, encoding) to base64.
    Data,
    /// The upper bound of an interval or limit of numbers.
    High,
    /// Texts put together; a text beside a place that is not valued is left out.
    Join,
    /// A field of all segments of its name, a line each; only of those whose OBX-2 is named.
    Lines,
    /// The lower bound of an interval or limit of numbers.
    Low,
    /// Lower case.
    Lower,
    /// A number of the unit in the parentheses as minutes.
    Minutes,
    /// A number without the comparator in front of it.
    Number,
    /// The numbers of NA with blanks between them.
    Numbers,
    /// A time, and how much of which unit (`'min'`) is added.
    Plus,
    /// The name of a coding system to its URI.
    System,
    /// Formatted text to plain lines.
    Text,
    /// Explicit times (`0800,2000`), each an element of its own.
    Times,
    /// A unit to a code of UCUM; nothing where it is none.
    Ucum,
    /// A universal id and its type to a URI.
    Universal,
}

impl Function {
    /// Every function with its name and how many arguments it has at least and at most.
    pub const ALL: &'static [(&'static str, Self, usize, usize)] = &[
        ("authority", Self::Authority, 0, 3),
        ("capture", Self::Capture, 1, 1),
        ("comparator", Self::Comparator, 0, 0),
        ("data", Self::Data, 0, 2),
        ("high", Self::High, 0, 0),
        ("join", Self::Join, 1, 32),
        ("lines", Self::Lines, 1, 8),
        ("low", Self::Low, 0, 0),
        ("lower", Self::Lower, 0, 0),
        ("minutes", Self::Minutes, 1, 1),
        ("number", Self::Number, 0, 0),
        ("numbers", Self::Numbers, 0, 0),
        ("plus", Self::Plus, 3, 3),
        ("system", Self::System, 0, 3),
        ("text", Self::Text, 0, 0),
        ("times", Self::Times, 0, 0),
        ("ucum", Self::Ucum, 0, 0),
        ("universal", Self::Universal, 1, 2),
    ];
}

impl Through {
    pub(crate) fn read(text: &str) -> Result<Self, Fault> {
        let mut scan = Scan::new(text);
        let through = read(&mut scan)?;
        scan.end()?;
        Ok(through)
    }
}

fn read(scan: &mut Scan<'_>) -> Result<Through, Fault> {
    if let Some(text) = scan.quoted()? {
        return Ok(Through::Constant(text));
    }
    if scan.word("codes") {
        return codes(scan).map(Through::Codes);
    }
    if scan.take("%") {
        for (name, given) in [("arrival", Given::Arrival), ("id", Given::Id)] {
            if scan.word(name) {
                return Ok(Through::Given(given));
            }
        }
        return Err(scan
            .fault("nothing of this name is known")
            .remedy("there are `%arrival` and `%id`"));
    }
    if scan.take("reference(") {
        let at = scan.column();
        let role = role(scan.parenthesis()?.trim())?;
        return Ok(Through::Reference { at, role });
    }
    let start = scan.clone();
    let name = scan.take_while(|c| c.is_ascii_lowercase());
    if !name.is_empty() && scan.take("(") {
        return function(scan, name, start.column());
    }
    *scan = start;
    let mut ahead = scan.clone();
    let of = Source::scan(&mut ahead).ok().filter(|_| ahead.take(":"));
    if of.is_some() {
        ahead.blanks();
        *scan = ahead;
    }
    let at = scan.column();
    let (map, codes_name) = match scan.rest().split_once(',') {
        Some((map, codes)) => (map.trim_end(), Some(codes)),
        None => (scan.rest().trim_end(), None),
    };
    let map = MapName::read(map).map_err(|mut fault| {
        fault.at += at;
        fault
    })?;
    scan.take_while(|c| c != ',');
    let mut found = None;
    if codes_name.is_some() {
        scan.expect(",")?;
        scan.blanks();
        if !scan.word("codes") {
            return Err(scan.fault("`codes NAME` was expected behind the comma"));
        }
        found = Some(codes(scan)?);
    }
    Ok(Through::Map {
        of,
        map,
        at,
        codes: found,
    })
}

fn function(scan: &mut Scan<'_>, name: &str, at: usize) -> Result<Through, Fault> {
    let found = Function::ALL.iter().find(|(known, ..)| *known == name);
    let Some((_, function, least, most)) = found else {
        let near = nearest(name, Function::ALL.iter().map(|(name, ..)| *name));
        let near = near.map(|name| format!("did you mean `{name}()`?"));
        let all = || "the functions are listed in docs/reference/maps.md".to_owned();
        let fault = Fault::new(at, name, "there is no function of this name");
        return Err(fault.remedy(near.unwrap_or_else(all)));
    };
    let arguments = join(scan)?;
    if arguments.len() < *least || arguments.len() > *most {
        let count = if least == most {
            least.to_string()
        } else {
            format!("{least} to {most}")
        };
        return Err(Fault::new(
            at,
            name,
            format!("the function has {count} arguments"),
        ));
    }
    scan.blanks();
    let mut table = None;
    if scan.take(",") {
        scan.blanks();
        if !scan.word("codes") {
            return Err(scan.fault("`codes NAME` was expected behind the comma"));
        }
        table = Some(codes(scan)?);
    }
    Ok(Through::Function {
        function: *function,
        arguments,
        codes: table,
    })
}

fn codes(scan: &mut Scan<'_>) -> Result<String, Fault> {
    scan.blanks();
    let name = scan.take_while(|c| !c.is_whitespace() && c != ',');
    if name.is_empty() {
        return Err(scan.fault("`codes` needs the name of a table"));
    }
    Ok(name.to_owned())
}

pub(super) fn join(scan: &mut Scan<'_>) -> Result<Vec<JoinPart>, Fault> {
    let mut parts = Vec::new();
    scan.blanks();
    if scan.take(")") {
        return Ok(parts);
    }
    loop {
        scan.blanks();
        let at = scan.column();
        match scan.quoted()? {
            Some(text) => parts.push(JoinPart::Text(text)),
            None => parts.push(JoinPart::Path {
                at,
                source: Source::scan(scan)?,
            }),
        }
        scan.blanks();
        if !scan.take(",") {
            scan.expect(")")?;
            return Ok(parts);
        }
    }
}
