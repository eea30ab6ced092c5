"""OpenAI's official client in Responses, answered by chat and Messages models."""

import openai
import pytest

from conftest import WEATHER

TOOL = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": True}
MODELS = ["mock/plain", "mock-claude/plain"]


@pytest.mark.parametrize("model", MODELS)
def test_answers_in_words(oai, model):
    reply = oai.responses.create(model=model, instructions="Be brief.", input="Say hello.",
                                 max_output_tokens=20, metadata={"team": "ml"})
    assert (reply.status, reply.model) == ("completed", model)
    assert reply.output_text == "Hello from the mock."
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens > 0
    assert (reply.instructions, reply.metadata) == ("Be brief.", {"team": "ml"})
    assert reply.error is None and reply.store is False


def test_a_real_model_answers(oai, model):
    reply = oai.responses.create(model=model, input="Say hello.", max_output_tokens=8)
    assert reply.output_text and reply.usage.output_tokens <= 8
    assert reply.status == "completed" or reply.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("model", MODELS)
def test_the_streaming_helper_puts_the_answer_together(oai, model):
    with oai.responses.stream(model=model, input="Say hello.") as stream:
        events = list(stream)
        final = stream.get_final_response()
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == final.output_text == "Hello from the mock."
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert final.usage.output_tokens > 0


@pytest.mark.parametrize("account", ["mock", "mock-claude"])
def test_a_loop_of_parallel_calls_comes_to_its_end(oai, account):
    ask = {"tools": [TOOL], "store": False, "include": ["reasoning.encrypted_content"]}
    conversation = [{"role": "user", "content": "The weather in Paris and Rome?"}]
    with oai.responses.stream(model=f"{account}/answer-parallel-tools", input=conversation,
                              **ask) as stream:
        streamed = list(stream)
        first = stream.get_final_response()
    whole = oai.responses.create(model=f"{account}/answer-parallel-tools", input=conversation,
                                 **ask)
    calls = [item for item in first.output if item.type == "function_call"]
    assert [call.parsed_arguments for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
    assert [item.type for item in whole.output] == [item.type for item in first.output]
    done = [e.arguments for e in streamed if e.type == "response.function_call_arguments.done"]
    assert done == [call.arguments for call in calls]
    conversation += [item.model_dump(exclude={"parsed_arguments"}) for item in first.output]
    conversation += [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
                     for call in calls]
    last = oai.responses.create(model=f"{account}/plain", input=conversation, **ask)
    assert last.output_text == "Hello from the mock."


def test_signed_reasoning_is_shown_and_goes_back(oai):
    ask = {"store": False, "reasoning": {"effort": "high", "summary": "auto"}}
    first = oai.responses.create(model="mock-claude/answer-thinking", input="Think.", **ask)
    thought = next(item for item in first.output if item.type == "reasoning")
    assert thought.summary[0].text and thought.encrypted_content
    second = [{"role": "user", "content": "Think."}, *[o.model_dump() for o in first.output],
              {"role": "user", "content": "Go on."}]
    assert oai.responses.create(model="mock-claude/plain", input=second, **ask).output_text


def test_what_would_change_the_conversation_is_refused(oai):
    for given in ({"previous_response_id": "resp_1"}, {"background": True},
                  {"tools": [{"type": "web_search"}]}):
        with pytest.raises(openai.BadRequestError) as refused:
            oai.responses.create(model="mock/plain", input="Hi", **given)
        assert next(iter(given)) in str(refused.value)


def test_errors_are_raised_whole_and_in_the_stream(oai):
    with pytest.raises(openai.NotFoundError):
        oai.responses.create(model="mock/no-such-model", input="Hi")
    with pytest.raises(openai.APIError) as broken:
        list(oai.responses.create(model="mock/fault-error-later", input="Hi", stream=True))
    assert broken.value.message
