//! From a number to whoever it belongs to now.

use std::collections::BTreeSet;
use std::rc::Rc;

use hilum_component::{LinkedKeys, StateView};
use hilum_message::Metadata;
use smol_str::SmolStr;

use super::change::LANE_SCOPE;
use super::{CHAIN_MAX, LinkError};
use crate::identifier::{Identifier, REASSIGNED};
use crate::record::{Memory, Patient, Visit, read};

/// The key under which a patient is known now, and its row; the way from the first to it.
pub fn survivor(
    memory: &mut dyn Memory,
    key: &SmolStr,
) -> Result<(SmolStr, Option<Rc<Patient>>), LinkError> {
    let mut key = key.clone();
    for _ in 0..CHAIN_MAX {
        let row: Option<Rc<Patient>> = read(memory, &key)?;
        match row.as_ref().and_then(|row| row.into.as_ref()) {
            Some(into) => key.clone_from(into),
            None => return Ok((key, row)),
        }
    }
    Err(LinkError::Chain)
}

/// The key under which a visit or account is known now, and its row.
pub fn surviving_visit(
    memory: &mut dyn Memory,
    key: &SmolStr,
) -> Result<(SmolStr, Option<Rc<Visit>>), LinkError> {
    let mut key = key.clone();
    for _ in 0..CHAIN_MAX {
        let row: Option<Rc<Visit>> = read(memory, &key)?;
        match row.as_ref().and_then(|row| row.into.as_ref()) {
            Some(into) => key.clone_from(into),
            None => return Ok((key, row)),
        }
    }
    Err(LinkError::Chain)
}

/// All keys of the person of a key: those merged into it are found from the other side, by
/// [`survivor`]; this follows the links of A24.
pub fn linked(memory: &mut dyn Memory, key: &SmolStr) -> Result<BTreeSet<SmolStr>, LinkError> {
    let mut found = BTreeSet::new();
    let mut open = vec![key.clone()];
    while let Some(next) = open.pop() {
        let (key, row) = survivor(memory, &next)?;
        if found.len() >= CHAIN_MAX {
            return Err(LinkError::Chain);
        }
        if found.insert(key) {
            open.extend(row.iter().flat_map(|row| row.links.iter().cloned()));
        }
    }
    Ok(found)
}

/// Keeps the deliveries of a merged identifier in order with those of whoever it was merged into.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lanes;

impl LinkedKeys for Lanes {
    fn survivor(&self, state: &dyn StateView, domain: &str, identifier: &str) -> Option<String> {
        let mut lane: Option<String> = None;
        for _ in 0..CHAIN_MAX {
            let own = lane.as_deref().unwrap_or(identifier);
            let next = state.get(LANE_SCOPE, &format!("{domain}/{own}")).value;
            match next.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()) {
                Some(next) if next != identifier => lane = Some(next),
                _ => break,
            }
        }
        lane
    }

    fn reassigned(&self, values: &Metadata) -> Option<(String, Option<String>)> {
        let to = Identifier::of_key(values.get(REASSIGNED)?)?;
        let authority = Some(to.authority).filter(|name| !name.is_empty());
        Some((to.value.into(), authority.map(String::from)))
    }
}
