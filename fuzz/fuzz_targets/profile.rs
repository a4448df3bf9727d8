#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| baileys_hybrid_auth::fuzz::run("profile", input));
