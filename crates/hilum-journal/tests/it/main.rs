//! The journal through its public door.

mod basics;
mod door;
mod power;
