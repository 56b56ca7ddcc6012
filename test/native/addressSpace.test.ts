// Contract: a process whose address space is limited loads a model and generates, or says with a typed error that it cannot; threads of V8, which
// end the process where they cannot reserve theirs, are not started then. Runs compiled code: tsx needs processes of its own.
import { spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "warploop-"));
  for (const name of ["node_modules", "build", "package.json"])
    symlinkSync(join(root, name), join(folder, name));
  for (const name of readdirSync(join(root, "lib"), { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts")) continue;
    const file = join(folder, "dist/lib", name.replace(/\.ts$/, ".js"));
    const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(
      file,
      ts.transpileModule(readFileSync(join(root, "lib", name), "utf8"), { compilerOptions }).outputText,
    );
  }
}, 120_000);
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Prints what each call comes to: "well", or the code of a typed error. */
const code = `
  import * as w from "FOLDER/dist/lib/index.js";
  const isTyped = (e) => Object.values(w).some((c) => typeof c === "function" && c.prototype instanceof Error && e instanceof c);
  const codeOf = (e) => (isTyped(e) ? e.code + ": " + e.message : "untyped: " + e.stack);
  const out = {};
  try {
    const llm = await w.LLM.load("ROOT/models/tiny-draft", { device: "cpu", threads: 2 });
    out.load = "well";
    const chat = llm.chat([{ role: "user", content: "x" }], { maxTokens: 2 }).result();
    const [g, c] = await Promise.allSettled([llm.generate("Hello", { maxTokens: 2 }).result(), chat]);
    out.generate = g.status === "fulfilled" ? "well" : codeOf(g.reason);
    out.chat = c.status === "fulfilled" ? "well" : codeOf(c.reason);
    await llm.close();
  } catch (e) { out.load = codeOf(e); }
  console.log(JSON.stringify(out));
`;

/**
 * What the code prints below a limit of so many MiB; undefined where Node itself has too little room: V8 ends the process when
 * its own heap cannot grow, which nobody can catch.
 */
function run(limitMiB: number): Readonly<Record<"load" | "generate" | "chat", string>> | undefined {
  const limited = (source: string) => {
    const command = `ulimit -v ${limitMiB * 1024}; exec "$0" --input-type=module --eval "$1"`;
    const parts = ["-c", command, process.execPath, source];
    return spawnSync("sh", parts, { encoding: "utf8", timeout: 60_000 });
  };
  if (limited("Buffer.alloc(384 * 2 ** 20)").status !== 0) return undefined;
  const { status, signal, stdout, stderr } = limited(code.replace("FOLDER", folder).replace("ROOT", root));
  expect({ limitMiB, status, signal, stderr }).toMatchObject({ status: 0, signal: null });
  return JSON.parse(stdout) as Readonly<Record<"load" | "generate" | "chat", string>>;
}

describe.skipIf(process.platform !== "linux")("a limit of address space", () => {
  const steps = [1100, 1200, 1300, 1400, 1500, 1600, 1800, 2000, 2400, 3000, 4000];
  test.each(steps)("%d MiB", { timeout: 120_000 }, (limitMiB) => {
    const result = run(limitMiB);
    if (result === undefined) return;
    if (result.load !== "well") {
      expect(result.load).toMatch(/^ERR_\w+: /);
      return;
    }
    expect(result.generate).toMatch(/^well$|^ERR_OUT_OF_MEMORY: /); // threads take memory of their own at their first product
    expect(result.chat).toMatch(/^well$|^ERR_OUT_OF_MEMORY: |^ERR_CHAT_TEMPLATE: .* cannot start a thread: /);
    if (limitMiB >= 3000) expect(result).toEqual({ load: "well", generate: "well", chat: "well" });
  });
});
