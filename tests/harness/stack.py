"""The parts of a running Gantry: built programs, the model server, the mock upstream, `gantry up`.

Used by dev.py and client_tests.py. Everything listens on 127.0.0.1 only.
"""

from __future__ import annotations

import json
import pathlib
import re
import subprocess

import installs
from installs import ROOT
from ports import free_port
from processes import Failure, answers, run

MODEL_NAME = "smollm2-135m"
LLAMA_CPP_PORT = 8080
TOKEN = re.compile(r"\btfy_[A-Za-z0-9._-]+")
UP_AT = re.compile(r"Gantry is up at (http://\S+)")


def target_directory():
    """Where cargo puts what it builds."""
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1", "--offline"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise Failure(f"cargo metadata failed:\n{answer.stderr}")
    return pathlib.Path(json.loads(answer.stdout)["target_directory"])


def build(packages, profile):
    """Builds the programs of some packages; returns the folder that they lie in.

    In the dev profile all targets are built, as `cargo xtask check` has done before: another
    selection means other features of shared crates, and hundreds of them would be built again.
    """
    selection = ["--bins", *(part for name in packages for part in ("--package", name))]
    if profile == "dev":
        selection = ["--workspace", "--all-targets"]
    run("building " + ", ".join(packages),
        ["cargo", "build", "--locked", "--profile", profile, *selection],
        "Is the Rust toolchain new enough (rust-version in Cargo.toml)? A C compiler? make?",
        cwd=ROOT)
    return target_directory() / ("debug" if profile == "dev" else profile)


def start_model(children, folder, preferred_port=0):
    """Starts the model server; returns its address."""
    python, model = installs.model()
    port = free_port(preferred_port)
    server = children.start(
        "model server",
        [python, ROOT / "tests" / "model" / "serve.py", model, port, MODEL_NAME],
        log=folder / "model.log",
    )
    address = f"http://127.0.0.1:{port}"
    server.wait_for("ready", lambda: answers(f"{address}/health"))
    return address


def start_mock(children, programs, folder, env):
    """Starts the mock upstream; returns its address."""
    mock = children.start("mock upstream", [programs / "mock-upstream"],
                          log=folder / "mock.log", env=env)
    found = mock.wait_for("ready", lambda: re.search(r"http://\S+", mock.output()))
    return found.group()


def start_gantry(children, programs, folder, env):
    """Starts `gantry up` with an empty data directory; returns its address and the token."""
    gantry = children.start(
        "gantry up",
        [programs / "gantry", "up", "--data-dir", folder / "data", "--listen", "127.0.0.1:0"],
        log=folder / "gantry.log",
        env=env,
    )
    found = gantry.wait_for("up", lambda: UP_AT.search(gantry.output()))
    gantry.wait_for("ready", lambda: answers(f"{found.group(1)}/readyz"))
    token = gantry.wait_for("a token printed", lambda: TOKEN.search(gantry.output()))
    return found.group(1), token.group()
