// The settings of the harness, and what the tests of all Node clients share.

import assert from "node:assert/strict";

function env(name) {
  const value = process.env[name];
  assert.ok(value, `${name} is not set: run these tests with \`./dev clients node\``);
  return value;
}

export const url = env("GANTRY_URL");
export const token = env("GANTRY_TOKEN");
export const model = env("GANTRY_MODEL");
export const HELLO = "Hello from the mock.";
export const question = [{ role: "user", content: "Say hello." }];

export const weather = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};

// All items of an async iterable.
export async function collect(items) {
  const all = [];
  for await (const item of items) all.push(item);
  return all;
}
