#![no_main]

#[path = "../checks/chunk.rs"]
mod chunk;

libfuzzer_sys::fuzz_target!(|data: &[u8]| chunk::check(data));
