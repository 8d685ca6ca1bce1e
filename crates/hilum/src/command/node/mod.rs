//! The commands that ask a running node over its management API.

mod critical;
mod find;
mod identity;
mod operate;
mod remote;
pub(super) mod show;
mod status;
mod trace;
mod withdrawals;

pub(super) use critical::critical;
pub(super) use find::{messages, tail};
pub(super) use identity::{identity, reassign};
pub(super) use operate::{
    dead_letters, hold, holds, reject, release, reload, replay, requeue, resume, withdraw,
};
pub(crate) use remote::Unreachable;
pub(super) use remote::{Remote, part};
pub(super) use show::table;
pub(super) use status::status;
pub(super) use trace::trace;
pub(super) use withdrawals::withdrawals;
