// Contract: the parts of the command line that need no model: talks that outgrow a context, lines that become messages, values of options,
// files of talks, what a terminal is shown.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { MessageLines } from "../../cli/chatInput.js";
import { Conversation } from "../../cli/conversation.js";
import { count, digits, duration, flops, parameters, size } from "../../cli/format.js";
import { bytes, number, whole, wholes } from "../../cli/optionValues.js";
import { loadChat, saveChat } from "../../cli/savedChat.js";
import { shown, styled, table } from "../../cli/terminal.js";

describe("Conversation", () => {
  const turn = (conversation: Conversation, user: string, answer: string) => {
    conversation.ask(user);
    conversation.answer(answer);
  };

  it("shows the model the system message and what is not forgotten", () => {
    const conversation = new Conversation("s");
    turn(conversation, "1", "a");
    turn(conversation, "2", "b");
    conversation.ask("3");
    conversation.forget(0);
    expect(conversation.prompt).toHaveLength(6);
    conversation.forget(1);
    conversation.forget(1);
    expect(conversation.prompt).toEqual([
      { role: "system", content: "s" },
      { role: "user", content: "3" },
    ]);
    expect(conversation.forgotten).toBe(2);
    expect(conversation.messages).toHaveLength(6);
    conversation.undo();
    conversation.undo();
    expect(conversation.forgotten).toBe(1);
  });

  it("takes answers and turns back, and is what it was when it is restored", () => {
    const conversation = new Conversation("s");
    expect(conversation.unanswer()).toBe(false);
    turn(conversation, "1", "a");
    turn(conversation, "2", "b");
    const { messages } = conversation;
    expect(conversation.unanswer()).toBe(true);
    expect(conversation.prompt.at(-1)).toEqual({ role: "user", content: "2" });
    conversation.undo();
    expect(conversation.turns).toBe(1);
    conversation.clear();
    expect(conversation.prompt).toEqual([{ role: "system", content: "s" }]);
    conversation.restore(messages);
    expect(conversation).toMatchObject({ messages, turns: 2, forgotten: 0 });
  });
});

describe("MessageLines", () => {
  it.each([
    [["one"], ["one"]],
    [
      ["one \\", "two", "three"],
      ["one \ntwo", "three"],
    ],
    [
      ['"""', "one", "", 'two"""', "three"],
      ["one\n\ntwo", "three"],
    ],
    [['"""one', '"""'], ["one"]],
    [['"""one"""'], ["one"]],
  ])("%j", (lines, messages) => {
    const put = new MessageLines();
    expect(lines.flatMap((line) => put.push(line) ?? [])).toEqual(messages);
    expect(put.isOpen).toBe(false);
  });

  it("has what nothing ended", () => {
    const put = new MessageLines();
    expect([put.push('"""one'), put.push("two"), put.isOpen, put.rest(), put.isOpen, put.rest()]).toEqual([
      ...[undefined, undefined, true, "one\ntwo", false, undefined],
    ]);
  });
});

describe("values", () => {
  it.each([
    [number, "0.5", 0.5],
    [number, "-1e-3", -0.001],
    [whole, "32k", 32_768],
    [whole, "-1", -1],
    [bytes, "2GB", 2e9],
    [bytes, "1.5GiB", 1.5 * 2 ** 30],
    [bytes, "512m", 512e6],
    [bytes, "64 KiB", 65_536],
    [bytes, "1000", 1000],
    [wholes, "1, 2,8", [1, 2, 8]],
  ])("%o %s", (parse: (text: string) => unknown, text, value) => expect(parse(text)).toEqual(value));

  it.each([
    [number, ""],
    [number, "NaN"],
    [number, "1x"],
    [whole, "0.5"],
    [bytes, "GB"],
    [bytes, "-1"],
    [wholes, "1,,2"],
  ])("%o refuses %j", (parse: (text: string) => unknown, text) =>
    expect(() => parse(text)).toThrow(/expected/),
  );
});

describe("files of talks", () => {
  it("are written once, and read back or refused by field", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "warploop-chat-"));
    const file = path.join(folder, "a.json");
    const messages = [
      { role: "user", content: "Hello" },
      { role: "assistant", content: "Hello!" },
    ];
    await saveChat(file, { model: "m", messages }, false);
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual({ model: "m", messages });
    await expect(saveChat(file, { model: "m", messages }, false)).rejects.toThrow("is there already");
    await saveChat(file, { model: "m", messages: [...messages, ...messages] }, true);
    expect(await loadChat(file)).toEqual([...messages, ...messages]);
    const refused = {
      "no JSON": "{",
      "messages: expected a list": "{}",
      'messages[0].role: expected system or user, got "assistant"': '{"messages":[{"role":"assistant"}]}',
      "messages[0].content: expected a text, got 1": '{"messages":[{"role":"user","content":1}]}',
      "messages[1].role: expected assistant, got undefined":
        '{"messages":[{"role":"user","content":"a"},null]}',
    };
    for (const [problem, text] of Object.entries(refused)) {
      await writeFile(file, text);
      await expect(loadChat(file)).rejects.toThrow(problem);
    }
    await rm(folder, { recursive: true });
  });
});

describe("what a terminal is shown", () => {
  const { isTTY } = process.stdout;
  const onTerminal = (is: boolean) =>
    Object.defineProperty(process.stdout, "isTTY", { value: is, configurable: true });
  afterEach(() => {
    Object.defineProperty(process.stdout, "isTTY", { value: isTTY, configurable: true });
    vi.unstubAllEnvs();
  });

  it("has colours on a terminal alone, and not where NO_COLOR is set", () => {
    vi.stubEnv("NO_COLOR", undefined);
    vi.stubEnv("TERM", "xterm");
    onTerminal(true);
    expect(styled("red", "x")).toBe("\x1b[31mx\x1b[39m");
    vi.stubEnv("NO_COLOR", "1");
    expect(styled("red", "x")).toBe("x");
    vi.stubEnv("NO_COLOR", undefined);
    onTerminal(false);
    expect(styled("red", "x")).toBe("x");
  });

  it("moves no cursor, whatever a model writes; what is piped stays as it is", () => {
    onTerminal(true);
    expect(shown("a\n\tb\x1b[2J\r\x07é")).toBe("a\n\tb\ufffd[2J\ufffd\ufffdé");
    onTerminal(false);
    expect(shown("\x1b[2J")).toBe("\x1b[2J");
  });

  it("has numbers that people read", () => {
    expect([size(512), size(33_000), size(4.2e6), size(1.534e9)]).toEqual([
      "0.5 kB",
      "33 kB",
      "4.2 MB",
      "1.53 GB",
    ]);
    expect([parameters(1024), parameters(5.8e6), parameters(7.62e9)]).toEqual(["1024", "5.8 M", "7.62 B"]);
    expect([flops(4.48e6), flops(1.19e9), flops(7.9e14)]).toEqual(["4.48 MFLOP", "1.19 GFLOP", "790 TFLOP"]);
    expect([digits(0.123), digits(12.34), digits(1234.5), digits(NaN)]).toEqual([
      "0.12",
      "12.3",
      "1235",
      "-",
    ]);
    expect([duration(83), duration(1234), count(1, "token"), count(2, "token")]).toEqual([
      ...["83.0 ms", "1.23 s", "1 token", "2 tokens"],
    ]);
    expect(
      table([
        ["a", "bb"],
        ["ccc", "1"],
      ]),
    ).toEqual(["a    bb", "ccc   1"]);
  });
});
