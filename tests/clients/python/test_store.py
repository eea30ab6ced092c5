"""The control plane on PostgreSQL: kept over restarts, shared by two, and the server away."""

import os
import shutil
import subprocess
import tempfile

import pytest
from test_roles import ACCOUNT, PATIENCE_S, TOKEN, Process, cli, free_port, until

# PostgreSQL does not run as root.
NOBODY = 65534
MASTER_KEY = {"GANTRY_MASTER_KEY": "ab" * 32}


class Postgres:
    """A server on a socket in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.url = f"postgres://gantry:the-password@localhost/postgres?host={folder}"
        self.user = {}
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
            self.user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self.program("initdb", "-U", "gantry", "-A", "trust", "-E", "UTF8", "--locale=C",
                     "--no-sync")

    def program(self, name, *arguments):
        """Runs one of its programs to its end."""
        command = [os.path.join(os.environ["POSTGRES_PROGRAMS"], name), "-D",
                   os.path.join(self.folder, "data"), *arguments]
        subprocess.run(command, check=True, timeout=PATIENCE_S, cwd=self.folder,
                       env={"PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, **self.user)

    def start(self):
        """Starts the server and waits until it answers."""
        options = f"-k '{self.folder}' -c listen_addresses= -c fsync=off"
        self.program("pg_ctl", "-l", os.path.join(self.folder, "log"), "-w", "-o", options,
                     "start")

    def stop(self):
        """Ends the server and all its connections."""
        self.program("pg_ctl", "-m", "immediate", "-w", "stop")


@pytest.fixture(name="postgres")
def postgres_fixture():
    """A running server, empty."""
    # Below pytest's own folders only their owner may look.
    folder = tempfile.mkdtemp(prefix="gantry-pg-")
    try:
        server = Postgres(folder)
        server.start()
        yield server
    finally:
        if os.path.exists(os.path.join(folder, "data", "postmaster.pid")):
            server.stop()
        shutil.rmtree(folder)


@pytest.fixture(name="control_plane")
def control_plane_fixture(tmp_path, postgres):
    """Starts control planes on the server, each with a data directory of its own."""
    started = []

    def control_plane(name):
        port = free_port()
        arguments = ["control-plane", "--data-dir", tmp_path / name, "--listen",
                     f"127.0.0.1:{port}"]
        started.append(Process(tmp_path, arguments, GANTRY_STORE__URL=postgres.url, **MASTER_KEY))
        started[-1].wait_for("control plane is up")
        return started[-1], f"http://127.0.0.1:{port}"

    yield control_plane
    for process in started:
        if process.child.poll() is None:
            process.kill()


def test_what_was_applied_and_made_is_there_after_a_restart(control_plane, tmp_path):
    first, host = control_plane("first")
    admin = first.wait_for(TOKEN.pattern).group()
    account = ACCOUNT.format(mock="http://127.0.0.1:9")
    code, output = cli(tmp_path, "apply", "-f", "-", stdin=account, GANTRY_HOST=host,
                       GANTRY_TOKEN=admin)
    assert code == 0, output
    code, made = cli(tmp_path, "token", "laptop", GANTRY_HOST=host, GANTRY_TOKEN=admin)
    assert code == 0, made
    first.kill()
    assert not (tmp_path / "first" / "gantry.db").exists()

    second, host = control_plane("second")
    for token in (admin, made.strip()):
        code, output = cli(tmp_path, "get", GANTRY_HOST=host, GANTRY_TOKEN=token)
        assert code == 0 and "mock" in output, output
    assert "the-password" not in first.output() + second.output()
    assert TOKEN.search(second.output()) is None, "no second administrator"


def test_two_control_planes_share_a_database_whose_server_may_go_away(
        control_plane, tmp_path, postgres):
    first, one = control_plane("first")
    _, other = control_plane("second")
    admin = {"GANTRY_TOKEN": first.wait_for(TOKEN.pattern).group()}

    def apply(host, name):
        account = ACCOUNT.format(mock="http://127.0.0.1:9").replace("name: mock", f"name: {name}")
        return cli(tmp_path, "apply", "-f", "-", stdin=account, GANTRY_HOST=host, **admin)

    for host, name in ((one, "one"), (other, "two"), (one, "three")):
        code, output = apply(host, name)
        assert code == 0, output
    for host in (one, other):
        code, output = cli(tmp_path, "get", GANTRY_HOST=host, **admin)
        assert code == 0 and all(name in output for name in ("one", "two", "three")), output

    postgres.stop()
    code, output = apply(one, "four")
    assert code != 0, output
    assert "the-password" not in output and str(postgres.folder) not in output
    postgres.start()
    for host in (one, other):
        code, output = apply(host, "four")
        assert code == 0, output


def test_a_token_is_known_and_ended_at_each_control_plane(control_plane, tmp_path):
    first, one = control_plane("first")
    _, other = control_plane("second")
    admin = {"GANTRY_TOKEN": first.wait_for(TOKEN.pattern).group()}

    def answer(host, token):
        return cli(tmp_path, "get", GANTRY_HOST=host, GANTRY_TOKEN=token)[0]

    code, made = cli(tmp_path, "token", "laptop", GANTRY_HOST=one, **admin)
    assert code == 0, made
    until("the new token works at the other one", lambda: answer(other, made.strip()) == 0)
    code, output = cli(tmp_path, "token", "--revoke", "laptop", GANTRY_HOST=one, **admin)
    assert code == 0, output
    assert answer(one, made.strip()) != 0, "there at once"
    until("the ended one is refused there", lambda: answer(other, made.strip()) != 0)
