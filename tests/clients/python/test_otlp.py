"""Traces at a real OpenTelemetry collector: what arrives, and in whose trace it is."""

import http.client
import json
import os
import pathlib
import re
import subprocess

import pytest
from ports import free_port
from test_roles import ACCOUNT, PATIENCE_S, Process, until

rotel = pytest.importorskip("rotel", reason="the collector has no wheel for this machine")

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TOKEN = "tfy_admin"


@pytest.fixture(name="collector")
def collector_fixture(tmp_path):
    """A collector that prints what it gets: its OTLP/HTTP address and a way to read its output."""
    http_port, log = free_port(), tmp_path / "collector.log"
    agent = pathlib.Path(rotel.__file__).parent / "rotel-agent"
    command = [agent, "start", "--otlp-http-endpoint", f"127.0.0.1:{http_port}",
               "--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}", "--exporter", "blackhole",
               "--debug-log", "traces", "--debug-log-verbosity", "detailed"]
    with log.open("wb") as output:
        child = subprocess.Popen([str(part) for part in command], stdout=output,
                                 stderr=subprocess.STDOUT, env={"PATH": os.environ["PATH"]})
    yield f"http://127.0.0.1:{http_port}", lambda: log.read_text(encoding="utf-8")
    child.kill()
    child.wait(PATIENCE_S)


@pytest.fixture(name="port")
def port_fixture(collector, tmp_path):
    """A gateway that runs from files and sends its spans to the collector."""
    folder, port = tmp_path / "manifests", free_port()
    folder.mkdir()
    account = ACCOUNT.format(mock=os.environ["MOCK_URL"])
    (folder / "mock.yaml").write_text(account, encoding="utf-8")
    arguments = ["gateway", "--config", folder, "--data-dir", tmp_path / "data",
                 "--listen", f"127.0.0.1:{port}"]
    gateway = Process(tmp_path, arguments, GANTRY_TOKENS=f"{TOKEN}=admin",
                      GANTRY_ADMIN_LISTEN=f"127.0.0.1:{free_port()}",
                      OTEL_EXPORTER_OTLP_ENDPOINT=collector[0])
    gateway.wait_for("is up at")
    yield port
    gateway.kill()


def ask(port, **headers):
    """One chat completion; returns the request's id."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    body = {"model": "mock/plain", "messages": [{"role": "user", "content": "hi"}]}
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json", **headers}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    answer.read()
    connection.close()
    return answer.getheader("x-request-id")


def spans(output):
    """The spans in the collector's output: `Name : value` and `-> name: Type(value)`."""
    found = []
    for text in re.split(r"^Span #\d+$", output, flags=re.MULTILINE)[1:]:
        fields = re.findall(r"^ +([A-Z][A-Za-z ]*?) *: (.*)$", text, flags=re.MULTILINE)
        attributes = re.findall(r"^ +-> ([^:]+): \w+\((.*)\)$", text, flags=re.MULTILINE)
        found.append(dict(fields) | dict(attributes))
    return found


def test_a_collector_gets_genai_spans_in_the_callers_trace(collector, port):
    _, output = collector
    ask(port, traceparent=f"00-{TRACE}-{PARENT}-01")
    until("the spans", lambda: len(spans(output())) == 2)
    root, call = spans(output())
    assert (root["Trace ID"], root["Parent ID"]) == (TRACE, PARENT)
    assert (call["Trace ID"], call["Parent ID"]) == (TRACE, root["ID"])
    assert (root["Kind"], call["Kind"]) == ("SPAN_KIND_SERVER", "SPAN_KIND_CLIENT")
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "mock/plain",
        "gen_ai.response.model": "plain",
        "gen_ai.usage.input_tokens": "11",
        "gen_ai.usage.output_tokens": "4",
        "http.response.status_code": "200",
    }
    assert expected.items() <= root.items(), root
    assert call["gen_ai.request.model"] == "plain", call
    assert "sk-very-secret" not in output()


def test_a_request_without_a_trace_is_one_by_its_id(collector, port):
    _, output = collector
    request = ask(port)
    until("the spans", lambda: len(spans(output())) == 2)
    root, call = spans(output())
    assert root["Trace ID"] == call["Trace ID"] == request
    assert root["Parent ID"] == ""
