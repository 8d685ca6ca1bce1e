//! A search as it stands in a URL or a form, read into what the store is asked (FHIR R4
//! search.html).
//!
//! Strict: what is not understood is refused by name. A client that prefers lenient handling is
//! told what was left out.

mod date;
mod filter;
mod include;
mod joint;
mod key;
mod split;
pub(crate) mod table;
mod text;
mod value;

use std::collections::HashSet;

use hilum_fhir::definitions::TypeId;
use hilum_fhir::{IssueType, Problem};
use hilum_fhir_store::{Criterion, Direction, Query, SortBy, SortKey, Total};

pub(crate) use date::{instant_of, interval};
pub(crate) use filter::sets as filter_sets;
pub(crate) use include::Include;
pub(crate) use key::{Keys, Known, Refused, list_id};
pub(crate) use split::{split, unescape};
pub(crate) use value::{Context, is_id};

use crate::fault::{Fault, suggestion};
use crate::limits::Limits;
use crate::request::Handling;

/// Parameters that say how the result looks, for suggestions.
const RESULT: [&str; 18] = [
    "_id",
    "_lastUpdated",
    "_list",
    "_text",
    "_content",
    "_filter",
    "_has",
    "_type",
    "_sort",
    "_count",
    "_total",
    "_summary",
    "_elements",
    "_include",
    "_revinclude",
    "_contained",
    "_containedType",
    "_explain",
];

/// Which parts of resources are given (FHIR R4 search.html#summary).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum View {
    #[default]
    Full,
    /// `_summary=true`
    Summary,
    /// `_summary=text`
    Text,
    /// `_summary=data`
    Data,
    /// `_summary=count`: no resources at all.
    Count,
    /// `_elements`
    Elements(Vec<String>),
}

/// A search that is understood.
#[derive(Debug)]
pub(crate) struct Search {
    /// The types that are searched; all for a search over the system.
    pub(crate) types: Vec<TypeId>,
    pub(crate) query: Query,
    pub(crate) includes: Vec<Include>,
    pub(crate) view: View,
    /// What was left out, if the client prefers that to an error.
    pub(crate) ignored: Vec<Problem>,
    /// The parameters that were used, for the link `self`.
    pub(crate) used: Vec<(String, String)>,
    /// Where the page begins.
    pub(crate) page: Option<String>,
    /// The plan is asked for, not the matches.
    pub(crate) explain: bool,
}

/// What a search is read with.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'t> {
    pub(crate) keys: Keys<'t>,
    pub(crate) limits: &'t Limits,
    pub(crate) handling: Handling,
}

/// Reads a search over one type, or over those that `_type` names, or over all.
pub(crate) fn parse(
    reading: Reading<'_>,
    ty: Option<TypeId>,
    pairs: &[(String, String)],
) -> Result<Search, Fault> {
    let table = reading.keys.context.table;
    bounded(reading.limits, pairs)?;
    let types = match ty {
        Some(ty) => vec![ty],
        None => system_types(reading, pairs)?,
    };
    let all = ty.is_none() && !pairs.iter().any(|(name, _)| name == "_type");
    let stored = types.iter().filter_map(|ty| table.stored(*ty));
    let mut search = Search {
        query: Query {
            types: if all { Vec::new() } else { stored.collect() },
            count: u32::try_from(reading.limits.page_default).unwrap_or(u32::MAX),
            ..Query::default()
        },
        types,
        includes: Vec::new(),
        view: View::Full,
        ignored: Vec::new(),
        used: Vec::new(),
        page: None,
        explain: false,
    };
    for (name, value) in pairs {
        if name == "_type" && ty.is_none() {
            search.used.push((name.clone(), value.clone()));
            continue;
        }
        match search.take(reading, name, value) {
            Ok(()) if name == "_page" => {}
            Ok(()) => search.used.push((name.clone(), value.clone())),
            Err(refused) => {
                let problem = Problem::error(refused.code, refused.text.clone())
                    .at(format!("http.{}", shown(name)));
                if refused.may_be_ignored && reading.handling == Handling::Lenient {
                    let text = format!("ignored: {}", refused.text);
                    search.ignored.push(
                        Problem::warning(refused.code, text).at(format!("http.{}", shown(name))),
                    );
                } else {
                    return Err(fault(refused.code, problem));
                }
            }
        }
    }
    if search.view == View::Text && !search.includes.is_empty() {
        // FHIR R4 search.html#summary.
        let text = "`_summary=text` cannot be combined with `_include` and `_revinclude`";
        return Err(Fault::bad(IssueType::NotSupported, text));
    }
    if let Some(ty) = ty {
        let also = joint::implied(&table.params(ty), &search.query.criteria);
        search.query.criteria.extend(also);
    }
    Ok(search)
}

/// 503 where it is a matter of time, else 400.
fn fault(code: IssueType, problem: Problem) -> Fault {
    if code == IssueType::Transient {
        Fault::of(http::StatusCode::SERVICE_UNAVAILABLE, vec![problem])
            .with(http::header::RETRY_AFTER, "10")
    } else {
        Fault::of(http::StatusCode::BAD_REQUEST, vec![problem])
    }
}

/// Refuses searches that are too long before anything is done about them.
pub(crate) fn bounded(limits: &Limits, pairs: &[(String, String)]) -> Result<(), Fault> {
    let most = limits.search_parameters_max;
    if pairs.len() > most {
        let text = format!("the search has more than {most} parameters");
        return Err(Fault::bad(IssueType::TooCostly, text));
    }
    for (name, value) in pairs {
        let most = match name.as_str() {
            "_sort" => limits.sort_keys_max,
            "_list" => limits.search_lists_max,
            _ => limits.search_values_max,
        };
        // Escaped commas count as well: what is bounded is work, not meaning.
        if value.bytes().filter(|byte| *byte == b',').count() >= most {
            let text = format!("`{}` has more than {most} values", shown(name));
            return Err(Fault::bad(IssueType::TooCostly, text));
        }
    }
    Ok(())
}

/// The name of a parameter without its modifier, short enough for an answer.
fn shown(name: &str) -> String {
    let code = name.split([':', '.']).next().unwrap_or_default();
    code.chars().take(64).collect()
}

fn system_types(reading: Reading<'_>, pairs: &[(String, String)]) -> Result<Vec<TypeId>, Fault> {
    let table = reading.keys.context.table;
    let mut types = Vec::new();
    for (_, value) in pairs.iter().filter(|(name, _)| name == "_type") {
        for name in split(value, ',') {
            let ty = table.type_named(name).ok_or_else(|| {
                let names: Vec<&str> = table.all().into_iter().map(|ty| table.name(ty)).collect();
                let near = suggestion(name, names.into_iter());
                Fault::bad(
                    IssueType::NotSupported,
                    format!(
                        "`_type` names the type `{}`, which does not exist{near}",
                        shown(name)
                    ),
                )
            })?;
            types.push(ty);
        }
    }
    if types.is_empty() {
        types = table.all();
    }
    let mut seen = HashSet::new();
    types.retain(|ty| seen.insert(*ty));
    Ok(types)
}

impl Search {
    fn take(&mut self, reading: Reading<'_>, name: &str, value: &str) -> Result<(), Refused> {
        let keys = reading.keys;
        match name {
            "_count" => self.count(reading.limits, value)?,
            "_sort" => self.sort(keys, value)?,
            "_total" => {
                self.query.total = match value {
                    "none" => Total::None,
                    "estimate" => Total::Estimate,
                    "accurate" => Total::Accurate,
                    _ => {
                        return Err(Refused::value(
                            "`_total` is none of none, estimate, accurate",
                        ));
                    }
                }
            }
            "_summary" => self.view = summary(value)?,
            "_elements" => {
                let mut names = self.elements(keys, value)?;
                if let View::Elements(before) = &mut self.view {
                    names.append(before);
                }
                self.view = View::Elements(names);
            }
            "_page" => self.page = Some(value.to_owned()),
            "_explain" => {
                self.explain = match value {
                    "true" => true,
                    "false" => false,
                    _ => return Err(Refused::value("`_explain` is neither true nor false")),
                }
            }
            "_contained" if value == "false" => {}
            // A query by a name that is not known is refused in any case (FHIR R4 search.html#query).
            "_query" => {
                return Err(Refused {
                    may_be_ignored: false,
                    ..Refused::unknown("`_query` names a query that this server does not have")
                });
            }
            "_contained" | "_containedType" => {
                let text = format!("`{name}` is for searches of one type, outside of compartments");
                return Err(Refused::unknown(text));
            }
            "near" => return Err(Refused::unknown("`near` is not supported")),
            "_filter" => {
                let criterion = filter::parse(&keys, &self.types, value)?;
                self.query.criteria.push(criterion);
            }
            _ => {
                let (code, modifier) = match name.split_once(':') {
                    Some((code, modifier)) => (code, Some(modifier)),
                    None => (name, None),
                };
                if matches!(code, "_include" | "_revinclude") {
                    let table = keys.context.table;
                    self.includes
                        .push(include::parse(table, code, modifier, value)?);
                    return Ok(());
                }
                let criterion = keys
                    .criterion(&self.types, name, value, 0)
                    .map_err(|refused| near_result(name, refused))?;
                self.query.criteria.push(criterion);
            }
        }
        Ok(())
    }

    fn count(&mut self, limits: &Limits, value: &str) -> Result<(), Refused> {
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        if !digits {
            return Err(Refused::value("`_count` is no number"));
        }
        let count = value
            .parse::<usize>()
            .unwrap_or(usize::MAX)
            .min(limits.page_max);
        self.query.count = u32::try_from(count).unwrap_or(u32::MAX);
        if count == 0 {
            self.view = View::Count;
        }
        Ok(())
    }

    fn sort(&mut self, keys: Keys<'_>, value: &str) -> Result<(), Refused> {
        let table = keys.context.table;
        for key in split(value, ',') {
            let (code, direction) = match key.strip_prefix('-') {
                Some(code) => (code, Direction::Descending),
                None => (key, Direction::Ascending),
            };
            let by = match code {
                "_id" => SortBy::Id,
                "_lastUpdated" => SortBy::LastUpdated,
                code => {
                    let known = self.types.iter().filter_map(|ty| table.param(*ty, code));
                    let params: Vec<_> = known.map(|param| param.key).collect();
                    if params.len() < self.types.len() {
                        let refused = keys.unknown(&self.types, code);
                        let text = format!("`_sort`: {}", refused.text);
                        return Err(Refused { text, ..refused });
                    }
                    SortBy::Param(params)
                }
            };
            self.query.sort.push(SortKey { by, direction });
        }
        Ok(())
    }

    /// Elements of the base of the types that are searched.
    fn elements(&self, keys: Keys<'_>, value: &str) -> Result<Vec<String>, Refused> {
        let table = keys.context.table;
        let mut names = Vec::new();
        for name in split(value, ',') {
            let (owner, element) = match name.split_once('.') {
                Some((owner, element)) => (table.type_named(owner), element),
                None => (None, name),
            };
            let known = self.types.iter().any(|ty| {
                let root = table.definitions.type_def(*ty).root;
                let mut children = table.definitions.children(root);
                owner.is_none_or(|owner| owner == *ty)
                    && children.any(|child| table.definitions.element(child).name == element)
            });
            if !known {
                let text = format!("`_elements` names `{}`, which is no element", shown(name));
                return Err(Refused::unknown(text));
            }
            names.push(element.to_owned());
        }
        Ok(names)
    }

    /// Adds a condition that does not come from the client (a compartment).
    pub(crate) fn restrict(&mut self, criterion: Criterion) {
        self.query.criteria.push(criterion);
    }
}

fn summary(value: &str) -> Result<View, Refused> {
    Ok(match value {
        "true" => View::Summary,
        "false" => View::Full,
        "text" => View::Text,
        "data" => View::Data,
        "count" => View::Count,
        _ => {
            return Err(Refused::value(
                "`_summary` is none of true, text, data, count, false",
            ));
        }
    })
}

/// A name that begins with `_` may be meant for the result.
fn near_result(name: &str, refused: Refused) -> Refused {
    if !name.starts_with('_') || refused.text.contains("did you mean") {
        return refused;
    }
    let code = name.split(':').next().unwrap_or_default();
    let near = suggestion(code, RESULT.into_iter());
    Refused {
        text: format!("{}{near}", refused.text),
        ..refused
    }
}
