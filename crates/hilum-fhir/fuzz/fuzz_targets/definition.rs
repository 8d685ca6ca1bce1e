//! See `hilum_fhir::fuzz_bodies::definition`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hilum_fhir::fuzz_bodies::definition(bytes));
