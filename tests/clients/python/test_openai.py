"""OpenAI's official Python client, against the real model and the mock upstream."""

import asyncio
import json

import openai
import pytest

from conftest import WEATHER

HELLO = [{"role": "user", "content": "Say hello."}]
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}


def test_lists_the_models_that_it_found_and_that_were_applied(oai, model):
    names = [entry.id for entry in oai.models.list()]
    assert {model, "mock/plain", "mock-claude/plain", "routed/steady"} <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("prefix", ["/v1", "/api/llm", "/api/llm/v1", "/openai/v1"])
def test_answers_a_chat_under_every_prefix(oai, url, model, prefix):
    client = oai.with_options(base_url=f"{url}{prefix}")
    reply = client.chat.completions.create(model=model, messages=HELLO, max_tokens=8)
    assert reply.object == "chat.completion"
    choice = reply.choices[0]
    assert choice.message.role == "assistant" and choice.message.content
    assert choice.finish_reason in ("stop", "length")
    usage = reply.usage
    assert usage.prompt_tokens > 0 and 0 < usage.completion_tokens <= 8
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_streams_a_chat_with_usage_at_its_end(oai, model):
    chunks = list(oai.chat.completions.create(
        model=model, messages=HELLO, max_tokens=8, stream=True,
        stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    finishes = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert text and len(chunks) > 2
    assert finishes[-1] in ("stop", "length") and not any(finishes[:-1])
    assert [c.usage is not None for c in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].usage.completion_tokens > 0


def test_a_stream_that_did_not_ask_for_usage_gets_none(oai, model):
    stream = oai.chat.completions.create(model=model, messages=HELLO, max_tokens=4, stream=True)
    assert all(chunk.usage is None and chunk.choices for chunk in stream)


@pytest.mark.parametrize(("strict", "thinks", "provider"), [
    (None, True, None), ("true", False, None), ("false", True, "anthropic")])
def test_reasoning_and_provider_are_there_as_the_caller_asks(oai, strict, thinks, provider):
    ask = {"model": "mock-claude/answer-thinking", "messages": HELLO,
           "extra_headers": {"x-tfy-strict-openai": strict} if strict else {}}
    reply = oai.chat.completions.create(**ask)
    chunks = list(oai.chat.completions.create(**ask, stream=True))
    assert hasattr(reply.choices[0].message, "thinking_blocks") == thinks
    assert any(hasattr(c.choices[0].delta, "reasoning_content") for c in chunks) == thinks
    assert {getattr(answer, "provider", None) for answer in [reply, *chunks]} == {provider}
    assert reply.choices[0].message.content
    assert "".join(c.choices[0].delta.content or "" for c in chunks)


def test_the_async_client_streams_many_at_once(url, token):
    async def one(client):
        stream = await client.chat.completions.create(
            model="mock/plain", messages=HELLO, stream=True)
        return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

    async def many():
        options = {"base_url": f"{url}/v1", "api_key": token, "max_retries": 0}
        async with openai.AsyncOpenAI(**options) as client:
            return await asyncio.gather(*(one(client) for _ in range(20)))

    assert asyncio.run(many()) == ["Hello from the mock."] * 20


def test_completes_text(oai, model):
    reply = oai.completions.create(model=model, prompt="One, two,", max_tokens=4)
    assert reply.object == "text_completion" and reply.choices[0].text
    pieces = oai.completions.create(model=model, prompt="One, two,", max_tokens=4, stream=True)
    assert "".join(piece.choices[0].text for piece in pieces)


def test_structured_output_is_passed_on_to_the_model(oai, model):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    reply = oai.chat.completions.create(
        model=model, messages=HELLO, max_tokens=32, temperature=0, response_format=wanted)
    assert reply.choices[0].message.content.lstrip().startswith("{")


@pytest.mark.parametrize("account", ["mock", "mock-claude"])
@pytest.mark.parametrize("name, cities", [("answer-tools", ["Paris"]),
                                          ("answer-parallel-tools", ["Paris", "Rome"])])
def test_calls_tools(oai, account, name, cities):
    reply = oai.chat.completions.create(
        model=f"{account}/{name}", messages=HELLO, tools=[TOOL], max_tokens=64)
    choice = reply.choices[0]
    calls = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": c} for c in cities]
    assert {call.function.name for call in calls} == {"get_weather"}
    assert len({call.id for call in calls}) == len(cities)


@pytest.mark.parametrize("account", ["mock", "mock-claude"])
def test_streams_tool_calls(oai, account):
    calls, finish = {}, None
    stream = oai.chat.completions.create(
        model=f"{account}/answer-parallel-tools", messages=HELLO, tools=[TOOL], max_tokens=64,
        stream=True)
    for chunk in stream:
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            for call in choice.delta.tool_calls or []:
                known = calls.setdefault(call.index, {"name": "", "arguments": ""})
                known["name"] += call.function.name or ""
                known["arguments"] += call.function.arguments or ""
    assert finish == "tool_calls"
    assert [json.loads(calls[index]["arguments"])["city"] for index in sorted(calls)] == [
        "Paris", "Rome"]
    assert {call["name"] for call in calls.values()} == {"get_weather"}


def test_tool_results_reach_an_anthropic_upstream(oai):
    call = {"id": "call_1", "type": "function",
            "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}
    reply = oai.chat.completions.create(
        model="mock-claude/plain", max_tokens=64, tools=[TOOL],
        messages=[{"role": "system", "content": "Be brief."}, *HELLO,
                  {"role": "assistant", "tool_calls": [call]},
                  {"role": "tool", "tool_call_id": "call_1", "content": "Rain."}])
    assert reply.choices[0].message.content == "Hello from the mock."
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (11, 4)


@pytest.mark.parametrize("encoding", [openai.omit, "float", "base64"])
def test_embeds_texts(oai, encoding):
    reply = oai.embeddings.create(model="mock/embed", input=["a", "b"], encoding_format=encoding)
    assert [entry.index for entry in reply.data] == [0, 1]
    assert all(len(entry.embedding) > 0 for entry in reply.data)


@pytest.mark.parametrize("deployment", ["routed-steady", "mock/plain"])
def test_the_azure_client_names_the_model_in_the_path(url, token, deployment):
    with openai.AzureOpenAI(azure_endpoint=url, api_key=token, api_version="2024-10-21",
                            max_retries=0) as client:
        reply = client.chat.completions.create(model=deployment, messages=HELLO)
        assert reply.choices[0].message.content == "Hello from the mock."
        stream = client.chat.completions.create(model=deployment, messages=HELLO, stream=True)
        text = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
        assert text == "Hello from the mock."


def test_a_virtual_model_falls_back_before_the_first_byte(oai):
    for stream in (False, True):
        raw = oai.chat.completions.with_raw_response.create(
            model="routed/steady", messages=HELLO, stream=stream)
        assert raw.headers["x-tfy-resolved-model"] == "mock/plain"
        reply = raw.parse()
        text = ("".join(c.choices[0].delta.content or "" for c in reply if c.choices)
                if stream else reply.choices[0].message.content)
        assert text == "Hello from the mock."


@pytest.mark.parametrize("model, error, status", [
    ("mock/fault-400", openai.BadRequestError, 400),
    ("mock/fault-429-retry-after-ms-1", openai.RateLimitError, 429),
    ("mock/fault-503", openai.InternalServerError, 503),
    ("mock-claude/fault-429-retry-after-ms-1", openai.RateLimitError, 429),
    ("no-such/model", openai.NotFoundError, 404),
    ("mock/no-such-model", openai.NotFoundError, 404),
])
def test_errors_arrive_as_the_client_knows_them(oai, model, error, status):
    for stream in (False, True):
        with pytest.raises(error) as caught:
            oai.chat.completions.create(model=model, messages=HELLO, stream=stream)
        assert caught.value.status_code == status
        assert caught.value.body["message"] and caught.value.body["type"]


def test_a_wrong_token_is_an_authentication_error(url):
    for key in ("tfy_wrong", "sk-something"):
        with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError) as caught:
                client.chat.completions.create(model="mock/plain", messages=HELLO)
            assert key not in str(caught.value)


def test_a_body_that_makes_no_sense_is_a_bad_request(oai):
    with pytest.raises(openai.BadRequestError):
        oai.post("/chat/completions", body={"messages": HELLO}, cast_to=object)


@pytest.mark.parametrize("fault", ["fault-error-later", "fault-reset-mid-stream"])
def test_a_failure_after_the_first_byte_is_an_error_event(oai, fault):
    seen = []
    with pytest.raises(openai.APIError):
        stream = oai.chat.completions.create(
            model=f"mock/{fault}", messages=HELLO, stream=True)
        for chunk in stream:
            seen.append(chunk)
    assert seen


def test_unknown_fields_reach_a_caller_of_the_same_dialect(oai, model):
    reply = oai.chat.completions.create(model=model, messages=HELLO, max_tokens=2)
    # llama.cpp adds its own `timings`; no client type knows them.
    assert "timings" in reply.model_extra
