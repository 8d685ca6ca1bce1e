//! Steps as a channel runs them: through the pure path that the engine calls.
#![expect(clippy::expect_used, reason = "a test may fail by panic")]

mod channel;
mod charges;
mod convert;
mod examples;
mod filter;
mod late;
mod matching;
mod merged;
mod normalise;
mod relink;
mod route;
mod script;
mod sender;
mod set;
mod split;
mod terminology;
mod translate;
mod units;
mod validate;
mod yaml;
