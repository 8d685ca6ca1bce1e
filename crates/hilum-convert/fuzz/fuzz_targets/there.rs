//! See `hilum_convert::fuzz_bodies::there`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hilum_convert::fuzz_bodies::there(bytes));
