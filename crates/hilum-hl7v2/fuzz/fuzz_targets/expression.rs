//! See `hilum_hl7v2::fuzz_bodies::expression`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hilum_hl7v2::fuzz_bodies::expression(bytes));
