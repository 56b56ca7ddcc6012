// Contract: chats are rendered beside the event loop; a template that does not end is ended, and nobody else's chat with it.
import { afterEach, expect, test } from "vitest";
import { ChatRenderer } from "../../lib/text/chatRenderer.js";
import { type ChatMessage, ChatTemplate, type ChatTemplateOptions } from "../../lib/text/chatTemplate.js";

const hello: readonly ChatMessage[] = [{ role: "user", content: "Hi" }];
const renderers: ChatRenderer[] = [];
const open = (source: string): ChatRenderer => {
  const renderer = new ChatRenderer(new ChatTemplate("t.jinja", new Map([["default", source]])));
  renderers.push(renderer);
  return renderer;
};
afterEach(async () => {
  await Promise.all(renderers.splice(0).map((renderer) => renderer.close()));
});
const render = async (
  renderer: ChatRenderer,
  messages = hello,
  options: ChatTemplateOptions = {},
): Promise<string> => (await renderer.prepare(messages, options, [])()).text;

const plain = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
/** Few steps, each of which takes long. */
const slow = "{% set x = ('a' * 16000000) %}{% for i in range(100000) %}{% set y = x in x %}{% endfor %}";
const endless =
  "{% macro m(i) %}{% for j in range(9) %}{{ m(i + 1) if i < 30 }}{% endfor %}{% endmacro %}{{ m(0) }}";

test("gives the text that ChatTemplate.render gives", async () => {
  const messages = [...hello, { role: "assistant", content: "Hello" }];
  expect(await render(open(plain), messages)).toBe("user: Hi\nassistant: Hello\n");
});

test.each([slow, endless])("a template that does not end fails, the others do not: %s", async (source) => {
  const [bad, good] = [open(source), open(plain)];
  const results = await Promise.allSettled([
    render(good),
    render(bad),
    render(good),
    render(bad),
    render(good),
  ]);
  const failed = {
    status: "rejected",
    reason: { name: "TextError", code: "ERR_CHAT_TEMPLATE", file: "t.jinja" },
  };
  const done = { status: "fulfilled", value: "user: Hi\n" };
  expect(results).toMatchObject([done, failed, done, failed, done]);
});

test("what a template refuses is told with its file", async () => {
  const error = { name: "TextError", code: "ERR_CHAT_TEMPLATE", file: "t.jinja" };
  const refused = render(open("{{ raise_exception('no system role') }}"));
  await expect(refused).rejects.toMatchObject(error);
  await expect(refused).rejects.toThrow("t.jinja: the chat template failed: no system role");
});

test("bad arguments are refused at once, and what cannot be copied in time", async () => {
  const renderer = open(plain);
  expect(() => renderer.prepare([], {}, [])).toThrow(expect.objectContaining({ code: "ERR_ARGUMENT_RANGE" }));
  const image = [{ role: "user", content: [{ type: "text", text: "x" }, { type: "image" }] }];
  expect(() => renderer.prepare(image, {}, [])).toThrow('messages[0].content[1]: expected { type: "text"');
  const odd = [{ role: "user", content: "x", extra: () => 1 }];
  expect(() => renderer.prepare(odd, {}, [])).toThrow(
    "expected what JSON can hold: () => 1 could not be cloned",
  );
  const cyclic: { role: string; content: string; self?: unknown } = { role: "user", content: "x" };
  cyclic.self = cyclic;
  await expect(render(renderer, [cyclic])).rejects.toThrow("nested too deeply");
  expect(await render(renderer)).toBe("user: Hi\n");
  await expect(render(open("{{ '%c' % 1114112 }}"))).rejects.toThrow("%c format: the code of a character");
});

test("what the caller changes afterwards does not count", async () => {
  const messages = [{ role: "user", content: "before" }];
  const rendered = Promise.all([render(open(plain), messages), render(open(plain), messages)]);
  messages[0]!.content = "after";
  expect(await rendered).toEqual(["user: before\n", "user: before\n"]);
});

test("a long conversation leaves the event loop free", async () => {
  const renderer = open(plain);
  await render(renderer);
  const messages = Array.from({ length: 10_000 }, (_, i) => ({ role: "user", content: `message ${i}` }));
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  const text = await render(renderer, messages);
  clearInterval(timer);
  expect(text.split("\n")).toHaveLength(10_001);
  expect(turns).toBeGreaterThan(1);
});

test("of a long conversation the first thousand messages are looked at at once, the others in later turns", async () => {
  const renderer = open(plain);
  const talk = (wrong: number) =>
    Array.from({ length: 3_000 }, (_, i) => ({ role: i === wrong ? 7 : "user", content: `${i}` })) as never;
  expect(() => renderer.prepare(talk(900), {}, [])).toThrow(
    "messages[900].role: expected a string, got number 7",
  );
  const late = renderer.prepare(talk(2_500), {}, []);
  await expect(late()).rejects.toThrow("messages[2500].role: expected a string, got number 7");

  const messages: { role: string; content: string }[] = talk(-1);
  const rendered = renderer.prepare(messages, {}, []);
  messages[900]!.content = "after";
  messages.length = 2_000; // the list itself was copied
  const lines = (await rendered()).text.split("\n");
  expect([lines.length, lines[900], lines[2_999]]).toEqual([3_001, "user: 900", "user: 2999"]);
});

test("one thread for all, until the last one closes", async () => {
  const [first, second] = [open(plain), open(plain)];
  await first.close();
  await first.close();
  await expect(render(first)).rejects.toMatchObject({ code: "ERR_CLOSED" });
  expect(await render(second)).toBe("user: Hi\n");
  const cut = render(second);
  cut.catch(() => undefined);
  await second.close();
  await expect(cut).rejects.toMatchObject({ code: "ERR_CLOSED" });
  expect(await render(open(plain))).toBe("user: Hi\n");
});
