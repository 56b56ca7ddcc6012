/**
 * Contract: whatever programs and tokens it is given, the matcher of grammars reads and writes nothing that is not its own and does nothing
 * that C++ leaves undefined: its sources alone, compiled with AddressSanitizer and UBSan. It compiles for half a minute, so only where it
 * was touched or all is run.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { commonSources } from "../../scripts/build/nativeSources.mjs";
import { grammarCases } from "../support/grammarCases.js";
import { mutatedProgram } from "../support/grammarFuzz.js";
import { testVocabulary } from "../support/grammarVocabulary.js";
import { Random } from "../support/random.js";
import { firstSeed, runsOf, touched } from "../support/seed.js";

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const fixture = "test/native/fixtures/grammarRuns.cc";
const isRun = runsOf({ few: 0, whole: 1 }) === 1 || [...touched].some((file) => /rammar/.test(file));

/** Arrays, each behind its length. */
function packed(arrays: readonly Iterable<number>[]): Int32Array {
  return Int32Array.from(arrays.flatMap((array) => [[...array].length, ...array]));
}

test.skipIf(!isRun)("programs that are right and programs that are not", { timeout: 900_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "warploop-grammars-"));
  try {
    const program = join(folder, "runs");
    const sources = commonSources().filter((name) => name.startsWith("grammar/"));
    expect(sources.length).toBeGreaterThan(5);
    const files = [fixture, ...sources.map((name) => `native/${name}`)].map(path);
    const sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-D_GLIBCXX_ASSERTIONS"];
    const flags = ["-std=c++20", "-O1", "-g", ...sanitize, "-I", path("native"), "-o", program];
    const compiled = spawnSync("c++", [...flags, ...files], { encoding: "utf8" });
    expect(compiled.stderr).toBe("");

    const ends: number[] = [];
    for (const bytes of testVocabulary) ends.push((ends.at(-1) ?? 0) + bytes.length);
    const numRuns = runsOf({ few: 300, whole: 3000 });
    const mutated = Array.from({ length: numRuns }, (_, i) => mutatedProgram(new Random(firstSeed + i)));
    const programs = [...grammarCases.map(([, written]) => written), ...mutated];
    const arrays = programs.flatMap((one) => [one.program, one.terminals, one.rules, [one.start]]);
    const input = join(folder, "input");
    writeFileSync(input, packed([testVocabulary.flatMap((bytes) => [...bytes]), ends, ...arrays]));
    const { status, stdout, stderr } = spawnSync(program, [input], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const [masks, refused] = stdout.split(" ").map(Number) as [number, number];
    expect(masks + refused).toBe(programs.length);
    expect(masks).toBeGreaterThan(grammarCases.length);
    expect(refused).toBeGreaterThan(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
