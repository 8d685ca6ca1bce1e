//! What a person changes in the state: one record of the journal, made of what was read.

use std::collections::BTreeMap;

use bytes::Bytes;
use hilum_component::{StateChange, StateRead, StateView};
use hilum_message::MessageId;

use crate::operate::OperateError;
use crate::store::{self, AcceptFailure};
use crate::{Core, Engine};

/// How often an edit is done again because what it read has changed meanwhile.
const AGAIN_MAX: usize = 8;

/// The state while a person changes it.
#[derive(Debug)]
pub struct StateEdit<'a> {
    core: &'a Core,
    /// The id of the record.
    pub id: MessageId,
    /// The time, Unix milliseconds.
    pub now_ms: u64,
    reads: Vec<StateRead>,
    writes: BTreeMap<(String, String), (Option<Bytes>, Option<u64>)>,
}

impl StateEdit<'_> {
    /// The value of a key, with what this edit has already changed.
    pub fn get(&mut self, scope: &str, key: &str) -> Option<Bytes> {
        let name = (scope.to_owned(), key.to_owned());
        if let Some((value, _)) = self.writes.get(&name) {
            return value.clone();
        }
        let stored = StateView::get(self.core, scope, key);
        let (scope, key) = name;
        self.reads.push(StateRead {
            scope: scope.into(),
            key: key.into(),
            version: stored.version,
        });
        stored.value
    }

    /// Changes a value; `None` removes it. It is forgotten at `until_ms`, Unix milliseconds, or never.
    pub fn put(&mut self, scope: &str, key: &str, value: Option<Bytes>, until_ms: Option<u64>) {
        let name = (scope.to_owned(), key.to_owned());
        self.writes.insert(name, (value, until_ms));
    }
}

impl Engine {
    /// Looks at the state, and changes it in one commit with a record that says why; nothing is
    /// written if `edit` fails or changes nothing. What it read is compared in the commit: if a
    /// message changed it meanwhile, `edit` is called again.
    pub async fn edit_state<T, E>(
        &self,
        reason: &str,
        edit: impl Fn(&mut StateEdit<'_>) -> Result<T, E>,
    ) -> Result<Result<T, E>, OperateError> {
        let core = self.core();
        for _ in 0..AGAIN_MAX {
            let now_ms = core.now_ms();
            let mut state = StateEdit {
                core,
                id: core.ids.next(now_ms),
                now_ms,
                reads: Vec::new(),
                writes: BTreeMap::new(),
            };
            let done = match edit(&mut state) {
                Ok(done) if !state.writes.is_empty() => done,
                other => return Ok(other),
            };
            let StateEdit {
                id, reads, writes, ..
            } = state;
            let writes = writes.into_iter();
            let writes = writes.map(|((scope, key), (value, expires_ms))| StateChange {
                scope: scope.into(),
                key: key.into(),
                value,
                expires_ms,
            });
            match store::record_edit(core, id, reason, reads, writes.collect()).await {
                Ok(()) => return Ok(Ok(done)),
                Err(AcceptFailure::Stale) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        let text = "what is to be changed changes all the time; try again".to_owned();
        Err(OperateError::Conflict(text))
    }
}
