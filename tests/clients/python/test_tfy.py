"""TrueFoundry's official command line against Gantry's control plane."""

import os
import pathlib
import subprocess
import uuid

import pytest

MANIFEST = """\
name: {name}
type: provider-account/openai
base_url: {mock}/v1
auth_data:
  type: api-key
  api_key: sk-tfy
integrations:
  - name: plain
    type: integration/model/openai
    model_types: [chat]
"""


@pytest.fixture(name="name")
def name_fixture():
    """A name that no other test uses."""
    return f"tfy-{uuid.uuid4().hex[:8]}"


@pytest.fixture(name="tfy")
def tfy_fixture(tmp_path, url, token):
    """Runs the command line in a home of its own; returns exit status and output."""

    def run(*arguments, key=token):
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TFY_HOST": url,
               "TFY_API_KEY": key, "NO_PROXY": "127.0.0.1", "COLUMNS": "200"}
        command = [os.environ["TFY_BIN"], *map(str, arguments)]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True,
                              timeout=90, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def written(folder: pathlib.Path, name):
    """A file with the manifest."""
    path = folder / "account.yaml"
    path.write_text(MANIFEST.format(name=name, mock=os.environ["MOCK_URL"]), encoding="utf-8")
    return path


def names(oai):
    """The models that Gantry serves."""
    return {entry.id for entry in oai.models.list()}


def test_applies_shows_differences_and_deletes(tfy, tmp_path, oai, name):
    path = written(tmp_path, name)
    code, output = tfy("apply", "-f", path, "--dry-run", "--show-diff")
    assert code == 0, output
    assert f"{name}/plain" not in names(oai)

    code, output = tfy("apply", "-f", path)
    assert code == 0, output
    assert f"{name}/plain" in names(oai)
    assert "sk-tfy" not in output

    path.write_text(path.read_text(encoding="utf-8").replace("name: plain", "name: other"),
                    encoding="utf-8")
    code, output = tfy("apply", "-f", path, "--dry-run", "--show-diff")
    assert code == 0 and "other" in output, output
    assert f"{name}/plain" in names(oai)

    code, output = tfy("delete", "-f", path)
    assert code == 0, output
    assert not any(model.startswith(f"{name}/") for model in names(oai))


def test_a_mistake_is_refused_with_the_nearest_name(tfy, tmp_path, oai, name):
    path = written(tmp_path, name)
    path.write_text(path.read_text(encoding="utf-8").replace("base_url", "base_ulr"),
                    encoding="utf-8")
    code, output = tfy("apply", "-f", path)
    assert code != 0 and "base_url" in output, output
    assert not any(model.startswith(f"{name}/") for model in names(oai))


def test_a_wrong_token_changes_nothing(tfy, tmp_path, oai, name):
    code, output = tfy("apply", "-f", written(tmp_path, name), key="tfy_wrong")
    assert code != 0, output
    assert not any(model.startswith(f"{name}/") for model in names(oai))
