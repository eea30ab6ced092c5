"""The client tests: real clients in Python and Node against `gantry up`.

Called by `./dev test` and `./dev clients`. Behind Gantry stand a real small model and a mock
upstream whose behaviour is chosen by the model's name. Everything is ended by its pid.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import pathlib
import shlex
import tempfile

import installs
import stack
from installs import CLIENTS, ROOT
from processes import Children, Failure, answers, clean_environment, run


def prepare():
    """Builds and installs what the tests need; returns the folder of the programs."""
    with installing() as done:
        programs = build()
        done()
    return programs


def build():
    """Builds the programs; returns their folder."""
    return stack.build(["gantry", "gantry-testkit"], "dev")


@contextlib.contextmanager
def installing():
    """Installs in the background, beside the compiler: it waits for a network, not for a core.

    Gives a function that waits for the end and fails as the installs have failed.
    """
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as beside:
        installs_end = beside.submit(install)
        yield installs_end.result


def install():
    """Installs what the tests need beside our own programs."""
    installs.model()
    installs.python_environment("clients", CLIENTS / "python" / "requirements.txt")
    installs.python_environment("truefoundry", CLIENTS / "python" / "truefoundry.txt")
    installs.node_clients()
    installs.s3_server()
    installs.azure_server()
    installs.postgres()


def run_all(programs, only=()):
    """Starts the whole stack, runs the tests of both languages, and ends the stack."""
    with tempfile.TemporaryDirectory(prefix="gantry-clients-") as scratch, Children() as children:
        folder = pathlib.Path(scratch)
        env = start(children, programs, folder)
        failed = []
        for name, test in (("python", run_python), ("node", run_node)):
            if only and name not in only:
                continue
            try:
                test(env)
            except Failure as failure:
                failed.append(str(failure))
        if failed:
            gantry = next(child for child in children.started if child.name == "gantry up")
            raise Failure("\n".join([*failed, gantry.tail(60)]))


def start(children, programs, folder):
    """Starts model, mock and Gantry, applies the manifests; returns the tests' environment."""
    env = clean_environment(folder)
    model = stack.start_model(children, folder)
    mock = stack.start_mock(children, programs, folder, env)
    env["GANTRY_LOCAL_SERVERS"] = model
    url, token = stack.start_gantry(children, programs, folder, env)
    # Names of a shell would lead clients elsewhere: each test gets what it needs and no more.
    more = {
        "GANTRY_URL": url,
        "GANTRY_TOKEN": token,
        "GANTRY_MODEL": f"llama-cpp/{stack.MODEL_NAME}",
        "MOCK_URL": mock,
        "GANTRY_BIN": str(programs / "gantry"),
        "TFY_BIN": str(tfy()),
        "S3_SERVER": str(installs.s3_server()),
        "AZURE_SERVER": shlex.join(str(part) for part in installs.azure_server()),
        "POSTGRES_PROGRAMS": str(installs.postgres()),
        "LANGSMITH_TRACING": "false",
    }
    env = clean_environment(folder, **more)
    apply(programs, folder, env)
    if not answers(f"{url}/healthz"):
        raise Failure("gantry does not answer on /healthz any more")
    return env


def apply(programs, folder, env):
    """Applies the manifests of the tests, with the address of the mock filled in."""
    manifests = folder / "manifests"
    manifests.mkdir()
    for source in sorted((CLIENTS / "manifests").glob("*.yaml")):
        text = source.read_text(encoding="utf-8").replace("${MOCK_URL}", env["MOCK_URL"])
        (manifests / source.name).write_text(text, encoding="utf-8")
    run("applying the manifests of the tests",
        [programs / "gantry", "apply", "-f", manifests],
        "The message above names the file and the line below tests/clients/manifests.",
        env={**env, "GANTRY_HOST": env["GANTRY_URL"]})


def tfy():
    """The official command line of TrueFoundry."""
    pins = CLIENTS / "python" / "truefoundry.txt"
    return installs.python_environment("truefoundry", pins) / "bin" / "tfy"


def run_python(env):
    """Runs pytest, two tests at a time: they share one Gantry and each makes names of its own."""
    pins = CLIENTS / "python" / "requirements.txt"
    python = installs.python_environment("clients", pins) / "bin" / "python"
    run("the Python client tests",
        [python, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "."],
        "The failures are above; run them alone with `./dev clients python`.",
        env={**env, "PYTHONDONTWRITEBYTECODE": "1"}, cwd=CLIENTS / "python")


def run_node(env):
    """Runs Node's test runner."""
    node = installs.node_clients()
    run("the Node client tests",
        [*node, "--test", "--test-reporter=spec", *sorted((CLIENTS / "node").glob("*.test.mjs"))],
        "The failures are above; run them alone with `./dev clients node`.",
        env=env, cwd=ROOT)
