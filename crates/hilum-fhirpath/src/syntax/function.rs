//! The functions of the language, by family, with the number of arguments they take.

/// A function, in the family that evaluates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Existence(Existence),
    Subset(Subset),
    Navigate(Navigate),
    Convert(Convert),
    /// Whether the conversion would give something.
    Converts(Convert),
    Text(Text),
    Math(Math),
    Utility(Utility),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existence {
    Empty,
    Exists,
    Not,
    All,
    AllTrue,
    AnyTrue,
    AllFalse,
    AnyFalse,
    SubsetOf,
    SupersetOf,
    Count,
    IsDistinct,
    HasValue,
    IsNull,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subset {
    Where,
    Select,
    Repeat,
    RepeatAll,
    Single,
    First,
    Last,
    Tail,
    Skip,
    Take,
    Intersect,
    Exclude,
    Distinct,
    Union,
    Combine,
    Coalesce,
    Sort,
    Aggregate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Navigate {
    Children,
    Descendants,
    Extension,
    GetValue,
    Resolve,
    MemberOf,
    ConformsTo,
    OfType,
    Is,
    As,
    Type,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Convert {
    Boolean,
    Integer,
    Decimal,
    Date,
    DateTime,
    Time,
    Quantity,
    String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    IndexOf,
    LastIndexOf,
    Substring,
    StartsWith,
    EndsWith,
    Contains,
    Upper,
    Lower,
    Replace,
    Matches,
    MatchesFull,
    ReplaceMatches,
    Length,
    ToChars,
    Trim,
    Split,
    Join,
    Encode,
    Decode,
    Escape,
    Unescape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Math {
    Abs,
    Ceiling,
    Exp,
    Floor,
    Ln,
    Log,
    Power,
    Round,
    Sqrt,
    Truncate,
    LowBoundary,
    HighBoundary,
    Precision,
    Comparable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Utility {
    Iif,
    Trace,
    Now,
    Today,
    TimeOfDay,
}

/// Name, function, fewest and most arguments.
pub(crate) type Row = (&'static str, Family, usize, usize);

/// Arguments of `coalesce` and `sort`.
const MANY: usize = 32;

/// Every function.
const FUNCTIONS: &[Row] = &[
    ("empty", Family::Existence(Existence::Empty), 0, 0),
    ("exists", Family::Existence(Existence::Exists), 0, 1),
    ("not", Family::Existence(Existence::Not), 0, 0),
    ("all", Family::Existence(Existence::All), 1, 1),
    ("allTrue", Family::Existence(Existence::AllTrue), 0, 0),
    ("anyTrue", Family::Existence(Existence::AnyTrue), 0, 0),
    ("allFalse", Family::Existence(Existence::AllFalse), 0, 0),
    ("anyFalse", Family::Existence(Existence::AnyFalse), 0, 0),
    ("subsetOf", Family::Existence(Existence::SubsetOf), 1, 1),
    ("supersetOf", Family::Existence(Existence::SupersetOf), 1, 1),
    ("count", Family::Existence(Existence::Count), 0, 0),
    ("isDistinct", Family::Existence(Existence::IsDistinct), 0, 0),
    ("hasValue", Family::Existence(Existence::HasValue), 0, 0),
    ("isNull", Family::Existence(Existence::IsNull), 0, 0),
    ("where", Family::Subset(Subset::Where), 1, 1),
    ("select", Family::Subset(Subset::Select), 1, 1),
    ("repeat", Family::Subset(Subset::Repeat), 1, 1),
    ("repeatAll", Family::Subset(Subset::RepeatAll), 1, 1),
    ("single", Family::Subset(Subset::Single), 0, 0),
    ("first", Family::Subset(Subset::First), 0, 0),
    ("last", Family::Subset(Subset::Last), 0, 0),
    ("tail", Family::Subset(Subset::Tail), 0, 0),
    ("skip", Family::Subset(Subset::Skip), 1, 1),
    ("take", Family::Subset(Subset::Take), 1, 1),
    ("intersect", Family::Subset(Subset::Intersect), 1, 1),
    ("exclude", Family::Subset(Subset::Exclude), 1, 1),
    ("distinct", Family::Subset(Subset::Distinct), 0, 0),
    ("union", Family::Subset(Subset::Union), 1, 1),
    ("combine", Family::Subset(Subset::Combine), 1, 1),
    ("coalesce", Family::Subset(Subset::Coalesce), 1, MANY),
    ("sort", Family::Subset(Subset::Sort), 0, MANY),
    ("aggregate", Family::Subset(Subset::Aggregate), 1, 2),
    ("children", Family::Navigate(Navigate::Children), 0, 0),
    ("descendants", Family::Navigate(Navigate::Descendants), 0, 0),
    ("extension", Family::Navigate(Navigate::Extension), 1, 1),
    ("getValue", Family::Navigate(Navigate::GetValue), 0, 0),
    ("resolve", Family::Navigate(Navigate::Resolve), 0, 0),
    ("memberOf", Family::Navigate(Navigate::MemberOf), 1, 1),
    ("conformsTo", Family::Navigate(Navigate::ConformsTo), 1, 1),
    ("ofType", Family::Navigate(Navigate::OfType), 1, 1),
    ("is", Family::Navigate(Navigate::Is), 1, 1),
    ("as", Family::Navigate(Navigate::As), 1, 1),
    ("type", Family::Navigate(Navigate::Type), 0, 0),
    ("toBoolean", Family::Convert(Convert::Boolean), 0, 0),
    ("toInteger", Family::Convert(Convert::Integer), 0, 0),
    ("toDecimal", Family::Convert(Convert::Decimal), 0, 0),
    ("toDate", Family::Convert(Convert::Date), 0, 0),
    ("toDateTime", Family::Convert(Convert::DateTime), 0, 0),
    ("toTime", Family::Convert(Convert::Time), 0, 0),
    ("toQuantity", Family::Convert(Convert::Quantity), 0, 1),
    ("toString", Family::Convert(Convert::String), 0, 0),
    (
        "convertsToBoolean",
        Family::Converts(Convert::Boolean),
        0,
        0,
    ),
    (
        "convertsToInteger",
        Family::Converts(Convert::Integer),
        0,
        0,
    ),
    (
        "convertsToDecimal",
        Family::Converts(Convert::Decimal),
        0,
        0,
    ),
    ("convertsToDate", Family::Converts(Convert::Date), 0, 0),
    (
        "convertsToDateTime",
        Family::Converts(Convert::DateTime),
        0,
        0,
    ),
    ("convertsToTime", Family::Converts(Convert::Time), 0, 0),
    (
        "convertsToQuantity",
        Family::Converts(Convert::Quantity),
        0,
        1,
    ),
    ("convertsToString", Family::Converts(Convert::String), 0, 0),
    ("indexOf", Family::Text(Text::IndexOf), 1, 1),
    ("lastIndexOf", Family::Text(Text::LastIndexOf), 1, 1),
    ("substring", Family::Text(Text::Substring), 1, 2),
    ("startsWith", Family::Text(Text::StartsWith), 1, 1),
    ("endsWith", Family::Text(Text::EndsWith), 1, 1),
    ("contains", Family::Text(Text::Contains), 1, 1),
    ("upper", Family::Text(Text::Upper), 0, 0),
    ("lower", Family::Text(Text::Lower), 0, 0),
    ("replace", Family::Text(Text::Replace), 2, 2),
    ("matches", Family::Text(Text::Matches), 1, 1),
    ("matchesFull", Family::Text(Text::MatchesFull), 1, 1),
    ("replaceMatches", Family::Text(Text::ReplaceMatches), 2, 2),
    ("length", Family::Text(Text::Length), 0, 0),
    ("toChars", Family::Text(Text::ToChars), 0, 0),
    ("trim", Family::Text(Text::Trim), 0, 0),
    ("split", Family::Text(Text::Split), 1, 1),
    ("join", Family::Text(Text::Join), 0, 1),
    ("encode", Family::Text(Text::Encode), 1, 1),
    ("decode", Family::Text(Text::Decode), 1, 1),
    ("escape", Family::Text(Text::Escape), 1, 1),
    ("unescape", Family::Text(Text::Unescape), 1, 1),
    ("abs", Family::Math(Math::Abs), 0, 0),
    ("ceiling", Family::Math(Math::Ceiling), 0, 0),
    ("exp", Family::Math(Math::Exp), 0, 0),
    ("floor", Family::Math(Math::Floor), 0, 0),
    ("ln", Family::Math(Math::Ln), 0, 0),
    ("log", Family::Math(Math::Log), 1, 1),
    ("power", Family::Math(Math::Power), 1, 1),
    ("round", Family::Math(Math::Round), 0, 1),
    ("sqrt", Family::Math(Math::Sqrt), 0, 0),
    ("truncate", Family::Math(Math::Truncate), 0, 0),
    ("lowBoundary", Family::Math(Math::LowBoundary), 0, 1),
    ("highBoundary", Family::Math(Math::HighBoundary), 0, 1),
    ("precision", Family::Math(Math::Precision), 0, 0),
    ("comparable", Family::Math(Math::Comparable), 1, 1),
    ("iif", Family::Utility(Utility::Iif), 2, 3),
    ("trace", Family::Utility(Utility::Trace), 1, 2),
    ("now", Family::Utility(Utility::Now), 0, 0),
    ("today", Family::Utility(Utility::Today), 0, 0),
    ("timeOfDay", Family::Utility(Utility::TimeOfDay), 0, 0),
];

/// Name, fewest and most arguments of every function, for documentation and editors.
pub fn functions() -> impl Iterator<Item = (&'static str, usize, usize)> {
    FUNCTIONS.iter().map(|row| (row.0, row.2, row.3))
}

/// The function of this name.
pub(crate) fn find(name: &str) -> Option<&'static Row> {
    FUNCTIONS.iter().find(|row| row.0 == name)
}

/// A function whose name differs in case only, or in a letter.
pub(crate) fn similar(name: &str) -> Option<&'static str> {
    let folded = name.to_lowercase();
    let close = |row: &&Row| {
        let other = row.0.to_lowercase();
        other == folded
            || (folded.len() > 3 && (other.starts_with(&folded) || folded.starts_with(&other)))
            || one_edit(&other, &folded)
    };
    FUNCTIONS.iter().find(close).map(|row| row.0)
}

/// Whether one letter added, left out, or changed makes them equal.
fn one_edit(a: &str, b: &str) -> bool {
    let prefix = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let suffix = a
        .bytes()
        .rev()
        .zip(b.bytes().rev())
        .take_while(|(x, y)| x == y)
        .count();
    let (short, long) = (a.len().min(b.len()), a.len().max(b.len()));
    long - short <= 1 && prefix + suffix + 1 >= long
}
