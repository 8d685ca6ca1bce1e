//! See `hilum_tree::fuzz_bodies::json`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hilum_tree::fuzz_bodies::json(bytes));
