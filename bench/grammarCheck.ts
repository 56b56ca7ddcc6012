/**
 * Whether texts of random schemas are valid, sampled hot from models/tiny-moe, and what becomes of the cases of others' suites
 * (test/grammar/schemaSuite/README.md).
 *
 *     npm run check:grammar -- [--schemas 1000] [--samples 20] [--temperature 1.5] [--seed 1] [--tokens 200] [--write]
 *
 * A text that is not finished within its tokens is counted, and not judged. --write notes the categories of the suites anew, and samples
 * nothing. Exit code 1 when a finished text is not valid, or a request takes longer than a minute.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ArgumentRangeError } from "../lib/errors.js";
import { LLM } from "../lib/index.js";
import { validatorOf } from "../test/grammar/schemaOracle.js";
import { RandomSchemas, type SchemaJson } from "../test/grammar/schemaRandom.js";
import { categoriesFile, countsOf, groupsOf, named, outcomeOf, suites } from "../test/grammar/schemaSuite.js";
import { Random } from "../test/support/random.js";
import { benchArgs } from "./support/benchArgs.js";

const values = benchArgs(import.meta.url, {
  schemas: { type: "string", default: "1000" },
  samples: { type: "string", default: "20" },
  temperature: { type: "string", default: "1.5" },
  seed: { type: "string", default: "1" },
  tokens: { type: "string", default: "200" },
  write: { type: "boolean", default: false },
});
const [firstSeed, numSchemas, n] = [Number(values.seed), Number(values.schemas), Number(values.samples)];
const hangMs = 60_000;

reportSuites();
if (!values.write) process.exitCode = (await sampleAll()) ? 0 : 1;

function reportSuites(): void {
  console.log("suite         schemas  agrees  narrower  wider  refused");
  const categories: Record<string, Record<string, string>> = {};
  for (const suite of suites) {
    const groups = named(groupsOf(suite));
    const outcomes = Object.fromEntries([...groups].map(([name, group]) => [name, outcomeOf(group)]));
    const { agrees, narrower, wider, refused } = countsOf(outcomes, groups);
    const columns = [groups.size, agrees, narrower, wider, refused].map((count, i) =>
      String(count).padStart([7, 8, 10, 7, 9][i]!),
    );
    console.log(suite.padEnd(14) + columns.join(""));
    categories[suite] = outcomes;
  }
  if (values.write) writeFileSync(categoriesFile, `${JSON.stringify(categories, null, 1)}\n`);
}

/** @returns whether all is well */
async function sampleAll(): Promise<boolean> {
  const llm = await LLM.load(fileURLToPath(new URL("../models/tiny-moe", import.meta.url)), {
    maxSequences: 64,
  });
  const counts = { schemas: 0, refused: 0, valid: 0, unfinished: 0, invalid: 0, slow: 0 };
  const start = performance.now();
  let next = firstSeed;
  const work = async (): Promise<void> => {
    while (next < firstSeed + numSchemas) await sampleOne(llm, next++, counts);
  };
  await Promise.all(Array.from({ length: 4 }, work));
  const seconds = (performance.now() - start) / 1000;
  console.log(`\n${JSON.stringify(counts)} in ${seconds.toFixed(0)} s, seeds ${firstSeed} to ${next - 1}`);
  await llm.close();
  return counts.invalid === 0 && counts.slow === 0;
}

async function sampleOne(llm: LLM, seed: number, counts: Record<string, number>): Promise<void> {
  const schema: SchemaJson = new RandomSchemas(new Random(seed)).root();
  const count = (what: string): void => void counts[what]!++;
  const started = performance.now();
  try {
    const options = {
      format: { schema },
      n,
      seed,
      temperature: Number(values.temperature),
      maxTokens: Number(values.tokens),
    };
    const { choices } = await llm.generate("A value as JSON: ", options).result();
    count("schemas");
    const isValid = validatorOf(schema);
    for (const { text, finishReason } of choices) {
      if (finishReason !== "stop") count("unfinished");
      else if (isValid(JSON.parse(text))) count("valid");
      else {
        count("invalid");
        console.error(`seed ${seed}: ${text} of ${JSON.stringify(schema)}`);
      }
    }
  } catch (error) {
    if (!(error instanceof ArgumentRangeError)) throw error;
    count("refused");
  }
  if (performance.now() - started > hangMs) {
    count("slow");
    console.error(`seed ${seed}: more than ${hangMs} ms, of ${JSON.stringify(schema)}`);
  }
}
