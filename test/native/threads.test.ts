// Contract: a thread that cannot be created is a typed error that counts the threads, or is done without; what was opened before
// is closed, nothing ends the process, and the same call succeeds when there are threads again.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Device } from "../../lib/device/device.js";
import { embedding } from "../../lib/ops/embedding.js";

const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
const canPreload = process.platform === "linux" && spawnSync("cc", ["--version"]).status === 0;
const isCpu = Device.available().at(-1) === "cpu";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "warploop-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** What a part of fewThreads.ts prints, in a process of its own that has to end by itself. */
function run(part: string): unknown {
  const library = join(folder, "threads.so");
  const built = spawnSync("cc", ["-shared", "-fPIC", "-o", library, fixture("threads.c"), "-ldl"], {
    encoding: "utf8",
  });
  expect(built.stderr).toBe("");
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", "tsx", fixture("fewThreads.ts"), part],
    { encoding: "utf8", timeout: 100_000, env: { ...process.env, LD_PRELOAD: library } },
  );
  expect({ status, signal, stderr }).toMatchObject({ status: 0, signal: null });
  return JSON.parse(stdout);
}

const refused = (text: string): unknown => expect.stringContaining(text);
const threads = (owner: string, created: number, wanted: number): unknown =>
  refused(`DeviceError ERR_DEVICE: ${owner}: ${created} of ${wanted} threads could be created: `);

describe.skipIf(!canPreload)("without threads", () => {
  test("devices and streams say how many of how many, uploads go without", { timeout: 120_000 }, () => {
    const streams = isCpu
      ? [threads("cpu: stream", 0, 1), "well", "well"]
      : [threads("completions of a stream", 0, 1), threads("simt: stream", 0, 1), "well"];
    const result = run("objects");
    expect(result).toMatchObject({ streams, uploads: ["well", "well", "well"], left: "nothing" });
    if (isCpu) expect(result).toMatchObject({ pool: [threads("cpu", 0, 7), threads("cpu", 3, 7), "well"] });
  });

  test("texts that need one are refused, and accepted later", { timeout: 120_000 }, () => {
    expect(run("texts")).toEqual({
      pattern: [refused("TextError ERR_TOKENIZER: t.json: cannot encode the text: process: 0 of 1"), "well"],
      word: [refused("tokenizer.json: cannot start a thread: "), "well"],
      chat: [refused("TextError ERR_CHAT_TEMPLATE: "), "well"],
      left: "nothing",
    });
  });

  test("a model loads completely or not at all, and then needs none", { timeout: 120_000 }, () => {
    const { loads, ...rest } = run("llm") as { readonly loads: readonly string[] };
    const needed = loads.indexOf("well");
    expect(needed).toBe(isCpu ? 3 : 2);
    for (const [n, text] of loads.entries())
      expect(text).toMatch(n < needed ? /^DeviceError ERR_DEVICE: .* threads could be created/ : /^well$/);
    expect(rest).toEqual({ generation: "well", left: "nothing" });
  });
});

test.runIf(isCpu)("of several errors in one op the one of the first item is told", async () => {
  const device = Device.open("cpu", { threads: 4 }); // whichever of them meets one first
  const [rows, width, firstBad] = [4096, 4096, 15];
  const setup = device.createStream();
  const table = setup.fromArray("f32", [2, width], new Float32Array(2 * width));
  const ids = setup.fromArray(
    "i32",
    [rows],
    Int32Array.from({ length: rows }, (_, t) => Number(t >= firstBad) * 7),
  );
  await setup.synchronize();
  for (let run = 0; run < 40; run++) {
    const stream = device.createStream();
    const good = stream.fromArray("i32", [rows], new Int32Array(rows));
    embedding(stream, good, table); // the other threads are awake
    embedding(stream, ids, table);
    await expect(stream.synchronize()).rejects.toThrow(`ids[${firstBad}] = 7`);
  }
});
