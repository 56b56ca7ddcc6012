/** `warploop rm`: removes a model from the cache of the hub. */
import { createInterface } from "node:readline/promises";
import { removeCachedModel } from "../lib/index.js";
import { type CommandDefinition, exit } from "./command.js";
import { UsageError } from "./failure.js";
import { size } from "./format.js";
import { option } from "./optionValues.js";
import { note, printJson } from "./terminal.js";

export const command: CommandDefinition = {
  usage: "<model>",
  about:
    "Removes a model from the cache of the Hugging Face hub: org/name with all that is there of it, org/name@revision, or a GGUF file with " +
    "org/name:Q4_K_M. Python programs share that cache. Asks on a terminal.",
  options: [
    option("-y, --yes", "without asking; needed where there is no terminal"),
    option("--json", "one JSON object: model, folder, bytes"),
  ],
  examples: ["rm Qwen/Qwen3-0.6B", "rm org/name:Q4_K_M --yes"],
  async run([model = ""], parsed) {
    const found = await removeCachedModel(model, { dryRun: true });
    if (!parsed["yes"]) {
      if (!process.stdin.isTTY) throw new UsageError("--yes is needed where nobody can be asked");
      const isMeant = await agreed(`Remove ${size(found.bytes)} of ${model} in ${found.folder}? [y/N] `);
      if (!isMeant) {
        note("nothing was removed");
        return exit.failed;
      }
    }
    const removed = await removeCachedModel(model);
    if (parsed["json"]) printJson({ model, ...removed });
    else note(`${size(removed.bytes)} are free`);
    return exit.fine;
  },
};

async function agreed(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(question)).trim());
  } finally {
    terminal.close();
  }
}
