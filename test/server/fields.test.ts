// Contract: every field of the table does what its row says. A supported one reaches the engine, and a wrong value of it is a 400 that
// names it; a refused one is a 400 with its message, but for values that ask for nothing; an ignored one changes no answer.
import { describe, expect, it } from "vitest";
import { chatFields } from "../../server/fields/chat.js";
import { completionFields } from "../../server/fields/completions.js";
import type { Fields } from "../../server/fields/field.js";
import { countFields, messageFields } from "../../server/fields/messages.js";
import { responseFields } from "../../server/fields/responses.js";
import { detokenizeFields, embeddingFields, tokenizeFields } from "../../server/fields/others.js";
import { type FieldCase, plain } from "./fieldCase.js";
import { cases } from "./fieldCases.js";
import { type ErrorAnswer, errorOf, scriptedApp } from "./support.js";

const routes: { readonly path: string; readonly fields: Fields; readonly body: object }[] = [
  { path: "/v1/chat/completions", fields: chatFields, body: { messages: [{ role: "user", content: "Hi" }] } },
  { path: "/v1/completions", fields: completionFields, body: { prompt: "Hi" } },
  { path: "/v1/responses", fields: responseFields, body: { input: "Hi" } },
  {
    path: "/v1/messages",
    fields: messageFields,
    body: { messages: [{ role: "user", content: "Hi" }], max_tokens: 5 },
  },
  {
    path: "/v1/messages/count_tokens",
    fields: countFields,
    body: { messages: [{ role: "user", content: "Hi" }] },
  },
  { path: "/v1/embeddings", fields: embeddingFields, body: { input: "Hi" } },
  { path: "/tokenize", fields: tokenizeFields, body: { prompt: "Hi" } },
  { path: "/detokenize", fields: detokenizeFields, body: { tokens: [72, 105] } },
];

/** The field that an error is about: Anthropic's say it in the message alone. */
const fieldOf = ({ error }: ErrorAnswer): string | null =>
  error.param === undefined ? (/^\w[\w.[\]]*(?=: )/.exec(error.message)?.[0] ?? null) : error.param;

describe.each(routes)("$path", ({ path, fields, body }) => {
  const own = cases[path]!;
  const rows = Object.entries(fields).map(([name, field]) => ({ name, field, tried: own[name] }));

  it("has a case for every row of its table and no other", () => {
    expect(Object.keys(own).sort()).toEqual(Object.keys(fields).sort());
    for (const { field, tried } of rows) {
      if (field.status === "supported") expect(tried).toHaveProperty("wrong");
      if (field.status === "refused") expect(tried).toHaveProperty("asks");
    }
  });

  it.each(rows.filter(({ field }) => field.status === "supported"))("$name is supported", async (row) => {
    const { good, wrong, does, also = {} } = row.tried as Extract<FieldCase, { good: unknown }>;
    const { engine, post } = scriptedApp();
    const response = await post(path, { ...body, ...also, [row.name]: good });
    const text = await response.text();
    expect(response.status, text).toBe(200);
    const before = scriptedApp();
    const usual = await (await before.post(path, { ...body, ...also })).text();
    does({ options: { ...engine.asked.at(-1)?.options }, asked: engine.asked.at(-1), text, usual });
    for (const value of wrong) {
      const answer = await errorOf(await post(path, { ...body, ...also, [row.name]: value }));
      const { status, error } = answer;
      expect([400, 404], JSON.stringify(value)).toContain(status);
      expect(["invalid_request_error", "not_found_error"]).toContain(error.type);
      expect(fieldOf(answer)?.split(/[.[]/)[0], error.message).toBe(row.name);
      expect(error.message.startsWith(`${fieldOf(answer)}: `), error.message).toBe(true);
    }
  });

  it.each(rows.filter(({ field }) => field.status === "refused"))("$name is refused", async (row) => {
    const { asks, neutral = [] } = row.tried as Extract<FieldCase, { asks: unknown }>;
    const { post } = scriptedApp();
    const answer = await errorOf(await post(path, { ...body, [row.name]: asks }));
    expect([answer.status, fieldOf(answer)]).toEqual([400, row.name]);
    expect(answer.error.message).toBe(`${row.name}: ${row.field.says}`);
    for (const value of [...neutral, null])
      expect((await post(path, { ...body, [row.name]: value })).status, JSON.stringify(value)).toBe(200);
  });

  it.each(rows.filter(({ field }) => field.status === "ignored"))("$name is ignored", async (row) => {
    const { sent } = row.tried as Extract<FieldCase, { sent: unknown }>;
    const { engine, post } = scriptedApp();
    const usual = await (await post(path, body)).text();
    const response = await post(path, { ...body, [row.name]: sent });
    expect(response.status).toBe(200);
    expect(plain(await response.text())).toBe(plain(usual));
    const [first, second] = engine.asked.map(({ options }) => ({ ...options, signal: undefined }));
    expect(second).toEqual(first);
  });

  it("refuses a field that is in no row, a missing one, and what is no object", async () => {
    const { post } = scriptedApp();
    const unknown = await errorOf(await post(path, { ...body, colour: "red" }));
    expect([unknown.status, fieldOf(unknown), unknown.error.code ?? "unknown_parameter"]).toEqual([
      400,
      "colour",
      "unknown_parameter",
    ]);
    const needed = Object.entries(fields).find(([, { required }]) => required)![0];
    const missing = await errorOf(await post(path, { ...body, [needed]: null }));
    expect([missing.status, missing.error.message]).toEqual([400, `${needed}: missing`]);
    for (const wrong of ["[]", "3", "null", "{", ""]) {
      const answer = await errorOf(await post(path, wrong));
      expect([answer.status, fieldOf(answer)], wrong).toEqual([400, null]);
    }
  });
});
