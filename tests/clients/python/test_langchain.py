"""LangChain's OpenAI integration, as many programs use it."""

import pytest
from langchain_openai import ChatOpenAI, OpenAIEmbeddings


@pytest.fixture(name="chat")
def chat_fixture(url, token):
    """Makes a chat model."""
    return lambda model, **more: ChatOpenAI(
        model=model, base_url=f"{url}/v1", api_key=token, max_retries=0, **more)


def test_invokes_the_real_model(chat, model):
    reply = chat(model, max_tokens=8).invoke("Say hello.")
    assert reply.content
    assert reply.usage_metadata["output_tokens"] > 0


def test_streams_the_real_model(chat, model):
    pieces = list(chat(model, max_tokens=8).stream("Say hello."))
    assert len(pieces) > 1 and "".join(piece.content for piece in pieces)


@pytest.mark.parametrize("account", ["mock", "mock-claude"])
def test_binds_tools(chat, account):
    def get_weather(city: str) -> str:
        """Tells the weather of a city."""
        return city

    reply = chat(f"{account}/answer-tools").bind_tools([get_weather]).invoke("Weather in Paris?")
    assert [(call["name"], call["args"]) for call in reply.tool_calls] == [
        ("get_weather", {"city": "Paris"})]


def test_embeds(url, token):
    embeddings = OpenAIEmbeddings(model="mock/embed", base_url=f"{url}/v1", api_key=token,
                                  check_embedding_ctx_length=False, max_retries=0)
    vectors = embeddings.embed_documents(["a", "b"])
    assert len(vectors) == 2 and len(vectors[0]) == len(vectors[1]) > 0
