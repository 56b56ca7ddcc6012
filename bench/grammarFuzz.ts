/**
 * Mutated schemas, expressions, grammars and programs, each compiled and a few masks made (test/support/grammarFuzz.ts): what became of them,
 * the slowest compile and the slowest mask of each kind, and the memory at its highest. Ends with an error at the first that is a bug.
 *
 *     npm run bench:grammar-fuzz -- --runs 1000000 --seed 1
 */
import { GrammarVocabulary } from "../lib/grammar/matcher.js";
import { type FuzzRun, fuzzGrammar } from "../test/support/grammarFuzz.js";
import { testVocabulary } from "../test/support/grammarVocabulary.js";
import { Random } from "../test/support/random.js";
import { benchArgs } from "./support/benchArgs.js";

const values = benchArgs(import.meta.url, {
  runs: { type: "string", default: "10000" },
  seed: { type: "string", default: "1" },
});
const [numRuns, firstSeed] = [Number(values.runs), Number(values.seed)];

using vocabulary = new GrammarVocabulary(testVocabulary);
const counts = new Map<string, number>();
const slowest = new Map<string, { readonly ms: number; readonly seed: number; readonly input: unknown }>();
let peakBytes = 0;

function note(name: string, ms: number, seed: number, { input }: FuzzRun): void {
  if (ms > (slowest.get(name)?.ms ?? 0)) slowest.set(name, { ms, seed, input });
}

const begin = performance.now();
for (let seed = firstSeed; seed < firstSeed + numRuns; seed++) {
  let run: FuzzRun;
  try {
    run = fuzzGrammar(vocabulary, new Random(seed));
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error });
  }
  const key = `${run.kind}: ${run.outcome}`;
  counts.set(key, (counts.get(key) ?? 0) + 1);
  note(`${run.kind} compile`, run.compileMs, seed, run);
  note(`${run.kind} mask`, run.stepMs, seed, run);
  if (seed % 64 === 0) peakBytes = Math.max(peakBytes, process.memoryUsage().rss);
}

const seconds = (performance.now() - begin) / 1000;
console.log(
  `${numRuns} from seed ${firstSeed} in ${seconds.toFixed(0)} s, memory at most ${(peakBytes / 2 ** 20).toFixed(0)} MiB`,
);
for (const [key, count] of [...counts].sort()) console.log(`${key.padEnd(24)} ${count}`);
for (const [name, { ms, seed, input }] of [...slowest].sort())
  console.log(
    `slowest ${name.padEnd(18)} ${ms.toFixed(1)} ms, seed ${seed}: ${JSON.stringify(input).slice(0, 160)}`,
  );
