//! One PostgreSQL server for all tests of this process, and a database in it for each.
//!
//! It listens on a socket in its own folder only, and ends with this process however that ends:
//! a shell waits for the end of its input, which is a pipe from here.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

const PROGRAMS: &str = "GANTRY_TEST_POSTGRES";

/// The user `nobody`: PostgreSQL does not run as root.
const NOBODY: u32 = 65534;

const SCRIPT: &str = r#"
set -eu
trap "" INT TERM HUP
cd "$1"
"$2/initdb" -D data -U gantry -A trust -E UTF8 --locale=C --no-sync --no-instructions >log 2>&1
options="-k '$1' -c listen_addresses= -c fsync=off -c max_connections=200 -c shared_buffers=16MB"
"$2/pg_ctl" -D data -l log -w -o "$options" start >>log 2>&1
echo ready
cat >/dev/null
"$2/pg_ctl" -D data -m immediate stop >>log 2>&1
cd /
rm -rf "$1"
"#;

struct Server {
    folder: PathBuf,
    /// Holds the pipe whose end is the end of the server.
    _shell: Child,
}

static SERVER: LazyLock<Server> = LazyLock::new(start);

static DATABASES: AtomicU32 = AtomicU32::new(0);

fn start() -> Server {
    let programs = std::env::var(PROGRAMS)
        .unwrap_or_else(|_| panic!("set {PROGRAMS} to the folder of PostgreSQL's programs"));
    let folder = tempfile::Builder::new().prefix("gantry-pg-").tempdir().unwrap().keep();
    let mut shell = Command::new("sh");
    shell.args(["-c", SCRIPT, "sh"]).arg(&folder).arg(programs);
    if folder.metadata().unwrap().uid() == 0 {
        chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        shell.uid(NOBODY).gid(NOBODY);
    }
    let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said.trim(), "ready", "the server did not start:\n{}", log(&folder));
    Server { folder, _shell: shell }
}

fn log(folder: &Path) -> String {
    let mut text = String::new();
    let opened = std::fs::File::open(folder.join("log"));
    opened.and_then(|mut file| file.read_to_string(&mut text)).ok();
    text
}

/// The address of a database of the server.
pub(crate) fn address(database: &str) -> String {
    format!("postgres://gantry@localhost/{database}?host={}", SERVER.folder.display())
}

/// The address of a new, empty database.
pub(crate) async fn database() -> String {
    let name = format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let mut connection = connect(&address("postgres")).await;
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::query(create).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    address(&name)
}

/// A connection of a stranger.
pub(crate) async fn connect(address: &str) -> PgConnection {
    PgConnection::connect(address).await.unwrap()
}
