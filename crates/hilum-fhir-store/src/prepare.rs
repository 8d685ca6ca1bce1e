//! What of a commit is done on the caller's thread, before the writer sees it: limits, packing of
//! bodies, hashing of values.

use hilum_db::DbError;

use crate::body::Kept;
use crate::catalog::Catalog;
use crate::commit::{Change, Method, OutboxEvent};
use crate::entry::pack;
use crate::error::StoreError;
use crate::row::{IndexRow, IndexValue};
use crate::shared::Shared;
use crate::stored::{BESIDE_BYTES_MAX, Body};

/// A change with its body packed and its rows hashed.
pub(crate) struct PreparedChange {
    pub(crate) resource_type: u16,
    pub(crate) token: i64,
    pub(crate) id: String,
    pub(crate) action: Action,
}

impl PreparedChange {
    /// The contents apart that it names.
    pub(crate) fn contents(&self) -> &[i64] {
        match &self.action {
            Action::Put { kept, .. } => &kept.contents,
            Action::Delete => &[],
        }
    }
}

/// What a prepared change does.
pub(crate) enum Action {
    /// Content and rows; `fresh` if the resource must not exist.
    Put {
        kept: Kept,
        rows: Vec<u8>,
        text: Texts,
        fresh: bool,
    },
    Delete,
}

/// Full text of a resource.
#[derive(Default)]
pub(crate) struct Texts {
    pub(crate) narrative: String,
    pub(crate) content: String,
}

impl Texts {
    /// The full text among some rows.
    pub(crate) fn of(rows: &[IndexRow], catalog: &Catalog) -> Self {
        let mut texts = Self::default();
        for row in rows {
            let IndexValue::FullText(text) = &row.value else {
                continue;
            };
            let of = match catalog.definition(row.param).map(|param| &*param.code) {
                Some("_text") => &mut texts.narrative,
                _ => &mut texts.content,
            };
            of.push_str(text);
            of.push('\n');
        }
        texts
    }
}

impl Shared {
    /// Prepares the changes of a commit; also their bytes altogether.
    pub(crate) fn prepare(
        &self,
        changes: Vec<Change>,
        events: &[OutboxEvent],
    ) -> Result<(Vec<PreparedChange>, usize), StoreError> {
        let limits = &self.config.limits;
        if changes.len() > limits.changes_max {
            return Err(StoreError::Limit {
                limit: "changes_max",
                max: limits.changes_max as u64,
            });
        }
        if events.iter().any(|event| event.change >= changes.len()) {
            return Err(StoreError::Invalid(
                "an event about no change of its commit",
            ));
        }
        let mut bytes = 0;
        let mut prepared = Vec::with_capacity(changes.len());
        for change in changes {
            let action = match change.method {
                Method::Create { body, rows } => self.put(&body, &rows, true)?,
                Method::Update { body, rows } => self.put(&body, &rows, false)?,
                Method::Delete => Action::Delete,
            };
            if let Action::Put { kept, rows, .. } = &action {
                bytes += kept.bytes.len() + rows.len();
            }
            prepared.push(PreparedChange {
                resource_type: change.resource_type.0,
                token: self.token(change.resource_type, &change.id),
                id: change.id,
                action,
            });
        }
        Ok((prepared, bytes))
    }

    fn put(&self, body: &Body, rows: &[IndexRow], fresh: bool) -> Result<Action, StoreError> {
        let limits = &self.config.limits;
        if body.bytes.len() > limits.body_bytes_max {
            return Err(StoreError::Limit {
                limit: "body_bytes_max",
                max: limits.body_bytes_max as u64,
            });
        }
        if body.beside.len() > BESIDE_BYTES_MAX {
            return Err(StoreError::Limit {
                limit: "beside_bytes_max",
                max: BESIDE_BYTES_MAX as u64,
            });
        }
        let failed = |error| DbError::io("pack a body for", self.name.as_ref().as_ref(), error);
        Ok(Action::Put {
            kept: Kept::pack(body).map_err(failed)?,
            rows: pack(rows, &self.tokens, limits)?,
            text: Texts::of(rows, &self.catalog()),
            fresh,
        })
    }
}
