//! Reads constraints, predicates and bindings of a profile.
//!
//! What cannot be checked becomes a warning that names it; the statement it is part of is then
//! never reported as broken because of it.

use regex::{Regex, RegexBuilder};

use super::expression::{Expression, Mode, Operator, Test, WhenAbsent};
use super::model::{Book, Constraint, Predicate, Statements, Usage};
use super::path::Position;
use super::values::{Binding, Strength};
use crate::validate::Severity;
use crate::xml::{Element, XmlError};

/// Memory that one pattern may take when compiled.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// A pattern that has to match the whole value, and one that must not match its beginning.
///
/// Profiles use a leading `(?!...)`, which the expression engine does not have.
pub(crate) fn regex(pattern: &str) -> Option<(Regex, Option<Regex>)> {
    let build = |text: &str| {
        RegexBuilder::new(text)
            .size_limit(PATTERN_BYTES_MAX)
            .build()
            .ok()
    };
    if let Some((refused, rest)) = leading_refusal(pattern) {
        return Some((
            build(&format!("^(?:{rest})$"))?,
            Some(build(&format!("^(?:{refused})"))?),
        ));
    }
    Some((build(&format!("^(?:{pattern})$"))?, None))
}

/// Splits `^(?!A)B` into `A` and `B`.
fn leading_refusal(pattern: &str) -> Option<(&str, &str)> {
    let rest = pattern
        .strip_prefix("^(?!")
        .or_else(|| pattern.strip_prefix("(?!"))?;
    let mut depth: usize = 1;
    let mut escaped = false;
    for (at, letter) in rest.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return Some((rest.get(..at)?, rest.get(at.saturating_add(1)..)?));
        }
    }
    None
}

/// Reads a file of constraints and predicates.
pub(crate) fn load(
    root: &Element,
    book: &mut Book,
    warnings: &mut Vec<String>,
) -> Result<(), XmlError> {
    if root.name != "ConformanceContext" {
        return Err(XmlError::Root("ConformanceContext"));
    }
    let kinds = root
        .children
        .iter()
        .filter(|list| matches!(list.name.as_str(), "Predicates" | "Constraints"));
    for kind in kinds.flat_map(|list| &list.children) {
        let Some(shelf) = book.shelf(&kind.name) else {
            warnings.push(format!("statements about {} are not checked", kind.name));
            continue;
        };
        for owner in &kind.children {
            let key = match (
                owner.name.as_str(),
                owner.attribute("ID"),
                owner.attribute("Name"),
            ) {
                ("ByID", Some(id), _) => id.to_owned(),
                ("ByName", _, Some(name)) => format!("name:{name}"),
                _ => {
                    warnings.push(format!("statements by {} are not checked", owner.name));
                    continue;
                }
            };
            let place = format!("{} {}", kind.name, key.trim_start_matches("name:"));
            let statements = shelf.entry(key).or_default();
            for statement in &owner.children {
                one(statement, &place, statements, warnings)?;
            }
        }
    }
    Ok(())
}

fn one(
    element: &Element,
    place: &str,
    out: &mut Statements,
    warnings: &mut Vec<String>,
) -> Result<(), XmlError> {
    let text = element
        .child("Description")
        .map(|found| found.text.trim().to_owned())
        .unwrap_or_default();
    let id = element.attribute("ID").map(str::to_owned);
    let target = element.attribute("Target");
    let own = id.as_deref().or(target).unwrap_or(&element.name);
    let name = format!("{place}: {own}");
    match element.name.as_str() {
        "Constraint" => {
            let severity = match element.attribute("Strength") {
                Some("SHOULD") => Severity::Warning,
                Some("MAY") => Severity::Info,
                _ => Severity::Error,
            };
            let expression = within(element, "Assertion", &name, warnings);
            out.constraints.push(Constraint {
                id,
                text,
                severity,
                expression,
            });
        }
        "Predicate" => {
            let target = element.required("Target")?;
            let Some(target) = Position::parse(target) else {
                warnings.push(format!("{name}: the target cannot be read"));
                return Ok(());
            };
            out.predicates.push(Predicate {
                id,
                text,
                target,
                when_true: Usage::parse(element.attribute("TrueUsage")),
                when_false: Usage::parse(element.attribute("FalseUsage")),
                condition: within(element, "Condition", &name, warnings),
            });
        }
        other => warnings.push(format!(
            "{name}: a statement of kind {other} is not checked"
        )),
    }
    Ok(())
}

fn within(element: &Element, part: &str, name: &str, warnings: &mut Vec<String>) -> Expression {
    match element.child(part).and_then(|found| found.children.first()) {
        Some(found) => expression(found, name, warnings),
        None => {
            warnings.push(format!("{name}: {part} is empty"));
            Expression::Unsupported
        }
    }
}

fn expression(element: &Element, name: &str, warnings: &mut Vec<String>) -> Expression {
    let found = match element.name.as_str() {
        "AND" | "FORALL" => Some(Expression::All(all(element, name, warnings))),
        "OR" | "EXIST" => Some(Expression::Any(all(element, name, warnings))),
        "NOT" => all(element, name, warnings)
            .pop()
            .map(|inner| Expression::Not(Box::new(inner))),
        "XOR" | "IMPLY" => {
            let mut parts = all(element, name, warnings).into_iter();
            let pair = parts.next().zip(parts.next());
            pair.map(|(left, right)| match element.name.as_str() {
                "XOR" => Expression::One(Box::new(left), Box::new(right)),
                _ => Expression::Implies(Box::new(left), Box::new(right)),
            })
        }
        "Presence" => position(element, "Path").map(Expression::Presence),
        "SetID" => position(element, "Path").map(Expression::SetId),
        "PathValue" => pair(element),
        _ => values(element),
    };
    found.unwrap_or_else(|| {
        let class = element
            .attribute("QualifiedClassName")
            .map(|class| format!(" {class}"));
        warnings.push(format!(
            "{name}: {}{} cannot be checked",
            element.name,
            class.unwrap_or_default()
        ));
        Expression::Unsupported
    })
}

fn all(element: &Element, name: &str, warnings: &mut Vec<String>) -> Vec<Expression> {
    element
        .children
        .iter()
        .map(|inner| expression(inner, name, warnings))
        .collect()
}

fn position(element: &Element, attribute: &str) -> Option<Position> {
    Position::parse(element.attribute(attribute)?)
}

fn flag(element: &Element, attribute: &str) -> bool {
    matches!(element.attribute(attribute), Some("true" | "1"))
}

fn absent(element: &Element, default: WhenAbsent) -> WhenAbsent {
    match element.attribute("NotPresentBehavior") {
        Some("FAIL") => WhenAbsent::Fails,
        Some("PASS") => WhenAbsent::Holds,
        Some("INCONCLUSIVE") => WhenAbsent::Open,
        _ => default,
    }
}

fn mode(element: &Element, attribute: &str) -> Mode {
    match element.attribute(attribute) {
        Some("AtLeastOne") => Mode::AtLeastOne,
        _ => Mode::All,
    }
}

fn pair(element: &Element) -> Option<Expression> {
    // Comparing dates cut to the shorter one is not understood.
    if flag(element, "Truncated") {
        return None;
    }
    Some(Expression::Pair {
        left: position(element, "Path1")?,
        left_mode: mode(element, "Path1Mode"),
        operator: Operator::parse(element.attribute("Operator")?)?,
        right: position(element, "Path2")?,
        right_mode: mode(element, "Path2Mode"),
        absent: absent(element, WhenAbsent::Fails),
    })
}

fn values(element: &Element) -> Option<Expression> {
    let list = || {
        element
            .attribute("CSV")
            .map(|csv| csv.split(',').map(str::trim))
    };
    let test = match element.name.as_str() {
        "PlainText" => Test::Text {
            text: element.attribute("Text")?.to_owned(),
            ignore_case: flag(element, "IgnoreCase"),
        },
        "StringList" => Test::List {
            texts: list()?.map(str::to_owned).collect(),
            ignore_case: flag(element, "IgnoreCase"),
        },
        "NumberList" => Test::Numbers(
            list()?
                .map(|text| text.parse().ok())
                .collect::<Option<_>>()?,
        ),
        "Format" => {
            let (matches, but_not) = regex(element.attribute("Regex")?)?;
            Test::Format { matches, but_not }
        }
        "SimpleValue" => Test::Compare {
            operator: Operator::parse(element.attribute("Operator")?)?,
            value: element.attribute("Value")?.to_owned(),
            number: element.attribute("Type") == Some("Number"),
        },
        "ValueSet" => Test::ValueSet {
            id: element.attribute("ValueSetID")?.to_owned(),
            locations: locations(element.attribute("BindingLocation"))?,
        },
        _ => return None,
    };
    let mode = if flag(element, "AtLeastOnce") {
        Mode::AtLeastOne
    } else {
        Mode::All
    };
    let absent = absent(element, WhenAbsent::Holds);
    Some(Expression::Values {
        position: position(element, "Path")?,
        mode,
        absent,
        test,
    })
}

/// `1:4`: components, any of which may hold the code.
pub(crate) fn locations(text: Option<&str>) -> Option<Vec<u16>> {
    match text {
        None | Some(".") => Some(Vec::new()),
        Some(text) => text
            .split([':', ','])
            .map(|part| part.trim().parse().ok())
            .collect(),
    }
}

/// Reads a file of value set bindings.
pub(crate) fn load_bindings(
    root: &Element,
    book: &mut Book,
    warnings: &mut Vec<String>,
) -> Result<(), XmlError> {
    if root.name != "ValueSetBindingsContext" {
        return Err(XmlError::Root("ValueSetBindingsContext"));
    }
    for kind in root
        .children_named("ValueSetBindings")
        .flat_map(|list| &list.children)
    {
        let Some(shelf) = book.shelf(&kind.name) else {
            continue;
        };
        for owner in kind.children_named("ByID") {
            let statements = shelf.entry(owner.required("ID")?.to_owned()).or_default();
            for binding in &owner.children {
                match bound(binding) {
                    Some(found) => statements.bindings.extend(found),
                    None => {
                        warnings.push(format!("{}: a value set binding cannot be read", kind.name))
                    }
                }
            }
        }
    }
    Ok(())
}

fn bound(element: &Element) -> Option<Vec<(Position, Binding)>> {
    let target = position(element, "Target")?;
    let strength = Strength::parse(element.attribute("BindingStrength"));
    let ids = element.child("Bindings")?.children_named("Binding");
    let sets: Vec<String> = ids
        .filter_map(|id| id.attribute("BindingIdentifier").map(str::to_owned))
        .collect();
    let single = |text: Option<&str>| match Position::parse(text?)?.0.as_slice() {
        [] => Some(None),
        [step] => Some(Some(step.position)),
        _ => None,
    };
    let mut simple = Vec::new();
    let mut out = Vec::new();
    let whole = |locations, system| {
        (
            target.clone(),
            Binding {
                sets: sets.clone(),
                strength,
                locations,
                system,
            },
        )
    };
    for location in &element.child("BindingLocations")?.children {
        let code = single(location.attribute("CodeLocation"))?;
        match location.name.as_str() {
            "SimpleBindingLocation" => simple.extend(code),
            "ComplexBindingLocation" => {
                let system = single(location.attribute("CodeSystemLocation"))?;
                out.push(whole(code.into_iter().collect(), system));
            }
            _ => return None,
        }
    }
    if out.len() > 1 {
        // Alternatives: any of the codes fits, the systems are not compared.
        simple.extend(out.drain(..).flat_map(|(_, binding)| binding.locations));
    }
    if out.is_empty() {
        out.push(whole(simple, None));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_values() {
        let check = |pattern: &str, good: &str, bad: &str| {
            let (matches, but_not) = regex(pattern).expect("pattern");
            let fits = |text: &str| {
                matches.is_match(text) && !but_not.as_ref().is_some_and(|not| not.is_match(text))
            };
            assert!(fits(good) && !fits(bad), "{pattern}");
        };
        check("^<=$|^>=$", "<=", "<=>");
        check("99.+", "99LAB", "L99LAB");
        check(r"^(?!\s*$).+", "a b", "   ");
        check(r"^(?!a(b|\))c)[a-z)]+", "abd", "a)c");
        assert!(regex("(").is_none());
    }
}
