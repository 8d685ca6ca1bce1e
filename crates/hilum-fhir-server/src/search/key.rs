//! The name of a parameter with its chain and modifier, and what it asks (FHIR R4
//! search.html#modifiers, #chaining, #has).

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use hilum_fhir::IssueType;
use hilum_fhir::definitions::{SearchParamKind, TypeId};
use hilum_fhir_store::{Chain, Criterion, Has, ParamKey, ResourceType};

use super::date;
use super::split::{split, unescape};
use super::table::{CONTENT, Param, TEXT, Table};
use super::text as words;
use super::value::{self, Context, is_id, prefixed};
use crate::fault::suggestion;
use crate::terms::Codes;

/// A parameter that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: IssueType,
    pub(crate) text: String,
    /// A client that asks for lenient handling gets its answer without the parameter.
    pub(crate) may_be_ignored: bool,
}

impl Refused {
    pub(crate) fn unknown(text: impl Into<String>) -> Self {
        Self {
            code: IssueType::NotSupported,
            text: text.into(),
            may_be_ignored: true,
        }
    }

    pub(crate) fn value(text: impl Into<String>) -> Self {
        Self {
            code: IssueType::Value,
            text: text.into(),
            may_be_ignored: false,
        }
    }
}

/// What a search names that is read before the search is understood.
#[derive(Default)]
pub(crate) struct Known {
    /// The resources of lists (`_list`).
    pub(crate) lists: HashMap<String, Vec<(ResourceType, String)>>,
    /// The codes of value sets and below or above codes.
    pub(crate) codes: Codes,
}

/// Reads parameters for one tenant.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'t> {
    pub(crate) context: Context<'t>,
    pub(crate) chain_max: usize,
}

impl Keys<'_> {
    /// What a parameter asks of resources of these types.
    pub(crate) fn criterion(
        &self,
        types: &[TypeId],
        key: &str,
        text: &str,
        depth: usize,
    ) -> Result<Criterion, Refused> {
        if depth > self.chain_max {
            let text = format!("the chain has more than {} links", self.chain_max);
            return Err(Refused {
                code: IssueType::TooCostly,
                text,
                may_be_ignored: false,
            });
        }
        if let Some(rest) = key.strip_prefix("_has:") {
            return self.has(types, rest, text, depth);
        }
        if let Some((head, rest)) = key.split_once('.') {
            return self.chain(types, head, rest, text, depth);
        }
        let (code, modifier) = match key.split_once(':') {
            Some((code, modifier)) => (code, Some(modifier)),
            None => (key, None),
        };
        match (code, modifier) {
            ("_id", None) => ids(text),
            ("_id", Some("not")) => Ok(Criterion::Not(Box::new(ids(text)?))),
            ("_lastUpdated", None) => self.last_updated(text),
            ("_list", None) => self.list(text),
            (TEXT | CONTENT, None) => self.full_text(types, code, text),
            ("_id" | "_lastUpdated" | "_list" | TEXT | CONTENT, Some(modifier)) => Err(
                Refused::unknown(format!("`{code}` has no modifier `:{modifier}`")),
            ),
            _ => self.plain(types, code, modifier, text),
        }
    }

    fn has(
        &self,
        types: &[TypeId],
        rest: &str,
        text: &str,
        depth: usize,
    ) -> Result<Criterion, Refused> {
        let table = self.context.table;
        let mut parts = rest.splitn(3, ':');
        let (Some(name), Some(code), Some(inner)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Refused::unknown(
                "`_has` is written `_has:TYPE:REFERENCE:PARAMETER`",
            ));
        };
        let ty = table.type_named(name).ok_or_else(|| no_type(self, name))?;
        let param = self.reference(ty, code)?;
        let targets = table.targets(param.def);
        if !types.iter().any(|wanted| targets.contains(wanted)) {
            let text = format!("`{name}:{code}` never refers to what is searched for");
            return Err(Refused::unknown(text));
        }
        let resource_type = table.stored(ty).ok_or_else(|| no_type(self, name))?;
        Ok(Criterion::Has(Box::new(Has {
            resource_type,
            params: vec![param.key],
            criteria: vec![self.criterion(&[ty], inner, text, depth + 1)?],
        })))
    }

    fn reference(&self, ty: TypeId, code: &str) -> Result<Param<'_>, Refused> {
        let table = self.context.table;
        let param = table
            .param(ty, code)
            .ok_or_else(|| self.unknown(&[ty], code))?;
        if param.def.kind != SearchParamKind::Reference {
            let text = format!("`{code}` of {} is no reference", table.name(ty));
            return Err(Refused::unknown(text));
        }
        Ok(param)
    }

    fn chain(
        &self,
        types: &[TypeId],
        head: &str,
        rest: &str,
        text: &str,
        depth: usize,
    ) -> Result<Criterion, Refused> {
        let table = self.context.table;
        let (code, target) = match head.split_once(':') {
            Some((code, target)) => (code, Some(target)),
            None => (head, None),
        };
        let mut keys = Vec::new();
        let mut targets: Vec<TypeId> = Vec::new();
        for ty in types {
            let param = self.reference(*ty, code)?;
            keys.push(param.key);
            targets.extend(table.targets(param.def));
        }
        targets.sort_unstable();
        targets.dedup();
        if let Some(name) = target {
            let ty = table.type_named(name).ok_or_else(|| no_type(self, name))?;
            if !targets.contains(&ty) {
                return Err(Refused::unknown(format!(
                    "`{code}` never refers to a {name}"
                )));
            }
            targets = vec![ty];
        }
        let inner_code = rest.split(['.', ':']).next().unwrap_or_default();
        let built_in = matches!(inner_code, "_has" | "_id" | "_lastUpdated");
        let all = targets.clone();
        // Leaving out a type whose parameter is not complete yet would leave out matches.
        let unready = targets
            .iter()
            .find(|ty| table.building(**ty, inner_code).is_some());
        if let Some(ty) = unready {
            return Err(building(table, *ty, inner_code));
        }
        targets.retain(|ty| built_in || table.param(*ty, inner_code).is_some());
        if targets.is_empty() {
            return Err(self.unknown(&all, inner_code));
        }
        let mut chains = Vec::new();
        for group in self.groups(&targets, inner_code) {
            let criterion = self.criterion(&group, rest, text, depth + 1)?;
            chains.push(Criterion::Chain(Box::new(Chain {
                params: keys.clone(),
                types: group.iter().filter_map(|ty| table.stored(*ty)).collect(),
                criteria: vec![criterion],
            })));
        }
        Ok(one_or(chains))
    }

    /// The types whose parameter of a code is of one kind, together.
    fn groups(&self, types: &[TypeId], code: &str) -> Vec<Vec<TypeId>> {
        let mut groups: Vec<(Option<SearchParamKind>, Vec<TypeId>)> = Vec::new();
        for ty in types {
            let kind = self
                .context
                .table
                .param(*ty, code)
                .map(|param| param.def.kind);
            match groups.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, group)) => group.push(*ty),
                None => groups.push((kind, vec![*ty])),
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }

    fn plain(
        &self,
        types: &[TypeId],
        code: &str,
        modifier: Option<&str>,
        text: &str,
    ) -> Result<Criterion, Refused> {
        let table = self.context.table;
        if types.iter().any(|ty| table.param(*ty, code).is_none()) {
            return Err(self.unknown(types, code));
        }
        if let (None, Some(found)) = (modifier, self.canonical(types, code, text)) {
            return found;
        }
        let groups = self.groups(types, code);
        if groups.len() > 1 {
            let each = groups
                .iter()
                .map(|group| self.plain(group, code, modifier, text))
                .collect::<Result<Vec<_>, _>>()?;
            let negative = value::is_negative(modifier) || modifier == Some("missing");
            return Ok(if negative {
                // Of the other kinds no resource has a value.
                Criterion::And(each)
            } else {
                one_or(each)
            });
        }
        let params: Vec<Param<'_>> = types
            .iter()
            .filter_map(|ty| table.param(*ty, code))
            .collect();
        let keys: Vec<ParamKey> = params.iter().map(|param| param.key).collect();
        if modifier == Some("missing") {
            let missing = match text {
                "true" => true,
                "false" => false,
                _ => {
                    let text = format!("`{code}:missing` is neither true nor false");
                    return Err(Refused::value(text));
                }
            };
            return Ok(Criterion::Missing {
                params: keys,
                missing,
            });
        }
        let test = value::test(self.context, &params, modifier, text).map_err(|wrong| {
            let text = format!("`{code}` {wrong}");
            if wrong.starts_with(value::NO_MODIFIER) {
                Refused::unknown(text)
            } else {
                Refused::value(text)
            }
        })?;
        Ok(if value::is_negative(modifier) {
            Criterion::ParamNot { params: keys, test }
        } else {
            Criterion::Param { params: keys, test }
        })
    }

    /// `url=URL|VERSION` of types that have a version of their own (FHIR R4 search.html#uri); `None`
    /// for everything else.
    fn canonical(
        &self,
        types: &[TypeId],
        code: &str,
        text: &str,
    ) -> Option<Result<Criterion, Refused>> {
        let is = |ty: &TypeId, code: &str, kind| {
            let param = self.context.table.param(*ty, code);
            param.is_some_and(|param| param.def.kind == kind)
        };
        let versioned = |ty: &TypeId| {
            is(ty, "url", SearchParamKind::Uri) && is(ty, "version", SearchParamKind::Token)
        };
        let parts = split(text, ',');
        let any = code == "url" && parts.iter().any(|part| split(part, '|').len() == 2);
        if !any || !types.iter().all(versioned) {
            return None;
        }
        let each = parts.into_iter().map(|part| match split(part, '|')[..] {
            [url, version] if !version.is_empty() => Ok(Criterion::And(vec![
                self.plain(types, code, None, url)?,
                self.plain(types, "version", None, version)?,
            ])),
            [url] => self.plain(types, code, None, url),
            _ => Err(Refused::value(
                "`url` has a value that is neither URL nor URL|VERSION",
            )),
        });
        Some(each.collect::<Result<_, _>>().map(one_or))
    }

    fn last_updated(&self, text: &str) -> Result<Criterion, Refused> {
        let tests = split(text, ',').into_iter().map(|part| {
            let (prefix, rest) = prefixed(part).ok()?;
            date::interval(prefix, rest, self.context.now_ms)
        });
        let tests: Option<Vec<_>> = tests.collect();
        tests
            .map(Criterion::LastUpdated)
            .ok_or_else(|| Refused::value("`_lastUpdated` has a value that is no date"))
    }

    fn list(&self, text: &str) -> Result<Criterion, Refused> {
        let mut resources = Vec::new();
        for id in split(text, ',') {
            let known = self.context.known.lists.get(list_id(id)).ok_or_else(|| {
                Refused::value("`_list` names a list that does not exist on this server")
            })?;
            resources.extend(known.iter().cloned());
        }
        Ok(Criterion::Resources(resources))
    }

    /// Words and what joins them; of several values one is enough.
    fn full_text(&self, types: &[TypeId], code: &str, text: &str) -> Result<Criterion, Refused> {
        let table = self.context.table;
        let params: Vec<ParamKey> = types
            .iter()
            .filter_map(|ty| Some(table.param(*ty, code)?.key))
            .collect();
        if params.len() < types.len() {
            return Err(self.unknown(types, code));
        }
        let each = split(text, ',').into_iter().map(|part| {
            words::parse(&params, &unescape(part))
                .map_err(|wrong| Refused::value(format!("`{code}` {wrong}")))
        });
        Ok(one_or(each.collect::<Result<_, _>>()?))
    }

    pub(crate) fn unknown(&self, types: &[TypeId], code: &str) -> Refused {
        let table = self.context.table;
        let lacking: Vec<TypeId> = types
            .iter()
            .copied()
            .filter(|ty| table.param(*ty, code).is_none())
            .collect();
        let unready = lacking
            .iter()
            .find(|ty| table.building(**ty, code).is_some());
        if let Some(ty) = unready {
            return building(table, *ty, code);
        }
        let near = lacking
            .first()
            .map(|ty| suggestion(code, table.codes(*ty)))
            .unwrap_or_default();
        let text = match (lacking.as_slice(), types.len()) {
            ([ty], _) => format!("{} has no search parameter `{code}`{near}", table.name(*ty)),
            (_, 1..=6) => {
                let names: Vec<&str> = lacking.iter().map(|ty| table.name(*ty)).collect();
                format!(
                    "{} have no search parameter `{code}`{near}",
                    names.join(", ")
                )
            }
            _ => format!("not all types have the search parameter `{code}`"),
        };
        Refused::unknown(text)
    }
}

/// A parameter that does not find all resources yet.
pub(crate) fn building(table: &Table, ty: TypeId, code: &str) -> Refused {
    let (done, total) = (
        table.progress.done.load(Ordering::Relaxed),
        table.progress.total.load(Ordering::Relaxed),
    );
    Refused {
        code: IssueType::Transient,
        text: format!(
            "the search parameter `{code}` of {} is being built: {done} of {total} resources; \
             `$reindex` says how far it is",
            table.name(ty)
        ),
        may_be_ignored: true,
    }
}

/// The id of a list, written as an id or as a reference.
pub(crate) fn list_id(text: &str) -> &str {
    text.strip_prefix("List/").unwrap_or(text)
}

fn no_type(keys: &Keys<'_>, name: &str) -> Refused {
    let table = keys.context.table;
    let names: Vec<&str> = table.all().into_iter().map(|ty| table.name(ty)).collect();
    let near = suggestion(name, names.into_iter());
    Refused::unknown(format!("there is no type of resource `{name}`{near}"))
}

fn ids(text: &str) -> Result<Criterion, Refused> {
    let ids: Vec<String> = split(text, ',').into_iter().map(unescape).collect();
    if ids.iter().any(|id| !is_id(id)) {
        return Err(Refused::value("`_id` has a value that is no id"));
    }
    Ok(Criterion::Ids(ids))
}

fn one_or(mut each: Vec<Criterion>) -> Criterion {
    if each.len() == 1
        && let Some(only) = each.pop()
    {
        return only;
    }
    Criterion::Or(each)
}
