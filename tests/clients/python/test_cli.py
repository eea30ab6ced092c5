"""Gantry's own command line: what the requests of real clients leave behind, and manifests."""

import json
import os
import subprocess
import time
import urllib.request
import uuid

import openai
import pytest

HELLO = [{"role": "user", "content": "Say hello."}]
RECORDED_WITHIN_S = 30
FOLLOWED_WITHIN_S = 2


@pytest.fixture(name="client_env")
def client_env_fixture(tmp_path, url, token):
    """What the command line needs from its environment."""
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GANTRY_HOST": url,
            "GANTRY_TOKEN": token}


@pytest.fixture(name="gantry")
def gantry_fixture(client_env):
    """Runs the command line; returns exit status, standard output and standard error."""

    def run(*arguments, stdin=""):
        done = subprocess.run([os.environ["GANTRY_BIN"], *arguments], env=client_env, input=stdin,
                              capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture(name="recorded")
def recorded_fixture(gantry):
    """The records of one test, told from others by their metadata; waits until all are there."""

    def wait(test, count):
        until = time.monotonic() + RECORDED_WITHIN_S
        while True:
            code, output, error = gantry("logs", "--json", "--metadata", f"test={test}")
            assert code == 0, error
            records = [json.loads(line) for line in output.splitlines()]
            if len(records) >= count or time.monotonic() > until:
                assert len(records) == count
                return records

    return wait


@pytest.fixture(name="test_id")
def test_id_fixture():
    """Metadata that tells this test's requests from all others."""
    return uuid.uuid4().hex


def serves(oai, model):
    """Whether the gateway lists a model."""
    return model in {entry.id for entry in oai.models.list()}


def soon(condition):
    """Whether a condition comes true within the time that a gateway has to follow a change."""
    until = time.monotonic() + FOLLOWED_WITHIN_S
    while not condition():
        if time.monotonic() > until:
            return False
    return True


def marked(test_id):
    """The header that carries it."""
    return {"x-tfy-metadata": json.dumps({"test": test_id})}


@pytest.mark.parametrize("name, failed", [("whole", 429), ("streamed", 502)])
def test_a_request_leaves_one_record_with_its_cost(oai, gantry, recorded, test_id, name, failed):
    stream = name == "streamed"
    reply = oai.chat.completions.create(
        model=f"routed/{name}", messages=HELLO, stream=stream, extra_headers=marked(test_id))
    if stream:
        list(reply)
    record, = recorded(test_id, 1)
    assert (record["status"], record["model"]) == (200, f"routed/{name}")
    assert record["resolved_model"] == "mock/plain"
    assert (record["usage"]["input"], record["usage"]["output"]) == (11, 4)
    assert record["cost"] == 19_000_000, "billionths of a dollar"
    statuses = [attempt["status"] for attempt in record["attempts"]]
    assert set(statuses[:-1]) == {failed} and statuses[-1] == 200 and record["route"]

    code, output, error = gantry("logs", record["id"], "--why")
    assert code == 0, error
    assert "mock/plain" in output and str(failed) in output

    code, output, error = gantry("usage", "--json", "--by", "model,metadata.test",
                                 "--metadata", f"test={test_id}")
    assert code == 0, error
    row, = json.loads(output)
    assert (row["requests"], row["errors"], row["cost_nano_usd"]) == (1, 0, 19_000_000)


def test_records_are_found_by_the_callers_trace_and_summed_by_workspace(
        oai, gantry, recorded, test_id):
    workspace = f"workspace-{test_id}"
    metadata = json.dumps({"test": test_id, "workspace": workspace})
    headers = {"traceparent": f"00-{test_id}-b7ad6b7169203331-01", "x-tfy-metadata": metadata}
    oai.chat.completions.create(model="mock/plain", messages=HELLO, extra_headers=headers)
    record, = recorded(test_id, 1)
    assert (record["trace_id"], record["parent_span_id"]) == (test_id, "b7ad6b7169203331")
    for trace in (test_id, record["id"]):
        code, output, error = gantry("logs", "--trace", trace, "--json")
        assert code == 0, error
        assert [json.loads(line)["id"] for line in output.splitlines()] == [record["id"]]
    code, output, error = gantry("logs", record["id"], "--why")
    assert code == 0, error
    assert test_id in output
    code, output, error = gantry("usage", "--json", "--by", "workspace",
                                 "--metadata", f"test={test_id}")
    assert code == 0, error
    row, = json.loads(output)
    assert (row["keys"], row["requests"]) == ([workspace], 1)


def test_one_request_is_shown_whole_and_lists_hold_no_bodies(
        oai, gantry, recorded, test_id, url, token):
    headers = {**marked(test_id), "x-tfy-logging-config": json.dumps({"enabled": True})}
    oai.chat.completions.create(model="mock/plain", messages=HELLO, extra_headers=headers)
    record, = recorded(test_id, 1)
    assert (record["request_body"], record["response_body"]) == (None, None)
    code, output, error = gantry("logs", record["id"])
    assert code == 0, error
    ask = urllib.request.Request(f"{url}/api/svc/v1/gateway/logs/{record['id']}",
                                 headers={"authorization": f"Bearer {token}"})
    with urllib.request.urlopen(ask, timeout=60) as answer:
        wholes = [json.loads(output), json.load(answer)]
    for whole in wholes:
        assert whole["id"] == record["id"]
        assert "Say hello." in whole["request_body"]
        assert "choices" in whole["response_body"]


def test_an_ambiguous_or_malformed_id_is_refused(oai, gantry, recorded, test_id):
    shared = ""
    for count in (2, 4):
        for _ in range(2):
            oai.chat.completions.create(
                model="mock/plain", messages=HELLO, extra_headers=marked(test_id))
        newest = [record["id"] for record in recorded(test_id, count)][-2:]
        shared = os.path.commonprefix(newest)
        # Eight digits change each 65 s, which may happen just in between once.
        if len(shared) >= 8:
            break
    code, output, error = gantry("logs", shared, "--why")
    assert code != 0 and not output
    assert all(one in error for one in newest), error
    code, output, error = gantry("logs", "--metadata", f"test={test_id}")
    assert code == 0, error
    shown = [line.split()[1] for line in output.splitlines()[1:]]
    assert len(set(shown)) == len(shown) == count
    code, _, error = gantry("logs", shown[0], "--why")
    assert code == 0, error
    code, _, error = gantry("logs", "no id/at all")
    assert code != 0 and "`no id/at all` is no request's id" in error, error


def test_following_shows_only_what_is_new(oai, recorded, test_id, client_env):
    def ask():
        oai.chat.completions.create(
            model="mock/plain", messages=HELLO, extra_headers=marked(test_id))

    for _ in range(3):
        ask()
    old = [record["id"] for record in recorded(test_id, 3)]
    command = [os.environ["GANTRY_BIN"], "logs", "--follow", "--limit", "1", "--json",
               "--metadata", f"test={test_id}"]
    with subprocess.Popen(command, env=client_env, stdout=subprocess.PIPE, text=True) as follow:
        first = json.loads(follow.stdout.readline())["id"]
        ask()
        second = json.loads(follow.stdout.readline())["id"]
        follow.kill()
    assert first == old[-1], "the newest"
    assert second not in old


@pytest.mark.parametrize("arguments", [["get"], ["logs"], ["logs", "--json"], ["usage"]])
def test_a_closed_pipe_ends_a_command_quietly(client_env, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([os.environ["GANTRY_BIN"], *arguments], env=client_env, stdout=writer,
                          stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_tokens_are_listed_and_ended(gantry):
    name = f"cli-{uuid.uuid4().hex[:8]}"
    for kind in ([], ["--gateway"]):
        code, token, error = gantry("token", name, *kind)
        assert code == 0, error
        code, output, error = gantry("token", "--list", *kind)
        assert code == 0 and name in output and token.strip() not in output, error
        code, _, error = gantry("token", "--revoke", name, *kind)
        assert code == 0, error
        code, _, error = gantry("token", "--revoke", name, *kind)
        assert code != 0 and f"there is no token {name}" in error, error
        code, output, error = gantry("token", "--list", *kind)
        assert code == 0 and name not in output, error


def test_refused_and_abandoned_requests_leave_records_too(oai, recorded, test_id, model):
    with pytest.raises(openai.NotFoundError):
        oai.chat.completions.create(
            model="no-such/model", messages=HELLO, extra_headers=marked(test_id))
    stream = oai.chat.completions.create(
        model=model, messages=HELLO, max_tokens=400, stream=True, extra_headers=marked(test_id))
    next(iter(stream))
    stream.close()
    statuses = {record["model"]: record["status"] for record in recorded(test_id, 2)}
    assert statuses == {"no-such/model": 404, model: 499}


def test_applies_compares_shows_and_deletes(gantry, oai):
    name = f"cli-{uuid.uuid4().hex[:8]}"
    manifest = f"""\
name: {name}
type: provider-account/virtual-model
integrations:
  - name: one
    type: integration/model/virtual
    model_types: [chat]
    routing_config:
      type: weight-based-routing
      load_balance_targets: [{{target: mock/plain, weight: 100}}]
"""
    for arguments in (["apply", "-f", "-", "--dry-run"], ["diff", "-f", "-"]):
        code, output, error = gantry(*arguments, stdin=manifest)
        assert name in output, (arguments, code, output, error)
    assert not serves(oai, f"{name}/one")
    code, _, error = gantry("apply", "-f", "-", stdin=manifest)
    assert code == 0, error
    assert soon(lambda: serves(oai, f"{name}/one"))
    code, output, error = gantry("get")
    assert code == 0 and name in output, error
    code, output, error = gantry("delete", "-f", "-", "--dry-run", stdin=manifest)
    assert code == 0 and f"{name} would be deleted" in output, error
    assert serves(oai, f"{name}/one"), "a dry run deletes nothing"
    code, _, error = gantry("delete", "-f", "-", stdin=manifest)
    assert code == 0, error
    assert soon(lambda: not serves(oai, f"{name}/one"))


@pytest.mark.parametrize("line, found, expected", [
    ("weight: 100", "wieght: 100", "weight"),
    ("target: mock/plain", "target: mock/plian", "mock/plain"),
    ("weight: 100", "weight: 60", "100"),
])
def test_a_mistake_is_refused_with_its_line(gantry, line, found, expected):
    manifest = """\
name: cli-wrong
type: provider-account/virtual-model
integrations:
  - name: one
    type: integration/model/virtual
    model_types: [chat]
    routing_config:
      type: weight-based-routing
      load_balance_targets:
        - target: mock/plain
          weight: 100
"""
    good = "---\n" + manifest.replace("cli-wrong", "cli-good")
    code, _, error = gantry("apply", "-f", "-", stdin=manifest.replace(line, found) + good)
    assert code != 0 and expected in error and "-:" in error, error
    code, output, _ = gantry("get")
    assert code == 0 and "cli-good" not in output, "one apply is one transaction"


def test_an_unknown_kind_is_refused_and_a_changed_secret_is_a_difference(gantry):
    code, output, error = gantry("get", "foo")
    assert code != 0 and not output and "virtual-account" in error, error
    name = f"cli-{uuid.uuid4().hex[:8]}"
    manifest = f"""\
name: {name}
type: provider-account/openai
auth_data: {{type: api-key, api_key: KEY}}
integrations: [{{name: one, type: integration/model/openai}}]
"""
    code, _, error = gantry("apply", "-f", "-", stdin=manifest)
    assert code == 0, error
    code, output, error = gantry("diff", "-f", "-", stdin=manifest.replace("KEY", "other"))
    assert code == 0, error
    assert "update" in output and "the value of a secret" in output, output
    assert "other" not in output
    code, _, error = gantry("delete", "provider-account/openai", name)
    assert code == 0, error
