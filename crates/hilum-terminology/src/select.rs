//! Which concepts of a code system the filters of an include take.

use std::sync::Arc;

use hilum_fhir::IssueType;
use hilum_ucum::Unit;

use crate::issue::Issue;
use crate::names;
use crate::set::{Filter, Operator};
use crate::system::{Body, Concept, System};
use crate::table::{At, Flags, Places, Table};

/// Says which filter of some is wrong, and how. `place` is where they stand, such as
/// `ValueSet.compose.include[0]`; `canonical` names the value set.
pub(crate) fn check(
    filters: &[Filter],
    system: &System,
    place: &str,
    canonical: &str,
) -> Result<(), Issue> {
    for (at, filter) in filters.iter().enumerate() {
        let place = format!("{place}.filter[{at}]");
        let Some(value) = filter.value.as_deref() else {
            let text = format!(
                "The system {} filter with property = {}, op = {} has no value",
                system.url, filter.property, filter.code
            );
            let id = "UNABLE_TO_HANDLE_SYSTEM_FILTER_WITH_NO_VALUE";
            return Err(Issue::error(IssueType::Invalid, "vs-invalid", id, text).at(place));
        };
        if !is_understood(filter, system) {
            let text = format!(
                "The filter \"{} {} {value}\" from the value set {canonical} was not understood in the context of {}",
                filter.property, filter.code, system.url
            );
            let issue = Issue::error(
                IssueType::NotSupported,
                "vs-invalid",
                "FILTER_NOT_UNDERSTOOD",
                text,
            );
            return Err(issue.at(place));
        }
    }
    Ok(())
}

/// What a filter looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Concept,
    Display,
    Definition,
    Parent,
    Child,
    Inactive,
    Property,
}

fn subject(filter: &Filter) -> Subject {
    match &*filter.property {
        "concept" | "code" => Subject::Concept,
        "display" => Subject::Display,
        "definition" => Subject::Definition,
        "parent" => Subject::Parent,
        "child" => Subject::Child,
        "inactive" => Subject::Inactive,
        _ => Subject::Property,
    }
}

fn is_understood(filter: &Filter, system: &System) -> bool {
    let Some(operator) = filter.operator else {
        return false;
    };
    if let Body::Ucum = system.body {
        let canonical = &*filter.property == "canonical" && operator == Operator::Equal;
        return canonical
            || &*filter.property == "concept"
                && matches!(operator, Operator::In | Operator::Equal);
    }
    let pattern_fits = operator != Operator::Regex || filter.pattern.is_some();
    let of_hierarchy = matches!(
        operator,
        Operator::IsA
            | Operator::DescendentOf
            | Operator::IsNotA
            | Operator::Generalizes
            | Operator::ChildOf
            | Operator::DescendentLeaf
    );
    pattern_fits && (!of_hierarchy || subject(filter) == Subject::Concept)
}

/// The codes by which a system knows the property of a filter: its code, or its URI.
fn codes<'s>(filter: &'s Filter, system: &'s System) -> Vec<&'s str> {
    let wanted = &*filter.property;
    let meaning = format!("{}{wanted}", names::CONCEPT_PROPERTIES);
    let mut codes = vec![wanted];
    codes.extend(system.properties.iter().filter_map(|def| {
        let uri = def.uri.as_deref()?;
        (uri == wanted || uri == meaning).then_some(&*def.code)
    }));
    codes
}

/// Whether a filter takes a concept.
pub(crate) fn passes(filter: &Filter, concept: &Concept, supplements: &[Arc<System>]) -> bool {
    let system = concept.system();
    let (Some(table), Some(at)) = (system.table(), concept.at()) else {
        return passes_unit(filter, concept.code());
    };
    let value = filter.value.as_deref().unwrap_or_default();
    let named = || table.find(value);
    match filter.operator {
        Some(Operator::IsA) => named().is_some_and(|of| of == at || table.is_above(of, at)),
        Some(Operator::DescendentOf) => named().is_some_and(|of| table.is_above(of, at)),
        Some(Operator::IsNotA) => named().is_none_or(|of| of != at && !table.is_above(of, at)),
        Some(Operator::Generalizes) => named().is_some_and(|of| of == at || table.is_above(at, of)),
        Some(Operator::ChildOf) => named().is_some_and(|of| table.parents(at).any(|one| one == of)),
        Some(Operator::DescendentLeaf) => {
            let leaf = table.children(at).len() == 0;
            leaf && named().is_some_and(|of| table.is_above(of, at))
        }
        _ => compares(filter, &codes(filter, system), table, at, supplements),
    }
}

/// The codes of UCUM that a filter takes: those with canonical units, or of a list.
fn passes_unit(filter: &Filter, code: &str) -> bool {
    let value = filter.value.as_deref().unwrap_or_default();
    if &*filter.property != "canonical" {
        return filter.lists(code);
    }
    let canonical = |code: &str| Unit::parse(code).ok().map(|unit| unit.canonical());
    canonical(code).is_some_and(|own| own == value || canonical(value) == Some(own))
}

/// Whether the values of a concept are what the filter wants.
fn compares(
    filter: &Filter,
    codes: &[&str],
    table: &Table,
    at: At,
    supplements: &[Arc<System>],
) -> bool {
    let is = |value: &str| match filter.operator {
        Some(Operator::Equal) => filter.value.as_deref() == Some(value),
        Some(Operator::Regex) => {
            let pattern = filter.pattern.as_ref();
            pattern.is_some_and(|pattern| pattern.is_match(value))
        }
        Some(Operator::In | Operator::NotIn) => filter.lists(value),
        Some(Operator::Exists) => true,
        _ => false,
    };
    let found = match subject(filter) {
        Subject::Concept => is(table.code(at)),
        Subject::Display => table.display(at).is_some_and(is),
        Subject::Definition => table.definition(at).is_some_and(is),
        Subject::Parent => table.parents(at).any(|of| is(table.code(of))),
        Subject::Child => table.children(at).any(|of| is(table.code(of))),
        Subject::Inactive => is(if table.flags(at).has(Flags::INACTIVE) {
            "true"
        } else {
            "false"
        }),
        Subject::Property => {
            let of = |table: &Table, at: At| {
                let mut all = table.properties(at);
                all.any(|one| {
                    // A Coding is named by its code, or by system and code.
                    let code = one.value.split_once('|').map(|(_, code)| code);
                    codes.contains(&one.name) && (is(one.value) || code.is_some_and(is))
                })
            };
            of(table, at)
                || supplements.iter().any(|supplement| {
                    let table_of = supplement.table();
                    let place = table_of.and_then(|own| own.find(table.code(at)));
                    table_of.zip(place).is_some_and(|(own, at)| of(own, at))
                })
        }
    };
    match filter.operator {
        Some(Operator::NotIn) => !found,
        Some(Operator::Exists) => found == (filter.value.as_deref() != Some("false")),
        _ => found,
    }
}

/// The concepts of a table that all filters take, which are understood.
pub(crate) fn places(
    filters: &[Filter],
    system: &System,
    table: &Table,
    supplements: &[Arc<System>],
) -> Places {
    let mut kept = Places::all(table.len());
    // What the hierarchy decides is found at once; what is left is looked at one by one.
    let (quick, slow): (Vec<&Filter>, Vec<&Filter>) = filters.iter().partition(|filter| {
        matches!(
            filter.operator,
            Some(
                Operator::IsA
                    | Operator::DescendentOf
                    | Operator::IsNotA
                    | Operator::Generalizes
                    | Operator::ChildOf
                    | Operator::DescendentLeaf
            )
        )
    });
    for filter in quick {
        let none = Places::none(table.len());
        let named = table.find(filter.value.as_deref().unwrap_or_default());
        let taken = match (filter.operator, named) {
            (Some(Operator::IsNotA), None) => Places::all(table.len()),
            (_, None) => none,
            (Some(Operator::IsA), Some(of)) => with(table.below(of), of),
            (Some(Operator::IsNotA), Some(of)) => {
                let mut all = Places::all(table.len());
                all.remove(&with(table.below(of), of));
                all
            }
            (Some(Operator::Generalizes), Some(of)) => with(table.above(of), of),
            (Some(Operator::ChildOf), Some(of)) => table.children(of).fold(none, |mut all, at| {
                all.insert(at);
                all
            }),
            (operator, Some(of)) => {
                let mut below = table.below(of);
                if operator == Some(Operator::DescendentLeaf) {
                    let inner: Vec<At> = below
                        .iter()
                        .filter(|at| table.children(*at).len() > 0)
                        .collect();
                    let inner = inner.into_iter().fold(none, |mut all, at| {
                        all.insert(at);
                        all
                    });
                    below.remove(&inner);
                }
                below
            }
        };
        kept.keep(&taken);
    }
    for filter in slow {
        let codes = codes(filter, system);
        let mut taken = Places::none(table.len());
        for at in kept.iter() {
            if compares(filter, &codes, table, at, supplements) {
                taken.insert(at);
            }
        }
        kept = taken;
    }
    kept
}

fn with(mut places: Places, also: At) -> Places {
    places.insert(also);
    places
}
