"""Clients for the tests, pointed at the Gantry that the harness has started.

Every assertion is on the protocol: what a small model says is nobody's promise.
"""

import os

import anthropic
import openai
import pytest

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def env(name):
    """A setting of the harness."""
    value = os.environ.get(name)
    if not value:
        pytest.exit(f"{name} is not set: run these tests with `./dev clients python`", 2)
    return value


@pytest.fixture(scope="session", name="url")
def url_fixture():
    """Gantry's address, without a path."""
    return env("GANTRY_URL")


@pytest.fixture(scope="session", name="token")
def token_fixture():
    """The administrator's token."""
    return env("GANTRY_TOKEN")


@pytest.fixture(scope="session", name="model")
def model_fixture():
    """The real small model, found by Gantry itself."""
    return env("GANTRY_MODEL")


@pytest.fixture(name="oai")
def oai_fixture(url, token):
    """OpenAI's client. It does not retry, so that each error is seen as Gantry says it."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture(name="claude")
def claude_fixture(url, token):
    """Anthropic's client, without retries."""
    with anthropic.Anthropic(base_url=url, api_key=token, max_retries=0, timeout=60) as client:
        yield client
