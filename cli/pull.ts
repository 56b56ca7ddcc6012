/** `warploop pull`: fetches a model into the cache. */
import { type LoadProgress, pullModel } from "../lib/index.js";
import { type CommandDefinition, exit } from "./command.js";
import { duration, size } from "./format.js";
import { onInterrupt } from "./interrupt.js";
import { loadOptionsOf, someLoadFlags } from "./loadOptions.js";
import { option } from "./optionValues.js";
import { loadBar, note, print, printJson } from "./terminal.js";

export const command: CommandDefinition = {
  usage: "<model>",
  about:
    "Fetches a model of the Hugging Face hub into its cache, and writes the path of it to stdout. What was broken off goes on where it " +
    "ended. A model that cannot run here is refused before its weights are fetched.",
  options: [...someLoadFlags("revision"), option("--json", "one JSON object: model, path, fetchedBytes")],
  examples: [
    "pull Qwen/Qwen3-0.6B",
    "pull org/name:Q4_K_M",
    "pull org/name --revision v1.0",
    "pull https://huggingface.co/org/name/blob/main/name-Q8_0.gguf",
  ],
  async run([model = ""], parsed) {
    using interrupt = onInterrupt();
    const bar = loadBar();
    const fetched = new FetchedBytes();
    const start = performance.now();
    try {
      const path = await pullModel(model, {
        ...loadOptionsOf(parsed),
        signal: interrupt.signal,
        onProgress(progress) {
          fetched.add(progress);
          bar.onProgress(progress);
        },
      });
      bar.stop();
      const { bytes } = fetched;
      const ms = performance.now() - start;
      if (parsed["json"]) printJson({ model, path, fetchedBytes: bytes });
      else print(path);
      if (bytes === 0) note("all of it is there");
      else note(`${size(bytes)} in ${duration(ms)} (${size((1000 * bytes) / ms)}/s)`);
      return exit.fine;
    } finally {
      bar.stop();
    }
  },
};

/** What has come in this run: the first report of a file has what was there before. */
class FetchedBytes {
  readonly #files = new Map<string, { readonly first: number; readonly last: number }>();

  get bytes(): number {
    return [...this.#files.values()].reduce((sum, { first, last }) => sum + last - first, 0);
  }

  add({ file, loaded }: LoadProgress): void {
    if (file !== undefined)
      this.#files.set(file, { first: this.#files.get(file)?.first ?? loaded, last: loaded });
  }
}
