//! See `hilum_convert::fuzz_bodies::back`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hilum_convert::fuzz_bodies::back(bytes));
