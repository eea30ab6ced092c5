// Anthropic's official Node client.

import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { HELLO, model, question, token, url, weather } from "./setup.mjs";

const client = new Anthropic({ baseURL: url, apiKey: token, maxRetries: 0 });
const tools = [{ name: "get_weather", input_schema: weather }];

test("the real model answers messages", async () => {
  const message = await client.messages.create({ model, max_tokens: 8, messages: question });
  assert.equal(message.role, "assistant");
  assert.ok(message.content[0].text);
  assert.ok(message.usage.output_tokens > 0);
});

test("the real model streams messages", async () => {
  const stream = client.messages.stream({ model, max_tokens: 8, messages: question });
  assert.ok(await stream.finalText());
});

for (const account of ["mock-claude", "mock"]) {
  test(`streams from ${account}`, async () => {
    const asked = { model: `${account}/plain`, max_tokens: 64, messages: question };
    const message = await client.messages.stream(asked).finalMessage();
    assert.equal(message.content[0].text, HELLO);
    assert.equal(message.stop_reason, "end_turn");
    assert.equal(message.usage.output_tokens, 4);
  });

  test(`uses tools of ${account}`, async () => {
    const name = `${account}/answer-tools`;
    const asked = { model: name, max_tokens: 64, messages: question, tools };
    const message = await client.messages.stream(asked).finalMessage();
    const used = message.content.filter((block) => block.type === "tool_use");
    assert.deepEqual(used.map((block) => block.input), [{ city: "Paris" }]);
    assert.equal(message.stop_reason, "tool_use");
  });
}

test("counts tokens", async () => {
  const asked = { model: "mock-claude/plain", messages: question };
  assert.equal((await client.messages.countTokens(asked)).input_tokens, 11);
});

test("errors arrive as the client knows them", async () => {
  const ask = (who, name) =>
    who.messages.create({ model: name, max_tokens: 8, messages: question });
  const limited = ask(client, "mock-claude/fault-429-retry-after-ms-1");
  await assert.rejects(limited, Anthropic.RateLimitError);
  await assert.rejects(ask(client, "no-such/model"), Anthropic.NotFoundError);
  const stranger = client.withOptions({ apiKey: "tfy_wrong" });
  await assert.rejects(ask(stranger, "mock/plain"), Anthropic.AuthenticationError);
});
