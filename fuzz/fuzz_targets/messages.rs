#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| uniloop_fuzz::messages(data));
