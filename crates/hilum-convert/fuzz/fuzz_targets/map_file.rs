//! See `hilum_convert::fuzz_bodies::map_file`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hilum_convert::fuzz_bodies::map_file(bytes));
