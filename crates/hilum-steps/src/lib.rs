//! The steps of hilum, one folder each.
//!
//! A step changes a message in place, ends it, or puts others in its place. It is made once from
//! checked configuration, with every expression, path and table compiled, and then runs for each
//! message.
//!
//! Invariants: a step never waits, reads no clock and no file; the same message gives the same
//! result; texts of reasons and findings hold paths, codes and counts, never content.

mod codes;
pub mod convert;
mod expand;
mod filter;
mod lookup;
mod matching;
mod normalise;
mod route;
pub mod script;
pub mod sender;
mod set;
mod settings;
mod split;
mod subsumes;
mod systems;
mod translate;
mod units;
mod unmapped;
mod validate;
mod validate_code;
pub mod zone;

use hilum_component::ComponentSpec;

/// All steps, in the order in which documentation lists them.
#[must_use]
pub fn specs() -> Vec<ComponentSpec> {
    vec![
        filter::spec(),
        set::spec(),
        translate::spec(),
        lookup::spec(),
        validate_code::spec(),
        subsumes::spec(),
        expand::spec(),
        route::spec(),
        split::spec(),
        validate::spec(),
        normalise::spec(),
        units::spec(),
        convert::spec(),
        sender::spec(),
        matching::spec(),
        script::spec(),
    ]
}
