"""The roles as processes of their own: apart, killed, stopped, started again, set up wrongly."""

import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest
from ports import free_port

PATIENCE_S = 60
TOKEN = re.compile(r"\btfy_[A-Za-z0-9_-]+")
BODY = {"model": "mock/plain", "messages": [{"role": "user", "content": "hi"}]}
SNAPSHOT_FILE = pathlib.Path("gateway") / "snapshot.sealed"
ACCOUNT = """\
type: provider-account/openai
name: mock
base_url: {mock}/v1
auth_data: {{type: api-key, api_key: sk-very-secret-upstream-key}}
integrations:
  - {{name: plain, type: integration/model/openai, model_types: [chat]}}
  - {{name: slow, model_id: fault-slow-mid-stream-1500, type: integration/model/openai}}
"""


# What is started without a port gets one of the system's: the usual one may be another Gantry's.
ANY_PORT = {"GANTRY_LISTEN": "127.0.0.1:0"}


def until(what, check, forgive=()):
    """Waits until `check` gives something, and fails with `what` when it never does.

    An error in `forgive` counts as nothing yet; the last one is told with the failure.
    """
    end, last = time.monotonic() + PATIENCE_S, None
    while time.monotonic() < end:
        try:
            found, last = check(), None
        except forgive as error:
            found, last = None, error
        if found:
            return found
        time.sleep(0.05)
    pytest.fail(f"not within {PATIENCE_S} s: {what}" + (f"; at last: {last}" if last else ""))


class Process:
    """One `gantry` with its output in a file."""

    def __init__(self, folder, arguments, **env):
        self.log = folder / f"{arguments[0]}-{time.monotonic_ns()}.log"
        home = {"HOME": str(folder), "PATH": os.environ["PATH"], **ANY_PORT, **env}
        with self.log.open("wb") as log:
            self.child = subprocess.Popen([os.environ["GANTRY_BIN"], *map(str, arguments)],
                                          env=home, stdout=log, stderr=subprocess.STDOUT)

    def output(self):
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8")

    def wait_for(self, pattern):
        """The first match in the output."""
        return until(f"{pattern} in {self.output()}", lambda: re.search(pattern, self.output()))

    def kill(self):
        """As a machine that loses power, but for the page cache."""
        self.child.kill()
        self.child.wait(PATIENCE_S)


@pytest.fixture(name="start")
def start_fixture(tmp_path):
    """Starts processes and ends them all."""
    started = []

    def start(*arguments, **env):
        started.append(Process(tmp_path, arguments, **env))
        return started[-1]

    yield start
    for process in started:
        if process.child.poll() is None:
            process.kill()


def cli(folder, *arguments, stdin="", **env):
    """Runs a command to its end; returns exit status and all output."""
    home = {"HOME": str(folder), "PATH": os.environ["PATH"], **ANY_PORT, **env}
    done = subprocess.run([os.environ["GANTRY_BIN"], *map(str, arguments)], env=home, input=stdin,
                          capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return done.returncode, done.stdout + done.stderr


def ask(port, token, body=None):
    """Status of one chat completion, or 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body or BODY), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except OSError:
        return 0
    finally:
        connection.close()


def test_control_plane_and_gateway_run_apart_and_survive_each_other(start, tmp_path):
    ports = {"control": free_port(), "gateway": free_port(), "admin": free_port()}
    control_dir, gateway_dir = tmp_path / "control", tmp_path / "edge"
    control_arguments = ["control-plane", "--data-dir", control_dir,
                         "--listen", f"127.0.0.1:{ports['control']}"]
    control = start(*control_arguments)
    admin = control.wait_for(TOKEN.pattern).group()
    host = {"GANTRY_HOST": f"http://127.0.0.1:{ports['control']}", "GANTRY_TOKEN": admin}
    code, token = cli(tmp_path, "token", "edge", "--gateway", **host)
    assert code == 0, token
    gateway_arguments = ["gateway", "--control-plane", host["GANTRY_HOST"], "--token",
                         token.strip(), "--data-dir", gateway_dir,
                         "--listen", f"127.0.0.1:{ports['gateway']}"]
    admin_listen = {"GANTRY_ADMIN_LISTEN": f"127.0.0.1:{ports['admin']}"}
    gateway = start(*gateway_arguments, **admin_listen)
    until("an empty gateway", lambda: ask(ports["gateway"], admin) == 404)

    code, output = cli(tmp_path, "apply", "-f", "-",
                       stdin=ACCOUNT.format(mock=os.environ["MOCK_URL"]), **host)
    assert code == 0, output
    until("the change", lambda: ask(ports["gateway"], admin) == 200)

    control.kill()
    assert ask(ports["gateway"], admin) == 200, "the gateway serves on"
    sealed = (gateway_dir / SNAPSHOT_FILE).read_bytes()
    assert b"sk-very-secret" not in sealed and b"mock" not in sealed
    gateway.kill()
    gateway = start(*gateway_arguments, **admin_listen)
    gateway.wait_for("started from the snapshot on disk")
    until("a start from disk", lambda: ask(ports["gateway"], admin) == 200)

    start(*control_arguments)
    gateway.wait_for("the control plane answers again")
    # What was in memory when the gateway was killed may be missing: its last record.
    until("the records of both lives", lambda: len(records(tmp_path, host)) >= 3)
    ids = [record["id"] for record in records(tmp_path, host)]
    assert len(ids) == len(set(ids)), "none twice"


def test_another_value_of_a_variable_reaches_a_gateway_that_runs_apart(start, tmp_path):
    control_port, port = free_port(), free_port()
    arguments = ["control-plane", "--data-dir", tmp_path / "control",
                 "--listen", f"127.0.0.1:{control_port}"]
    allowed = {"GANTRY_SECRETS__ENV": '["UPSTREAM_KEY"]'}
    control = start(*arguments, UPSTREAM_KEY="one", **allowed)
    host = {"GANTRY_HOST": f"http://127.0.0.1:{control_port}",
            "GANTRY_TOKEN": control.wait_for(TOKEN.pattern).group()}
    account = ACCOUNT.format(mock=os.environ["MOCK_URL"])
    account = account.replace("sk-very-secret-upstream-key", "env://UPSTREAM_KEY")
    code, output = cli(tmp_path, "apply", "-f", "-", stdin=account, **host)
    assert code == 0, output
    code, token = cli(tmp_path, "token", "edge", "--gateway", **host)
    assert code == 0, token
    start("gateway", "--control-plane", host["GANTRY_HOST"], "--token", token.strip(),
          "--data-dir", tmp_path / "edge", "--listen", f"127.0.0.1:{port}",
          "--admin-listen", f"127.0.0.1:{free_port()}")
    until("a start", lambda: ask(port, host["GANTRY_TOKEN"]) == 200)
    control.kill()
    control = start(*arguments, **allowed)
    until("a variable without a value", lambda: ask(port, host["GANTRY_TOKEN"]) == 503)
    control.kill()
    start(*arguments, UPSTREAM_KEY="two", **allowed)
    until("its new value", lambda: ask(port, host["GANTRY_TOKEN"]) == 200)


def test_a_gateway_that_stops_leaves_its_last_records_with_the_control_plane(start, tmp_path):
    control_port, port = free_port(), free_port()
    control = start("control-plane", "--data-dir", tmp_path / "control",
                    "--listen", f"127.0.0.1:{control_port}")
    host = {"GANTRY_HOST": f"http://127.0.0.1:{control_port}",
            "GANTRY_TOKEN": control.wait_for(TOKEN.pattern).group()}
    account = ACCOUNT.format(mock=os.environ["MOCK_URL"])
    code, output = cli(tmp_path, "apply", "-f", "-", stdin=account, **host)
    assert code == 0, output
    code, token = cli(tmp_path, "token", "edge", "--gateway", **host)
    assert code == 0, token
    gateway = start("gateway", "--control-plane", host["GANTRY_HOST"], "--token", token.strip(),
                    "--data-dir", tmp_path / "edge", "--listen", f"127.0.0.1:{port}",
                    "--admin-listen", "127.0.0.1:0")
    until("a start", lambda: ask(port, host["GANTRY_TOKEN"]) == 200)
    assert [ask(port, host["GANTRY_TOKEN"]) for _ in range(5)] == [200] * 5
    gateway.child.send_signal(signal.SIGTERM)
    assert gateway.child.wait(PATIENCE_S) == 0
    # The journal seals what is 30 s old, so these were not sealed but by the end.
    assert len([record for record in records(tmp_path, host) if record["status"] == 200]) >= 6
    journal = tmp_path / "edge" / "gateway" / "journal"
    assert not [*journal.glob("*.seg"), *journal.glob("*.open")]
    assert "records stay in the journal" not in gateway.output()


def page(port, path, token=""):
    """Status and text of a page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_metrics_and_tasks_are_for_administrators_but_on_the_admin_port(start, tmp_path):
    port, admin_port = free_port(), free_port()
    up = start("up", "--data-dir", tmp_path / "data", "--listen", f"127.0.0.1:{port}",
               "--admin-listen", f"127.0.0.1:{admin_port}",
               GANTRY_TELEMETRY__METRICS_TOKEN="for-the-scraper")
    token = up.wait_for(TOKEN.pattern).group()
    up.wait_for(rf"Metrics +http://127.0.0.1:{admin_port}/metrics")
    until("a record in the metrics", lambda: ask(port, token) == 404
          and "admin@" in page(admin_port, "/metrics")[1])
    for path, expected in (("/metrics", "gantry_task_runs_total{task=\"lake\"}"),
                           ("/tasks", "\"name\": \"snapshots\"")):
        for wrong in ("", "tfy_nobody"):
            status, text = page(port, path, wrong)
            assert status == 401 and "admin_listen" in text and "admin@" not in text, text
        for right in (token, "for-the-scraper"):
            status, text = page(port, path, right)
            assert status == 200 and expected in text, text
        assert page(admin_port, path)[0] == 200
    # What anybody may ask tells nothing of who uses it.
    for path in ("/", "/healthz", "/readyz", "/nothing"):
        text = page(port, path)[1]
        assert "admin@" not in text and "mock" not in text and token not in text, text


def records(folder, host):
    """All records that the control plane knows."""
    code, output = cli(folder, "logs", "--json", "--limit", "1000", **host)
    if code != 0:
        return []
    return [json.loads(line) for line in output.splitlines()]


def test_a_second_start_finds_everything_and_no_token_is_printed_again(start, tmp_path):
    port = free_port()
    arguments = ["up", "--data-dir", tmp_path / "data", "--listen", f"127.0.0.1:{port}"]
    key = {"OPENAI_API_KEY": "sk-found-in-the-environment",
           "OPENAI_BASE_URL": f"{os.environ['MOCK_URL']}/v1"}
    first = start(*arguments, **key)
    token = first.wait_for(TOKEN.pattern).group()
    first.wait_for("by OPENAI_API_KEY")
    first.wait_for("curl http")
    until("a start", lambda: ask(port, token, {**BODY, "model": "openai/gpt-4o-mini"}) == 200)
    asked = [ask(port, token, {**BODY, "model": "openai/gpt-4o-mini"}) for _ in range(20)]
    assert asked == [200] * 20
    host = {"GANTRY_HOST": f"http://127.0.0.1:{port}", "GANTRY_TOKEN": token}
    before = until("the records", lambda: len(records(tmp_path, host)) >= 21
                   and {record["id"] for record in records(tmp_path, host)})
    first.kill()

    second = start(*arguments, **key)
    body = {**BODY, "model": "openai/gpt-4o-mini"}
    until("a second start", lambda: ask(port, token, body) == 200)
    assert not TOKEN.search(second.output()), "the token is shown once"
    code, output = cli(tmp_path, "logs", "--json", "--limit", "100", "--data-dir",
                       tmp_path / "data")
    assert code == 0, output
    kept = [json.loads(line) for line in output.splitlines()]
    assert before <= {record["id"] for record in kept}, "kill -9 lost what the journal had"
    assert any(record["cost"] > 0 for record in kept), "the catalogue has a price"
    data = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert b"sk-found-in-the-environment" not in data


def test_a_start_names_a_model_that_works_whatever_accounts_there_are(start, tmp_path):
    port = free_port()
    arguments = ["up", "--data-dir", tmp_path / "data", "--listen", f"127.0.0.1:{port}"]
    first = start(*arguments)
    token = first.wait_for(TOKEN.pattern).group()
    host = {"GANTRY_HOST": f"http://127.0.0.1:{port}", "GANTRY_TOKEN": token}
    until("a start", lambda: ask(port, token) == 404)
    embeddings = "{name: first, model_id: x, type: integration/model/openai, " \
                 "model_types: [embedding]}"
    account = ACCOUNT.format(mock=os.environ["MOCK_URL"])
    account = account.replace("integrations:\n", f"integrations:\n  - {embeddings}\n")
    code, output = cli(tmp_path, "apply", "-f", "-", stdin=account, **host)
    assert code == 0, output
    first.kill()

    second = start(*arguments)
    line = second.wait_for(r"curl \S+ -H \"Authorization: Bearer \$GANTRY_TOKEN\"")
    model = second.wait_for(r'"model": "([^"]+)"').group(1)
    assert line and "No provider found" not in second.output()
    # A server that happens to run on a usual port of this machine may come first.
    if "by http://" not in second.output():
        assert model == "mock/plain"
    until("the named model", lambda: ask(port, token, {**BODY, "model": model}) == 200)


def test_what_is_set_by_half_is_told_and_gemini_is_found(start, tmp_path):
    up = start("up", "--data-dir", tmp_path / "data", "--listen", f"127.0.0.1:{free_port()}",
               GEMINI_API_KEY="x", AZURE_OPENAI_API_KEY="y")
    up.wait_for(r"google-gemini +by GEMINI_API_KEY +google-gemini/")
    up.wait_for("Azure OpenAI also needs AZURE_OPENAI_ENDPOINT")
    assert "account not created" not in up.output()


def test_nobody_else_can_read_requests_even_in_a_folder_that_was_there(start, tmp_path):
    port, data = free_port(), tmp_path / "data"
    (data / "journal").mkdir(mode=0o755, parents=True)
    data.chmod(0o755)
    up = start("up", "--data-dir", data, "--listen", f"127.0.0.1:{port}")
    token = up.wait_for(TOKEN.pattern).group()
    host = {"GANTRY_HOST": f"http://127.0.0.1:{port}", "GANTRY_TOKEN": token}
    until("a start", lambda: ask(port, token) == 404)
    until("a record", lambda: records(tmp_path, host))
    made = [path for path in data.rglob("*") if not path.is_symlink()]
    open_to_others = [str(path) for path in made if path.stat().st_mode & 0o077]
    assert made and not open_to_others


def test_stopping_lets_streams_end(start, tmp_path):
    port = free_port()
    up = start("up", "--data-dir", tmp_path / "data", "--listen", f"127.0.0.1:{port}")
    token = up.wait_for(TOKEN.pattern).group()
    host = {"GANTRY_HOST": f"http://127.0.0.1:{port}", "GANTRY_TOKEN": token}
    until("a start", lambda: ask(port, token) == 404)
    code, output = cli(tmp_path, "apply", "-f", "-",
                       stdin=ACCOUNT.format(mock=os.environ["MOCK_URL"]), **host)
    assert code == 0, output
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    body = json.dumps({**BODY, "model": "mock/slow", "stream": True})
    connection.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    begun = answer.readline()
    assert begun.startswith(b"data:"), begun
    up.child.send_signal(signal.SIGINT)
    up.wait_for("streams have 30 s to end")
    assert answer.read().rstrip().endswith(b"data: [DONE]")
    connection.close()
    assert up.child.wait(PATIENCE_S) == 0
    assert ask(port, token) == 0


def test_it_serves_on_when_nobody_reads_its_log_any_more(tmp_path):
    port = free_port()
    arguments = ["up", "--data-dir", tmp_path / "data", "--listen", f"127.0.0.1:{port}"]
    home = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    with subprocess.Popen([os.environ["GANTRY_BIN"], *map(str, arguments)], env=home, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as up:
        try:
            token = next(filter(None, map(TOKEN.search, up.stdout))).group()
            until("a start", lambda: ask(port, token) == 404)
            up.stdout.close()
            host = {"GANTRY_HOST": f"http://127.0.0.1:{port}", "GANTRY_TOKEN": token}
            account = ACCOUNT.format(mock=os.environ["MOCK_URL"])
            # Each prints a line of its own; the first one may still fit into the pipe.
            for _ in range(3):
                assert cli(tmp_path, "apply", "-f", "-", stdin=account, **host)[0] == 0
                assert cli(tmp_path, "delete", "-f", "-", stdin=account, **host)[0] == 0
            assert ask(port, token) == 404
            assert up.poll() is None, "it runs on"
        finally:
            up.kill()


def test_without_any_provider_it_starts_and_says_how_to_add_one(start, tmp_path):
    up = start("up", "--data-dir", tmp_path / "data", "--listen", f"127.0.0.1:{free_port()}")
    up.wait_for("gantry up|Gantry is up")
    found = up.wait_for("No provider found|Providers:").group()
    # A server that happens to run on a usual port of this machine is found, and that is right.
    if found == "No provider found":
        up.wait_for("gantry apply -f")


@pytest.mark.parametrize(("text", "env", "expected"), [
    ("[gateway]\nidle_timeout = 5\n", {}, "boot.toml:2:1: unknown field `idle_timeout`"),
    ("[gateway]\nworkers = \"two\"\n", {}, "boot.toml:2:11: invalid type: string \"two\""),
    ("", {"GANTRY_GATEWAY__WORKRS": "2"}, "GANTRY_GATEWAY__WORKRS: unknown field `workrs`"),
    ("[log]\nfilter = \"in=fo=x,,,\"\n", {}, "boot.toml:2:10: `in=fo=x,,,` is no log filter"),
    ("", {"GANTRY_LOG__FILTER": "inof"}, "GANTRY_LOG__FILTER: `inof` is no log filter"),
    ("[gateway]\nidle_timeout_ms = 0\n", {}, "boot.toml:2:19: 0 is too small"),
    ("[records]\nobjects_url = \"gs://x\"\n", {}, "boot.toml:2:15: `gs://x` is no address"),
    ("", {"GANTRY_LISTEN": "here"}, "`here` is no address: expected IP and port, such as 127"),
    ("", {"GANTRY_LOCAL_SERVERS": "nonsense"}, "GANTRY_LOCAL_SERVERS: `nonsense` is no URL"),
    ("", {"GANTRY_MASTER_KEY": "abc"}, "cannot use the master key GANTRY_MASTER_KEY: "),
])
def test_a_wrong_boot_configuration_refuses_to_start(tmp_path, text, env, expected):
    boot = tmp_path / "boot.toml"
    boot.write_text(text, encoding="utf-8")
    code, output = cli(tmp_path, "up", "--boot", boot, "--data-dir", tmp_path / "data", **env)
    assert code != 0 and output.count(expected) == 1, output


def test_a_start_that_fails_loses_no_token_and_the_data_directory_gives_another(start, tmp_path):
    data = ["--data-dir", tmp_path / "data"]
    code, output = cli(tmp_path, "up", *data, GANTRY_LOCAL_SERVERS="nonsense")
    assert code != 0, output
    up = start("up", *data, "--listen", f"127.0.0.1:{free_port()}")
    first = up.wait_for(TOKEN.pattern).group()
    assert first in (tmp_path / "data" / "credentials.json").read_text(encoding="utf-8")
    code, output = cli(tmp_path, "token", "again", "--admin", *data)
    assert code != 0 and "another gantry process uses it" in output, output
    up.kill()
    code, again = cli(tmp_path, "token", "again", "--admin", *data)
    assert code == 0, again
    port = free_port()
    start("up", *data, "--listen", f"127.0.0.1:{port}")
    host = {"GANTRY_HOST": f"http://127.0.0.1:{port}", "GANTRY_TOKEN": again.strip()}
    until("a second start", lambda: cli(tmp_path, "get", **host)[0] == 0)


def test_a_token_that_was_left_and_ended_is_told_and_another_takes_its_place(start, tmp_path):
    data = ["--data-dir", tmp_path / "data"]
    up = start("up", *data, "--listen", f"127.0.0.1:{free_port()}")
    up.wait_for(TOKEN.pattern)
    until("the credentials", lambda: cli(tmp_path, "get", *data)[0] == 0)
    code, output = cli(tmp_path, "token", "--revoke", "first-start", *data)
    assert code != 0 and "the only token of user:admin@localhost" in output, output
    token = cli(tmp_path, "token", "next", *data)[1].strip()
    code, output = cli(tmp_path, "token", "--revoke", "first-start", *data, GANTRY_TOKEN=token)
    assert code == 0, output
    code, output = cli(tmp_path, "get", *data)
    assert code != 0 and "`gantry token NAME --admin --data-dir" in output, output
    up.kill()
    assert cli(tmp_path, "token", "again", "--admin", *data)[0] == 0
    start("up", *data, "--listen", f"127.0.0.1:{free_port()}")
    until("a second start", lambda: cli(tmp_path, "get", *data)[0] == 0)


def test_following_goes_on_when_the_control_plane_was_away(start, tmp_path):
    port = free_port()
    arguments = ["up", "--data-dir", tmp_path / "data", "--listen", f"127.0.0.1:{port}"]
    up = start(*arguments)
    token = up.wait_for(TOKEN.pattern).group()
    until("an answer", lambda: ask(port, token) == 404)
    follower = start("logs", "--follow", "--data-dir", tmp_path / "data")
    follower.wait_for("TIME")
    up.kill()
    follower.wait_for("asking on")
    start(*arguments)
    until("an answer", lambda: ask(port, token, {**BODY, "model": "after/all"}) == 404)
    follower.wait_for("after/all")


def test_the_token_that_was_left_goes_to_no_other_address(start, tmp_path):
    data = ["--data-dir", tmp_path / "data"]
    start("up", *data, "--listen", f"127.0.0.1:{free_port()}").wait_for(TOKEN.pattern)
    until("the credentials", lambda: cli(tmp_path, "get", *data)[0] == 0)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        other.settimeout(0.1)
        host = f"http://127.0.0.1:{other.getsockname()[1]}"
        code, output = cli(tmp_path, "get", "--host", host, *data)
        assert code != 0 and f"no token for {host}" in output, output
        with pytest.raises(TimeoutError):
            other.accept()


def test_a_gateway_whose_metrics_port_is_taken_says_how_to_name_another(tmp_path):
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "mock.yaml").write_text(ACCOUNT.format(mock="http://127.0.0.1:1"), encoding="utf-8")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, output = cli(tmp_path, "gateway", "--config", folder, "--data-dir",
                           tmp_path / "data", "--listen", f"127.0.0.1:{free_port()}",
                           "--admin-listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert code != 0 and "--admin-listen, or with `admin_listen`" in output, output
    code, output = cli(tmp_path, "gateway", "--control-plane", "notaurl")
    assert code != 0 and "`notaurl` is no URL" in output, output


def test_a_gateway_without_any_snapshot_says_that_it_serves_nothing(start, tmp_path):
    port = free_port()
    gateway = start("gateway", "--control-plane", f"http://127.0.0.1:{free_port()}",
                    "--token", "tfy_x", "--data-dir", tmp_path / "data",
                    "--listen", f"127.0.0.1:{port}", "--admin-listen", "127.0.0.1:0")
    gateway.wait_for("It has no snapshot yet, and refuses every request with 503")
    gateway.wait_for("no snapshot from the control plane, and none on disk")
    assert ask(port, "tfy_x") == 503
    assert "serving on" not in gateway.output()


def test_a_gateway_with_a_control_plane_has_no_lake_of_its_own(tmp_path):
    code, output = cli(tmp_path, "gateway", "--control-plane", "http://127.0.0.1:1",
                       "--token", "tfy_x", "--data-dir", tmp_path / "data",
                       GANTRY_RECORDS__OBJECTS_URL=f"file://{tmp_path}/lake")
    assert code != 0 and "`objects_url` in [records] does not go with" in output, output
    assert not (tmp_path / "lake").exists() and not (tmp_path / "data").exists()


def test_a_gateway_runs_from_files_alone_and_follows_them(start, tmp_path):
    folder, port = tmp_path / "manifests", free_port()
    folder.mkdir()
    manifest = folder / "mock.yaml"
    text = ACCOUNT.format(mock=os.environ["MOCK_URL"])
    manifest.write_text(text, encoding="utf-8")
    env = {"GANTRY_TOKENS": "tfy_admin=admin,tfy_bot=virtualaccount:bot",
           "GANTRY_ADMIN_LISTEN": f"127.0.0.1:{free_port()}"}
    arguments = ["gateway", "--config", folder, "--data-dir", tmp_path / "data",
                 "--listen", f"127.0.0.1:{port}"]
    gateway = start(*arguments, **env)
    until("a start", lambda: ask(port, "tfy_admin") == 200)
    assert ask(port, "tfy_bot") == 403
    code, output = cli(tmp_path, *arguments[:-1], f"127.0.0.1:{free_port()}", **env)
    assert code != 0 and "a data directory of its own, by --data-dir" in output, output
    manifest.write_text(text.replace("model_types: [chat]", "model_typ: [chat]", 1),
                        encoding="utf-8")
    gateway.wait_for("did you mean `model_types`")
    assert ask(port, "tfy_admin") == 200, "the manifests before the mistake stay in use"
    manifest.write_text(text.replace("name: plain", "name: renamed"), encoding="utf-8")
    until("the change", lambda: ask(port, "tfy_admin") == 404)
    gateway.kill()
    manifest.write_text("type: provider-account/opnai\nname: x\n", encoding="utf-8")
    code, output = cli(tmp_path, *arguments, **env)
    assert code != 0 and "mock.yaml:1:7" in output and "opnai" in output, output
