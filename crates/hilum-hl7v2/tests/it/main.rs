//! What the crate promises, against samples and random input.

mod edits;
mod expressions;
mod samples;
mod shared;
