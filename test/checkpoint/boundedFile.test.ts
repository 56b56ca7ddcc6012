// Contract: a file of a checkpoint that is no regular file, or longer than its limit whatever the file system says of its size, is
// a typed error that names it. Nothing waits for a pipe or reads a device.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WarploopError } from "../../lib/errors.js";
import { openRegularFile, readBoundedFile } from "../../lib/checkpoint/boundedFile.js";
import { loadLLM, modelFolder } from "../llm/checkpoints.js";

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "warploop-files-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Things that may stand where a file is expected. */
const things: Readonly<Record<string, (path: string) => void>> = {
  "a named pipe": (path) => execFileSync("mkfifo", [path]),
  "a link to /dev/zero": (path) => symlinkSync("/dev/zero", path),
  "a link to /dev/stdin": (path) => symlinkSync("/dev/stdin", path),
  "a folder": (path) => mkdirSync(path),
  "a link to itself": (path) => symlinkSync(path, path),
};

describe("readBoundedFile", () => {
  it.each(Object.keys(things))("refuses %s", async (thing) => {
    const path = join(folder, "thing");
    things[thing]!(path);
    await expect(readBoundedFile(path, 1000)).rejects.toThrow();
    await expect(openRegularFile(path)).rejects.toThrow();
  });

  it("gives the bytes of a file up to the limit, and refuses one more", async () => {
    const path = join(folder, "file");
    for (const length of [0, 1, 65_535, 65_536, 65_537, 300_000]) {
      const bytes = Buffer.alloc(length, "ab");
      writeFileSync(path, bytes);
      expect((await readBoundedFile(path, length)).equals(bytes)).toBe(true);
      if (length > 0) await expect(readBoundedFile(path, length - 1)).rejects.toThrow(/at most/);
    }
  });

  it("reads a file that says it has no bytes, and no more of it than the limit", async () => {
    expect((await readBoundedFile("/proc/self/status", 1e6)).toString()).toContain("VmRSS");
    await expect(readBoundedFile("/proc/self/status", 20)).rejects.toThrow("at most 20 bytes, got more");
  });

  it("does not allocate for a sparse file of a terabyte", async () => {
    const path = join(folder, "sparse");
    writeFileSync(path, "");
    truncateSync(path, 2 ** 40);
    await expect(readBoundedFile(path, 1e6)).rejects.toThrow("at most 1000000 bytes, got 1099511627776");
  });
});

describe("a checkpoint whose file is", () => {
  const files = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "model.safetensors",
    "model.safetensors.index.json",
  ];
  const cases = Object.keys(things).flatMap((thing) => files.map((file) => ({ thing, file })));

  it.each(cases)("$thing: $file", async ({ thing, file }) => {
    cpSync(modelFolder("tiny-draft"), folder, { recursive: true });
    if (file.endsWith("index.json")) rmSync(join(folder, "model.safetensors"));
    const path = join(folder, file);
    rmSync(path, { force: true });
    things[thing]!(path);
    const error: unknown = await loadLLM(folder, { contextLength: 64 }).then(
      (llm) => llm.close(),
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(WarploopError);
    expect((error as WarploopError).message).toContain(path);
  });
});
