"""Records in object stores: a real S3 server that checks signatures, and Azure's own emulator."""

import functools
import http.client
import json
import os
import re
import shlex
import signal
import subprocess

import pyarrow.fs
import pyarrow.parquet
import pytest
from ports import free_port
from test_roles import ACCOUNT, BODY, PATIENCE_S, TOKEN, Process, ask, cli, until

S3_KEYS = {"accessKey": "AKIDGANTRY", "secretKey": "a-very-secret-s3-key"}
READER_KEYS = {"accessKey": "AKIDREADER", "secretKey": "a-secret-of-a-reader"}
# Azurite's built-in account, of its documentation; it takes no other without one.
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = ("Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/"
             "K1SZFPTOtr/KBHBeksoGMGw==")
# Well-formed, and nobody's.
OTHER_AZURE_KEY = "c29tZWJvZHkgZWxzZSdzIHNlY3JldCBrZXk="

# A journal's segment waits half a minute for its end, a failed round at most 20 s for the next.
pytestmark = pytest.mark.timeout(300)


class Server:
    """A store that can be stopped and started again on what it has kept."""

    def __init__(self, command, folder):
        self.command, self.log = [str(part) for part in command], folder / "server.log"
        self.env = {"HOME": str(folder), "TMPDIR": str(folder), "PATH": os.environ["PATH"]}
        self.child = None

    def start(self):
        """Starts it."""
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(self.command, env=self.env, stdout=log,
                                          stderr=subprocess.STDOUT)

    def stop(self):
        """Ends it and waits until its ports are free."""
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait(PATIENCE_S)


class S3(Server):
    """SeaweedFS with a bucket, with an identity for all and one that may only read."""

    url = "s3://records/gantry"
    wrong = {"AWS_SECRET_ACCESS_KEY": "not-the-secret-at-all"}
    refusal = "SignatureDoesNotMatch.*check AWS_ACCESS_KEY_ID"

    def __init__(self, folder):
        config = folder / "s3.json"
        config.write_text(json.dumps({"identities": [
            {"name": "gantry", "credentials": [S3_KEYS],
             "actions": ["Admin", "Read", "List", "Write"]},
            {"name": "reader", "credentials": [READER_KEYS], "actions": ["Read", "List"]},
        ]}), encoding="utf-8")
        (folder / "data").mkdir()
        self.port = free_port()
        ports = [f"-{part}.port{kind}={free_port()}" for part in ("master", "volume", "filer")
                 for kind in ("", ".grpc")]
        super().__init__([
            os.environ["S3_SERVER"], "server", f"-dir={folder / 'data'}", "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1", *ports, "-volume.preStopSeconds=0", "-volume.max=100",
            "-master.volumeSizeLimitMB=64", "-master.telemetry=false", "-filer", "-s3",
            f"-s3.port={self.port}", f"-s3.port.grpc={free_port()}", "-s3.port.iceberg=0",
            "-s3.port.lance=0", f"-s3.config={config}"], folder)
        self.settings = {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self.port}",
                         "AWS_ACCESS_KEY_ID": S3_KEYS["accessKey"],
                         "AWS_SECRET_ACCESS_KEY": S3_KEYS["secretKey"]}
        self.secret = S3_KEYS["secretKey"]

    def files(self):
        """The store as another program sees it."""
        return pyarrow.fs.S3FileSystem(
            access_key=S3_KEYS["accessKey"], secret_key=S3_KEYS["secretKey"], scheme="http",
            endpoint_override=f"127.0.0.1:{self.port}", region="us-east-1",
            allow_bucket_creation=True, request_timeout=5, connect_timeout=5)


class Azure(Server):
    """Azurite with a container."""

    url = "azure://records/gantry"
    wrong = {"AZURE_STORAGE_KEY": OTHER_AZURE_KEY}
    refusal = "403 Auth.*check AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY"

    def __init__(self, folder):
        self.port = free_port()
        super().__init__([
            *shlex.split(os.environ["AZURE_SERVER"]), "--silent", "--disableTelemetry",
            "--skipApiVersionCheck", "--blobHost", "127.0.0.1", "--blobPort", self.port,
            "--location", folder], folder)
        endpoint = f"http://127.0.0.1:{self.port}/{AZURE_ACCOUNT}"
        self.settings = {"AZURE_STORAGE_BLOB_ENDPOINT": endpoint,
                         "AZURE_STORAGE_ACCOUNT": AZURE_ACCOUNT, "AZURE_STORAGE_KEY": AZURE_KEY}
        self.secret = AZURE_KEY

    def files(self):
        """The store as another program sees it."""
        host = f"127.0.0.1:{self.port}"
        return pyarrow.fs.AzureFileSystem(
            AZURE_ACCOUNT, account_key=AZURE_KEY, blob_storage_authority=host,
            blob_storage_scheme="http", dfs_storage_authority=host, dfs_storage_scheme="http")


@pytest.fixture(name="stores", scope="module")
def stores_fixture(tmp_path_factory):
    """Both stores, running, with an empty bucket and an empty container."""
    servers = [kind(tmp_path_factory.mktemp(kind.__name__)) for kind in (S3, Azure)]
    for server in servers:
        server.start()
    try:
        for server in servers:
            until("the store", functools.partial(made, server, "records"))
        yield servers
    finally:
        for server in servers:
            server.child.kill()
            server.child.wait(PATIENCE_S)


@pytest.fixture(name="store", params=[S3, Azure])
def store_fixture(request, stores):
    """One of them."""
    return next(server for server in stores if isinstance(server, request.param))


def made(server, bucket):
    """Makes a bucket and writes to it, which a store can do some time after its start."""
    try:
        files = server.files()
        files.create_dir(bucket)
        with files.open_output_stream(f"{bucket}/probe") as probe:
            probe.write(b"x")
        return True
    except OSError:
        return False


@pytest.fixture(name="start")
def start_fixture(tmp_path):
    """Starts `gantry up` with its records in a store, and ends what it has started."""
    started = []

    def start(store, **changes):
        started.append(Side(store, tmp_path / type(store).__name__, changes))
        return started[-1]

    yield start
    for side in started:
        if side.up.child.poll() is None:
            side.up.kill()


class Side:
    """A `gantry up`, the store of its records, and the ids of the requests that it was asked."""

    def __init__(self, store, folder, changes):
        folder.mkdir(exist_ok=True)
        self.store, self.folder, self.port, self.ids = store, folder, free_port(), set()
        arguments = ["up", "--data-dir", folder / "data", "--listen", f"127.0.0.1:{self.port}"]
        env = {**store.settings, "GANTRY_RECORDS__OBJECTS_URL": store.url, **changes}
        self.up = Process(folder, arguments, **env)
        self.host = {}

    def serve(self):
        """Makes it serve a model."""
        token = self.up.wait_for(TOKEN.pattern).group()
        self.host = {"GANTRY_HOST": f"http://127.0.0.1:{self.port}", "GANTRY_TOKEN": token}
        account = ACCOUNT.format(mock=os.environ["MOCK_URL"])
        code, output = cli(self.folder, "apply", "-f", "-", stdin=account, **self.host)
        assert code == 0, output
        until("the model", lambda: ask(self.port, token) == 200)

    def ask(self, count):
        """Asks so often, and keeps the ids."""
        self.ids |= {asked(self.port, self.host["GANTRY_TOKEN"]) for _ in range(count)}

    def cli(self, *arguments):
        """Runs a command."""
        return cli(self.folder, *arguments, **self.host)

    def logged(self):
        """The ids that `gantry logs` shows."""
        code, output = self.cli("logs", "--json", "--limit", "1000")
        assert code == 0, output
        return [json.loads(line)["id"] for line in output.splitlines()]

    def all_stored(self):
        """Whether all requests are in the store's files."""
        return self.ids <= set(stored(self.store))

    def complete(self):
        """All requests are there, in the files and in the answers, and each of them once."""
        for found in (stored(self.store), self.logged()):
            assert self.ids <= set(found) and len(found) == len(set(found)), found


def asked(port, token):
    """One request; returns its id."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(BODY), headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 200
    return answer.getheader("x-request-id")


def stored(store):
    """The ids in the Parquet files of a store, as another program reads them."""
    files = store.files()
    base = store.url.split("://")[1]
    folder = pyarrow.fs.FileSelector(base, recursive=True, allow_not_found=True)
    found = [file.path for file in files.get_file_info(folder) if file.path.endswith(".parquet")]
    for path in found:
        assert re.search(r"/requests/day=\d{4}-\d\d-\d\d/hour=\d\d/[^/]+\.parquet$", path), path
    tables = [pyarrow.parquet.read_table(path, filesystem=files, columns=["id"]) for path in found]
    return [value for table in tables for value in table.column("id").to_pylist()]


def test_wrong_settings_refuse_to_start_and_say_what_to_look_at(store, start):
    for changes, expected in [
        (store.wrong, store.refusal),
        ({"GANTRY_RECORDS__OBJECTS_URL": store.url.replace("records", "nowhere")},
         "404 (NoSuchBucket|ContainerNotFound).*correct `objects_url`"),
        ({name: "" for name in store.settings if "KEY" in name},
         "set AWS_ACCESS_KEY_ID and|set AZURE_STORAGE_KEY"),
        ({"GANTRY_RECORDS__OBJECTS_URL": "gs://records/gantry"}, "gs is no scheme of a lake"),
    ]:
        up = start(store, **changes).up
        assert up.child.wait(PATIENCE_S) == 1, up.output()
        assert re.search(expected, up.output()), up.output()
        for secret in (store.secret, *store.wrong.values()):
            assert secret not in up.output()


def test_an_identity_that_may_only_read_is_told_so_at_the_start(stores, start):
    keys = {"AWS_ACCESS_KEY_ID": READER_KEYS["accessKey"],
            "AWS_SECRET_ACCESS_KEY": READER_KEYS["secretKey"]}
    up = start(stores[0], **keys).up
    assert up.child.wait(PATIENCE_S) == 1, up.output()
    assert re.search("write to the bucket records: .*AccessDenied.*s3:PutObject", up.output())


# The last one: when it fails, it may leave the stores stopped.
def test_records_lie_in_the_store_come_back_and_survive_its_outage(stores, start):
    sides = [start(store) for store in stores]
    for side in sides:
        side.serve()
        side.ask(20)
    for side in sides:
        until("the files", side.all_stored)
        side.complete()
        answers_questions(side)
        assert not list((side.folder / "data" / "journal").glob("*.seg")), "stored and gone"

    for side in sides:
        side.store.stop()
        side.ask(20)
    for side in sides:
        side.up.wait_for("the lake cannot take records")
        code, output = side.cli("logs")
        assert code != 0 and "the records cannot be read: failed to reach the" in output, output
        side.ask(10)
    for side in sides:
        side.store.start()
    for side in sides:
        side.up.wait_for("the lake takes records again")
        # SeaweedFS takes objects again before it gives all of the older ones.
        until("all files", side.all_stored, forgive=OSError)
        side.complete()
        output = side.up.output()
        assert output.count("the lake cannot take records") == 1, "said once"
        assert side.store.secret not in output


def answers_questions(side):
    """One request by its id, by a short time span, and sums."""
    code, output = side.cli("logs", next(iter(side.ids)), "--why")
    assert code == 0 and "mock/plain" in output, output
    code, output = side.cli("logs", "--json", "--since", "1h", "--limit", "1000")
    assert code == 0 and side.ids <= {json.loads(line)["id"] for line in output.splitlines()}
    code, output = side.cli("usage", "--json", "--by", "model")
    row = next(row for row in json.loads(output) if "plain" in row["keys"][0])
    assert code == 0 and row["requests"] >= len(side.ids), output
