//! The registered names of types and parameters.

use std::sync::Arc;

use hilum_db::rusqlite::Connection;
use hilum_db::{DbClass, DbError, Doing};

use crate::catalog::Catalog;
use crate::config::ParamSpec;
use crate::id::{ParamKey, ParamKind};
use crate::shared::KINDS;

/// Parameters that are not kept up any more; those that are registered afterwards are built again.
pub(super) fn retire(conn: &Connection, name: &str, params: &[ParamKey]) -> Result<(), DbError> {
    for param in params {
        conn.prepare_cached("UPDATE param SET building = 3 WHERE id = ?")
            .and_then(|mut statement| statement.execute([param.0]))
            .doing("retire a parameter of", name)?;
    }
    Ok(())
}

/// Adds what is not registered yet; returns the keys of `params`. A parameter of a type that has
/// resources already is building until these are indexed again.
pub(super) fn register(
    conn: &Connection,
    name: &str,
    types: &[Arc<str>],
    params: &[ParamSpec],
    counts: &[i64],
) -> Result<Vec<ParamKey>, DbError> {
    let doing = "register names in";
    for of in types {
        let sql = "INSERT OR IGNORE INTO type SELECT coalesce(max(id) + 1, 0), ?1 FROM type";
        conn.execute(sql, [of]).doing(doing, name)?;
    }
    let mut keys = Vec::with_capacity(params.len());
    for spec in params {
        let unknown = || {
            DbError::new(
                DbClass::Constraint,
                "register a parameter of no type in",
                name,
            )
        };
        let of: i64 = conn
            .prepare_cached("SELECT id FROM type WHERE name = ?")
            .and_then(|mut statement| statement.query_row([&spec.resource_type], |row| row.get(0)))
            .map_err(|_| unknown())?;
        let used = usize::try_from(of)
            .ok()
            .and_then(|of| counts.get(of))
            .is_some_and(|n| *n > 0);
        let kind = KINDS
            .iter()
            .position(|kind| *kind == spec.kind)
            .unwrap_or(0);
        let insert = "INSERT OR IGNORE INTO param \
                      SELECT coalesce(max(id) + 1, 0), ?1, ?2, ?3, ?4 FROM param";
        conn.prepare_cached(insert)
            .and_then(|mut statement| statement.execute((of, &spec.code, kind, used)))
            .doing(doing, name)?;
        let key: u32 = conn
            .prepare_cached("SELECT id FROM param WHERE type = ? AND code = ?")
            .and_then(|mut statement| statement.query_row((of, &spec.code), |row| row.get(0)))
            .doing(doing, name)?;
        // One that was retired is as good as new, but for its key.
        conn.prepare_cached("UPDATE param SET building = ?1 WHERE id = ?2 AND building = 3")
            .and_then(|mut statement| statement.execute((used, key)))
            .doing(doing, name)?;
        keys.push(ParamKey(key));
    }
    Ok(keys)
}

/// The registered names.
pub(super) fn load_catalog(conn: &Connection, name: &str) -> Result<Catalog, DbError> {
    let doing = "read the names of";
    let mut catalog = Catalog::default();
    let mut types = conn
        .prepare("SELECT name FROM type ORDER BY id")
        .doing(doing, name)?;
    let names = types
        .query_map([], |row| row.get::<_, String>(0))
        .doing(doing, name)?;
    for of in names {
        catalog.add_type(of.doing(doing, name)?.into());
    }
    let sql = "SELECT t.name, p.code, p.kind, p.building FROM param p JOIN type t ON t.id = p.type \
               ORDER BY p.id";
    let mut params = conn.prepare(sql).doing(doing, name)?;
    let rows = params
        .query_map([], |row| {
            let (of, code): (String, String) = (row.get(0)?, row.get(1)?);
            Ok((of, code, row.get::<_, usize>(2)?, row.get::<_, bool>(3)?))
        })
        .doing(doing, name)?;
    for row in rows {
        let (of, code, kind, building) = row.doing(doing, name)?;
        let spec = ParamSpec {
            resource_type: of.into(),
            code: code.into(),
            kind: KINDS.get(kind).copied().unwrap_or(ParamKind::Token),
        };
        catalog.add_param(&spec, building);
    }
    Ok(catalog)
}
