// OpenAI's official Node client.

import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI, { AzureOpenAI } from "openai";
import { HELLO, collect, model, question, token, url, weather } from "./setup.mjs";

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: token, maxRetries: 0 });
const tools = [{ type: "function", function: { name: "get_weather", parameters: weather } }];

test("lists models", async () => {
  const names = (await collect(client.models.list())).map((entry) => entry.id);
  assert.ok(names.includes(model) && names.includes("mock/plain"), names.join(" "));
});

test("chats with the real model", async () => {
  const reply = await client.chat.completions.create({ model, messages: question, max_tokens: 8 });
  assert.ok(reply.choices[0].message.content);
  assert.ok(reply.usage.completion_tokens > 0);
});

test("streams from the real model", async () => {
  const options = { model, messages: question, max_tokens: 8, stream: true };
  const chunks = await collect(await client.chat.completions.create(options));
  assert.ok(chunks.length > 2);
  assert.ok(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""));
});

for (const account of ["mock", "mock-claude"]) {
  test(`streams through the helper from ${account}`, async () => {
    const stream = client.chat.completions.stream({
      model: `${account}/plain`,
      messages: question,
      stream_options: { include_usage: true },
    });
    const reply = await stream.finalChatCompletion();
    assert.equal(reply.choices[0].message.content, HELLO);
    assert.equal(reply.choices[0].finish_reason, "stop");
    assert.deepEqual([reply.usage.prompt_tokens, reply.usage.completion_tokens], [11, 4]);
  });

  test(`calls tools of ${account}`, async () => {
    const asked = { model: `${account}/answer-parallel-tools`, messages: question, tools };
    const whole = await client.chat.completions.create(asked);
    const streamed = await client.chat.completions.stream(asked).finalChatCompletion();
    for (const reply of [whole, streamed]) {
      const calls = reply.choices[0].message.tool_calls.map((call) => call.function);
      const cities = calls.map((call) => JSON.parse(call.arguments).city);
      assert.deepEqual(cities, ["Paris", "Rome"]);
      assert.equal(reply.choices[0].finish_reason, "tool_calls");
    }
  });
}

test("embeds", async () => {
  const reply = await client.embeddings.create({ model: "mock/embed", input: ["a", "b"] });
  assert.equal(reply.data.length, 2);
  assert.ok(reply.data[0].embedding.length > 0);
});

test("the Azure client names the model in the path", async () => {
  const azure = new AzureOpenAI({
    endpoint: url,
    apiKey: token,
    apiVersion: "2024-10-21",
    maxRetries: 0,
  });
  const asked = { model: "routed-steady", messages: question };
  const reply = await azure.chat.completions.create(asked);
  assert.equal(reply.choices[0].message.content, HELLO);
});

test("errors arrive as the client knows them", async () => {
  const cases = [
    ["mock/fault-429-retry-after-ms-1", OpenAI.RateLimitError],
    ["mock/fault-503", OpenAI.InternalServerError],
    ["no-such/model", OpenAI.NotFoundError],
  ];
  for (const [name, kind] of cases) {
    const asked = client.chat.completions.create({ model: name, messages: question });
    await assert.rejects(asked, kind, name);
  }
  const stranger = client.withOptions({ apiKey: "tfy_wrong" });
  await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
});

test("a caller may leave in the middle of a stream", async () => {
  const asked = { model, messages: question, max_tokens: 200, stream: true };
  const stream = await client.chat.completions.create(asked);
  for await (const chunk of stream) {
    assert.ok(chunk.choices);
    break;
  }
  stream.controller.abort();
  const reply = await client.chat.completions.create({ model: "mock/plain", messages: question });
  assert.equal(reply.choices[0].message.content, HELLO);
});
