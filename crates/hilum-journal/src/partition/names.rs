//! Names of a partition: long words that rows refer to by a small number.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use hilum_db::rusqlite::Connection;
use hilum_db::{DbError, Doing};

use crate::schema::NameKind;

/// Names that are committed; readers and the writer share them.
#[derive(Debug, Default)]
pub(crate) struct Names(RwLock<Tables>);

#[derive(Debug, Default)]
struct Tables {
    ids: HashMap<(NameKind, Arc<[u8]>), i64>,
    values: HashMap<i64, (NameKind, Arc<[u8]>)>,
}

impl Names {
    /// Reads all names of the file.
    pub(crate) fn load(&self, conn: &Connection, file: &str) -> Result<(), DbError> {
        let read = || {
            let mut statement = conn.prepare_cached("SELECT id, kind, value FROM name")?;
            let rows = statement.query_map([], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, Vec<u8>>(2)?,
                ))
            })?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        let rows = read().doing("read the names of", file)?;
        self.add(
            rows.into_iter().filter_map(|(id, kind, value)| {
                Some((NameKind::from_code(kind)?, value.into(), id))
            }),
        );
        Ok(())
    }

    pub(crate) fn add(&self, names: impl Iterator<Item = (NameKind, Arc<[u8]>, i64)>) {
        let mut tables = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (kind, value, id) in names {
            tables.ids.insert((kind, value.clone()), id);
            tables.values.insert(id, (kind, value));
        }
    }

    pub(crate) fn id(&self, kind: NameKind, value: &[u8]) -> Option<i64> {
        let tables = self.0.read().unwrap_or_else(PoisonError::into_inner);
        tables.ids.get(&(kind, Arc::from(value))).copied()
    }

    pub(crate) fn value(&self, id: i64) -> Option<Arc<[u8]>> {
        let tables = self.0.read().unwrap_or_else(PoisonError::into_inner);
        tables.values.get(&id).map(|(_, value)| value.clone())
    }

    /// All names of a kind.
    pub(crate) fn all(&self, kind: NameKind) -> Vec<Arc<[u8]>> {
        let tables = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let of_kind = tables.values.values().filter(|(known, _)| *known == kind);
        of_kind.map(|(_, value)| value.clone()).collect()
    }

    /// The name as text; empty if it is not known.
    pub(crate) fn text(&self, id: i64) -> Arc<str> {
        let value = self.value(id).unwrap_or_default();
        String::from_utf8_lossy(&value).into()
    }

    /// Channel and destination of a destination's name.
    pub(crate) fn destination(&self, id: i64) -> Option<(Arc<str>, Arc<str>)> {
        let value = self.value(id)?;
        let at = value.iter().position(|byte| *byte == 0)?;
        let (channel, rest) = value.split_at_checked(at)?;
        let text = |bytes: &[u8]| Arc::from(String::from_utf8_lossy(bytes).as_ref());
        Some((text(channel), text(rest.get(1..)?)))
    }
}

/// The value of a destination's name.
pub(crate) fn destination_name(channel: &str, destination: &str) -> Vec<u8> {
    let mut name = Vec::with_capacity(channel.len() + destination.len() + 1);
    name.extend_from_slice(channel.as_bytes());
    name.push(0);
    name.extend_from_slice(destination.as_bytes());
    name
}
