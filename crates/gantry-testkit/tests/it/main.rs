//! The mock upstream as a client sees it: dialects, faults, scripts, the program.

// The attribute lets helpers unwrap as tests may.
#[cfg(test)]
mod client;
mod dialects;
mod faults;
mod program;
mod scripts;
mod snapshots;
