//! The mock as a program.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_mock-upstream");

#[test]
fn prints_its_address_and_serves() {
    let mut child =
        Command::new(PROGRAM).args(["--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let connected = TcpStream::connect(line.trim().strip_prefix("http://").unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
    connected.unwrap();
}

#[test]
fn refuses_arguments_that_it_does_not_know() {
    for arguments in [["--prot", "0"], ["--port", "x"]] {
        let output = Command::new(PROGRAM).args(arguments).output().unwrap();
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage: mock-upstream"));
    }
}
