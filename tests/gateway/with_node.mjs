// What openai's own client for JavaScript makes of the gateway: answers, streams, errors, many at once, one given up.
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: "anything", maxRetries: 0 });
const model = "gpt-4o-mini";
const messages = (content) => [{ role: "user", content }];

const answer = await client.chat.completions.create({ model, messages: messages("Hello") });
assert.ok(answer.choices[0].message.content.endsWith("Hello"));

let text = "";
for await (const chunk of await client.chat.completions.create({ model, messages: messages("a stream"), stream: true })) {
  text += chunk.choices[0]?.delta?.content ?? "";
}
assert.ok(text.endsWith("a stream"));

const vectors = await client.embeddings.create({ model: "text-embedding-3-small", input: "x" });
assert.equal(vectors.data[0].embedding.length, 1536);
assert.ok((await client.responses.create({ model, input: "hi" })).output_text.endsWith("hi"));

const many = await Promise.all(
  Array.from({ length: 200 }, (_, n) => client.chat.completions.create({ model, messages: messages(`n${n}`) })),
);
assert.ok(many.every((one, n) => one.choices[0].message.content.endsWith(`n${n}`)));

await assert.rejects(client.chat.completions.create({ model, messages: "wrong" }), (error) => error.status === 400);

const given = new AbortController();
const stream = await client.chat.completions.create(
  { model, messages: messages("long ".repeat(50)), stream: true },
  { signal: given.signal },
);
for await (const _ of stream) {
  given.abort();
  break;
}
console.log("all is well");
