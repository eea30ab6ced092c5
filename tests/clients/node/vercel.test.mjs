// The Vercel AI SDK with its OpenAI, OpenAI-compatible and Anthropic providers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embedMany, generateText, streamText, tool } from "ai";
import { z } from "zod";
import { HELLO, collect, model, token, url } from "./setup.mjs";

// It does not know the models of this house, which is all that it warns of.
globalThis.AI_SDK_LOG_WARNINGS = false;

const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: token });
const compatible = createOpenAICompatible({ name: "gantry", baseURL: `${url}/v1`, apiKey: token });
const anthropic = createAnthropic({ baseURL: `${url}/v1`, apiKey: token });

const providers = {
  openai: (name) => openai.chat(name),
  compatible: (name) => compatible(name),
  anthropic: (name) => anthropic(name),
};
const tools = {
  get_weather: tool({ inputSchema: z.object({ city: z.string() }) }),
};
const once = { prompt: "Say hello.", maxRetries: 0 };

for (const [provider, named] of Object.entries(providers)) {
  test(`${provider}: the real model answers and streams`, async () => {
    const asked = { ...once, model: named(model), maxOutputTokens: 8 };
    const reply = await generateText(asked);
    assert.ok(reply.text);
    assert.ok(reply.usage.outputTokens > 0);
    assert.ok((await collect(streamText(asked).textStream)).length > 1);
  });

  for (const account of ["mock", "mock-claude"]) {
    test(`${provider}: streams and uses tools of ${account}`, async () => {
      const plain = streamText({ ...once, model: named(`${account}/plain`) });
      assert.equal((await collect(plain.textStream)).join(""), HELLO);
      assert.equal(await plain.finishReason, "stop");
      const asked = { ...once, model: named(`${account}/answer-tools`), tools };
      for (const reply of [await generateText(asked), streamText(asked)]) {
        const calls = await reply.toolCalls;
        assert.deepEqual(calls.map((call) => call.input), [{ city: "Paris" }]);
        assert.equal(await reply.finishReason, "tool-calls");
      }
    });
  }

  test(`${provider}: errors carry their status`, async () => {
    const asked = generateText({ ...once, model: named("no-such/model") });
    const is404 = (error) => APICallError.isInstance(error) && error.statusCode === 404;
    await assert.rejects(asked, is404);
  });
}

test("embeds", async () => {
  const asked = { model: compatible.embeddingModel("mock/embed"), values: ["a", "b"] };
  const { embeddings } = await embedMany({ ...asked, maxRetries: 0 });
  assert.equal(embeddings.length, 2);
});
