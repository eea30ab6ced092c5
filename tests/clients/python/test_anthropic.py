"""Anthropic's official Python client: its own dialect upstream, and translated to OpenAI's."""

import anthropic
import pytest

from conftest import WEATHER

HELLO = [{"role": "user", "content": "Say hello."}]
TOOL = {"name": "get_weather", "description": "Tells the weather.", "input_schema": WEATHER}


def texts(message):
    """The text of a message."""
    return "".join(block.text for block in message.content if block.type == "text")


def test_the_real_model_answers_messages(claude, model):
    message = claude.messages.create(
        model=model, max_tokens=8, system="Be brief.", messages=HELLO)
    assert (message.type, message.role) == ("message", "assistant")
    assert texts(message)
    assert message.stop_reason in ("end_turn", "max_tokens")
    assert message.usage.input_tokens > 0 and 0 < message.usage.output_tokens <= 8


def test_the_real_model_streams_messages(claude, model):
    with claude.messages.stream(model=model, max_tokens=8, messages=HELLO) as stream:
        kinds = [event.type for event in stream]
        message = stream.get_final_message()
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 1
    assert texts(message) and message.stop_reason in ("end_turn", "max_tokens")
    assert message.usage.output_tokens > 0


@pytest.mark.parametrize("prefix", ["", "/api/llm"])
@pytest.mark.parametrize("account", ["mock-claude", "mock"])
def test_answers_and_streams_from_either_dialect(claude, url, prefix, account):
    client = claude.with_options(base_url=f"{url}{prefix}")
    asked = {"model": f"{account}/plain", "max_tokens": 64, "messages": HELLO}
    message = client.messages.create(**asked)
    assert (texts(message), message.stop_reason) == ("Hello from the mock.", "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (11, 4)
    with client.messages.stream(**asked) as stream:
        assert "".join(stream.text_stream) == "Hello from the mock."
        assert stream.get_final_message().usage.output_tokens == 4


def test_counts_tokens(claude, model):
    asked = {"messages": HELLO, "tools": [TOOL], "system": "Be brief."}
    assert claude.messages.count_tokens(model="mock-claude/plain", **asked).input_tokens == 11
    assert claude.messages.count_tokens(model=model, **asked).input_tokens > 5


@pytest.mark.parametrize("account", ["mock-claude", "mock"])
@pytest.mark.parametrize("name, cities", [("answer-tools", ["Paris"]),
                                          ("answer-parallel-tools", ["Paris", "Rome"])])
def test_uses_tools(claude, account, name, cities):
    asked = {"model": f"{account}/{name}", "max_tokens": 64, "messages": HELLO, "tools": [TOOL]}
    with claude.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    for message in (claude.messages.create(**asked), streamed):
        used = [block for block in message.content if block.type == "tool_use"]
        assert message.stop_reason == "tool_use"
        assert [block.input for block in used] == [{"city": city} for city in cities]
        assert {block.name for block in used} == {"get_weather"}


@pytest.mark.parametrize("account", ["mock-claude", "mock"])
def test_takes_tool_results(claude, account):
    used = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Rain."}
    message = claude.messages.create(
        model=f"{account}/plain", max_tokens=64, tools=[TOOL],
        messages=[*HELLO, {"role": "assistant", "content": [used]},
                  {"role": "user", "content": [result]}])
    assert texts(message) == "Hello from the mock."


def test_thinking_comes_with_its_signature(claude):
    asked = {"model": "mock-claude/answer-thinking", "max_tokens": 2048, "messages": HELLO,
             "thinking": {"type": "enabled", "budget_tokens": 1024}}
    with claude.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    for message in (claude.messages.create(**asked), streamed):
        thinking, text = message.content
        assert (thinking.type, thinking.thinking) == ("thinking", "Let me think.")
        assert thinking.signature and text.type == "text"


@pytest.mark.parametrize("model, error, status", [
    ("mock-claude/fault-429-retry-after-ms-1", anthropic.RateLimitError, 429),
    ("mock-claude/fault-529", anthropic.APIStatusError, 529),
    ("mock/fault-429-retry-after-ms-1", anthropic.RateLimitError, 429),
    ("mock/fault-400", anthropic.BadRequestError, 400),
    ("no-such/model", anthropic.NotFoundError, 404),
])
def test_errors_arrive_as_the_client_knows_them(claude, model, error, status):
    with pytest.raises(error) as caught:
        claude.messages.create(model=model, max_tokens=8, messages=HELLO)
    assert caught.value.status_code == status
    body = caught.value.body
    assert body["type"] == "error" and body["error"]["type"] and body["error"]["message"]


def test_a_wrong_token_is_an_authentication_error(url):
    with anthropic.Anthropic(base_url=url, api_key="tfy_wrong", max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError):
            client.messages.create(model="mock/plain", max_tokens=8, messages=HELLO)


def test_a_bearer_token_does_as_well(url, token):
    with anthropic.Anthropic(base_url=url, auth_token=token, max_retries=0) as client:
        message = client.messages.create(model="mock/plain", max_tokens=8, messages=HELLO)
    assert texts(message) == "Hello from the mock."


def test_a_failure_after_the_first_byte_is_an_error_event(claude):
    with pytest.raises(anthropic.APIError):
        with claude.messages.stream(
                model="mock/fault-error-later", max_tokens=8, messages=HELLO) as stream:
            stream.get_final_message()
