//! Types and parameters: registering them and reading them back.

use std::collections::HashMap;
use std::sync::Arc;

use super::link::Link;
use super::text::clean;
use super::writing::Writing;
use crate::catalog::Catalog;
use crate::config::ParamSpec;
use crate::error::StoreError;
use crate::id::{ParamKey, ParamKind};
use crate::shared::KINDS;

/// Marks of writers that are older than this by the changes of the store are forgotten.
const WRITER_KEPT_MS: i64 = 30 * 86_400_000;

/// Forgets the marks of processes that are long gone; one that is not writes its mark again.
pub(super) fn forget_writers(writing: &mut Writing<'_>) -> Result<(), StoreError> {
    writing.begin(&[])?;
    let before = writing.numbers.updated_ms.saturating_sub(WRITER_KEPT_MS);
    writing.query("DELETE FROM writer WHERE at_ms < $1", &[&before])?;
    Ok(())
}

/// Adds what is not registered yet; returns the keys of `params`. A parameter of a type that has
/// resources already is building until these are indexed again.
pub(super) fn register(
    writing: &mut Writing<'_>,
    types: &[Arc<str>],
    params: &[ParamSpec],
) -> Result<Vec<ParamKey>, StoreError> {
    let types = register_types(writing, types)?;
    let counts = writing.query("SELECT type FROM counter WHERE count > 0", &[])?;
    let used: Vec<i64> = counts.iter().map(|row| row.get(0)).collect();
    let rows = writing.query("SELECT id, type, code, building FROM param", &[])?;
    let mut next = 0_i64;
    let mut known: HashMap<(i64, String), (i64, bool)> = HashMap::new();
    for row in &rows {
        let id: i64 = row.get(0);
        next = next.max(id + 1);
        let retired = row.get::<_, i64>(3) == 3;
        known.insert((row.get(1), row.get(2)), (id, retired));
    }
    let (mut ids, mut ofs, mut codes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut kinds, mut building) = (Vec::new(), Vec::new());
    let (mut again, mut again_building) = (Vec::new(), Vec::new());
    let mut keys = Vec::with_capacity(params.len());
    for spec in params {
        let of = types.get(&*spec.resource_type);
        let of = *of.ok_or(StoreError::Invalid("a parameter of no type"))?;
        let builds = i64::from(used.contains(&of));
        let code = clean(&spec.code).into_owned();
        let (id, retired) = *known.entry((of, code.clone())).or_insert_with(|| {
            ids.push(next);
            ofs.push(of);
            codes.push(code);
            kinds.push(kind_number(spec.kind));
            building.push(builds);
            next += 1;
            (next - 1, false)
        });
        if retired {
            // One that was retired is as good as new, but for its key.
            again.push(id);
            again_building.push(builds);
        }
        let key = u32::try_from(id).map_err(|_| StoreError::Invalid("too many parameters"))?;
        keys.push(ParamKey(key));
    }
    if !ids.is_empty() {
        let sql = "INSERT INTO param SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], \
                   $4::bigint[], $5::bigint[])";
        writing.query(sql, &[&ids, &ofs, &codes, &kinds, &building])?;
        writing.numbers.names += 1;
    }
    if !again.is_empty() {
        let sql = "UPDATE param p SET building = n.b \
                   FROM unnest($1::bigint[], $2::bigint[]) n (a, b) WHERE p.id = n.a";
        writing.query(sql, &[&again, &again_building])?;
        writing.numbers.names += 1;
    }
    Ok(keys)
}

fn register_types(
    writing: &mut Writing<'_>,
    types: &[Arc<str>],
) -> Result<HashMap<String, i64>, StoreError> {
    let rows = writing.query("SELECT name, id FROM type", &[])?;
    let mut known: HashMap<String, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut next = known.values().max().map_or(0, |id| id + 1);
    let (mut ids, mut names) = (Vec::new(), Vec::new());
    for of in types {
        let name = clean(of).into_owned();
        if !known.contains_key(&name) {
            known.insert(name.clone(), next);
            ids.push(next);
            names.push(name);
            next += 1;
        }
    }
    if !ids.is_empty() {
        let sql = "INSERT INTO type SELECT * FROM unnest($1::bigint[], $2::text[])";
        writing.query(sql, &[&ids, &names])?;
        writing.numbers.names += 1;
    }
    Ok(known)
}

/// Parameters that are not kept up any more; those that are registered afterwards are built again.
pub(super) fn retire(writing: &mut Writing<'_>, params: &[ParamKey]) -> Result<(), StoreError> {
    if params.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = params.iter().map(|param| param.0.into()).collect();
    writing.query("UPDATE param SET building = 3 WHERE id = ANY($1)", &[&ids])?;
    writing.numbers.names += 1;
    Ok(())
}

/// The registered names, and which of their changes they are as of.
pub(super) fn load(link: &mut Link) -> Result<(i64, Catalog), StoreError> {
    // The number is read first: names that are newer than it are loaded once more, never missed.
    let names = link.number("SELECT names FROM store", &[])?;
    let mut catalog = Catalog::default();
    for row in link.query("SELECT name FROM type ORDER BY id", &[])? {
        catalog.add_type(row.get::<_, &str>(0).into());
    }
    let params = link.query(
        "SELECT t.name, p.code, p.kind, p.building FROM param p JOIN type t ON t.id = p.type \
         ORDER BY p.id",
        &[],
    )?;
    for row in params {
        let kind = usize::try_from(row.get::<_, i64>(2)).ok();
        let kind = kind.and_then(|kind| KINDS.get(kind)).copied();
        let spec = ParamSpec {
            resource_type: row.get::<_, &str>(0).into(),
            code: row.get::<_, &str>(1).into(),
            kind: kind.unwrap_or(ParamKind::Token),
        };
        catalog.add_param(&spec, row.get::<_, i64>(3) != 0);
    }
    Ok((names, catalog))
}

fn kind_number(kind: ParamKind) -> i64 {
    let at = KINDS.iter().position(|known| *known == kind);
    at.and_then(|at| i64::try_from(at).ok()).unwrap_or(0)
}
