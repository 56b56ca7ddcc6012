// Contract: what saveSession writes, restoreSession of the same model gives to another process: prompts find it, and go on bit for bit as
// where it was computed. A file of another model, other options, or one that is damaged is refused, and nothing of it is found.
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import type { LLM } from "../../lib/index.js";
import { ArgumentRangeError, CapacityError, SessionError } from "../../lib/index.js";
import { bytesOfPages, essence, goldenFolder, loadLLM, randomPrompt, withLLM } from "./checkpoints.js";
import { Random } from "../schedule/random.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "warploop-session-"));
});
afterAll(() => rm(folder, { recursive: true }));
const file = (name: string): string => path.join(folder, name);

const prompt = randomPrompt(new Random(3), 90).map((id) => id % 280);
const more = [...prompt, 5, 6, 7, 8];
const long = randomPrompt(new Random(5), 100).map((id) => id % 280);
const greedy = { maxTokens: 12, ignoreEos: true, logprobs: 1 };

/** Pages for everything; windows that let go of keys; slots; latents; codes with a factor for each head. */
const kinds = [
  { family: "qwen3", options: {} },
  { family: "gemma3", options: {} },
  { family: "mamba2", options: {} },
  { family: "deepseek_v3", options: { pageSize: 16 } },
  { family: "qwen3", options: { kvDtype: "int8" } },
] as const;

describe.each(kinds)("$family, $options", ({ family, options }) => {
  const prompt = randomPrompt(new Random(4), 210).map((id) => id % 280); // its windows and pages are past
  const more = [...prompt, 5, 6, 7, 8];
  const load = (): Promise<LLM> => loadLLM(goldenFolder(family), options);

  it("goes on in another model as in the one that computed it", async () => {
    const saved = file(`${family}-${JSON.stringify(options)}.session`);
    const { session, expected } = await withLLM(goldenFolder(family), options, async (llm) => {
      const expected = essence(await llm.generate(more, greedy).result());
      const session = await llm.saveSession(saved, prompt);
      llm.checkIntegrity();
      return { session, expected };
    });
    expect(session.cachedTokens).toBeGreaterThan(180);
    expect([...session.tokenIds]).toEqual(prompt);
    await using llm = await load();
    expect(await llm.restoreSession(saved)).toEqual(session);
    llm.checkIntegrity();
    const result = await llm.generate(more, greedy).result();
    expect(result.usage.cachedTokens).toBe(session.cachedTokens);
    expect(essence(result)).toEqual(expected);
    expect(await llm.restoreSession(saved)).toEqual(session); // what is there stays
    const again = await llm.generate(more, greedy).result();
    expect(essence(again)).toEqual(expected);
    llm.checkIntegrity();
  });
});

describe("of one model", () => {
  const model = goldenFolder("qwen3");
  let saved: string;
  let llm: LLM;
  beforeAll(async () => {
    saved = file("one.session");
    llm = await loadLLM(model, {});
    await llm.saveSession(saved, prompt);
  });
  afterAll(() => llm.close());

  test("the same prompt gives the same file, whether it was there or is computed", async () => {
    const again = file("again.session");
    await withLLM(model, { maxStepTokens: 17, maxSequences: 4 }, (other) => other.saveSession(again, prompt));
    expect(await readFile(again)).toEqual(await readFile(saved));
    await llm.saveSession(again, prompt);
    expect(await readFile(again)).toEqual(await readFile(saved));
  });

  test("runs beside requests", async () => {
    await using other = await loadLLM(model, { maxSequences: 4 });
    const asks = Array.from({ length: 8 }, (_, i) => [...prompt.slice(i), i]);
    const alone = await llm.generateAll(asks, { ...greedy, progress: false });
    const running = other.generateAll(asks, { ...greedy, progress: false });
    const sessions = [other.restoreSession(saved), other.saveSession(file("busy.session"), prompt)];
    await Promise.all(sessions);
    expect((await running).map(essence)).toEqual(alone.map(essence));
    expect(await readFile(file("busy.session"))).toEqual(await readFile(saved));
    other.checkIntegrity();
  });

  test("a salt keeps it for those who have it", async () => {
    await using other = await loadLLM(model, {});
    await other.restoreSession(saved, { cacheSalt: "a" });
    const cached = async (cacheSalt?: string): Promise<number> =>
      (await other.generate(more, { ...greedy, cacheSalt }).result()).usage.cachedTokens;
    expect(await cached()).toBe(0);
    expect(await cached("a")).toBe(80);
  });

  test.each([{ dtype: "bf16" }, { kvDtype: "fp8" }, { quantize: "int8" }] as const)(
    "is refused by a model of other options, %o",
    async (options) => {
      await using other = await loadLLM(model, options);
      await expect(other.restoreSession(saved)).rejects.toThrow(/one.session: of another model/);
    },
  );

  test("is refused by other weights, and other pages", async () => {
    await using other = await loadLLM(goldenFolder("qwen3_moe"), {});
    await expect(other.restoreSession(saved)).rejects.toThrow(SessionError);
    await using paged = await loadLLM(model, { pageSize: 32 });
    await expect(paged.restoreSession(saved)).rejects.toThrow(/its pages are laid out/);
    await using short = await loadLLM(model, { contextLength: 64 });
    await expect(short.restoreSession(saved)).rejects.toThrow(/tokens: got 90, the context has room for 63/);
  });

  test("a byte that changed, a part that is missing, and what is none are refused, and nothing is found of them", async () => {
    const bytes = await readFile(saved);
    const random = new Random(11);
    await using other = await loadLLM(model, {});
    const bad = file("bad.session");
    for (let i = 0; i < 60; i++) {
      const copy = Buffer.from(bytes);
      const at = i < 20 ? i * 20 : random.below(copy.length);
      copy[at]! ^= 1 << random.below(8);
      await writeFile(bad, i % 3 === 2 ? copy.subarray(0, at) : copy);
      await expect(other.restoreSession(bad), `byte ${at}`).rejects.toThrow(SessionError);
    }
    for (const content of ["", "{}", "no session"]) {
      await writeFile(bad, content);
      await expect(other.restoreSession(bad)).rejects.toThrow(SessionError);
    }
    await expect(other.restoreSession(path.join(model, "model.safetensors"))).rejects.toThrow(
      /expected a file of saveSession/,
    );
    expect((await other.generate(more, greedy).result()).usage.cachedTokens).toBe(0);
    other.checkIntegrity();
    await expect(other.restoreSession(file("nowhere"))).rejects.toMatchObject({
      code: "ERR_CHECKPOINT_MISSING",
    });
  });

  test("saves of one file at once, and beside what a process left that has ended, leave a whole file", async () => {
    const one = file("many.session");
    await writeFile(`${one}.${process.pid}.partial`, "of another process that had this id");
    const sessions = await Promise.all(Array.from({ length: 4 }, () => llm.saveSession(one, prompt)));
    expect(await readFile(one)).toEqual(await readFile(saved));
    const { size } = await stat(one);
    expect(sessions.map(({ bytes }) => bytes)).toEqual([size, size, size, size]);
    expect(await llm.restoreSession(one)).toMatchObject({ bytes: size });
    await rm(`${one}.${process.pid}.partial`);
  });

  test("says what is wrong with the call", async () => {
    await expect(llm.saveSession("", prompt)).rejects.toThrow(/file: expected a path, got ""/);
    await expect(llm.saveSession(saved, [1, 2, 3])).rejects.toThrow(
      /more tokens than a page has \(16\), got 3/,
    );
    await expect(llm.restoreSession(saved, { cacheSalt: 3 as unknown as string })).rejects.toThrow(
      /cacheSalt/,
    );
    for (const name of ["tools", "templateName", "templateOptions", "parseSpecial"] as const)
      await expect(llm.saveSession(file("x"), prompt, { [name]: [] })).rejects.toThrow(
        `saveSession: ${name} is for messages, got an array`,
      );
    await expect(llm.saveSession(file("no/such/folder"), prompt)).rejects.toMatchObject({ code: "ENOENT" });
    await expect(llm.saveSession(file("x"), prompt, { signal: AbortSignal.abort() })).rejects.toThrow(
      /abort/,
    );
    await using bare = await loadLLM(model, { prefixCache: false });
    await expect(bare.saveSession(file("x"), prompt)).rejects.toThrow(ArgumentRangeError);
    await expect(bare.restoreSession(saved)).rejects.toThrow(/prefixCache: true/);
    expect((await readdir(folder)).filter((name) => /partial|^x$/.test(name))).toEqual([]);
    llm.checkIntegrity();
  });

  test("what finds no room beside requests is refused, and restored when they have ended", async () => {
    const reserve = { admission: "reserve", kvCacheBytes: bytesOfPages(llm, 28) } as const;
    await using full = await loadLLM(model, reserve); // whose pages one request has for its 440 tokens
    const running = full.generate(long, { maxTokens: 340, ignoreEos: true });
    await running.started;
    await expect(full.restoreSession(saved)).rejects.toThrow(CapacityError);
    running.abort();
    await running.result();
    expect(await full.restoreSession(saved)).toMatchObject({ cachedTokens: 80 });
    full.checkIntegrity();
  });

  test("one waits for the pages of the other, and neither is refused", async () => {
    await using small = await loadLLM(model, { kvCacheBytes: bytesOfPages(llm, 8) });
    const [{ usage }] = await Promise.all([
      small.generate(long, { maxTokens: 20, ignoreEos: true }).result(),
      small.saveSession(file("small.session"), prompt),
    ]);
    expect(usage.completionTokens).toBe(20);
    expect(await readFile(file("small.session"))).toEqual(await readFile(saved));
    small.checkIntegrity();
  });
});
