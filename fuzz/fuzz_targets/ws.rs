#![no_main]

#[path = "../checks/ws.rs"]
mod ws;

libfuzzer_sys::fuzz_target!(|data: &[u8]| ws::check(data));
