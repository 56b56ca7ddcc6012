/** `warploop list`: what is in the cache of the hub. */
import { type CachedModel, listCachedModels } from "../lib/index.js";
import { type CommandDefinition, exit } from "./command.js";
import { size } from "./format.js";
import { option } from "./optionValues.js";
import { note, print, printJson, styled, table } from "./terminal.js";

export const command: CommandDefinition = {
  usage: "",
  about:
    "Lists the models in the cache of the Hugging Face hub, which Python programs share, by the names that other commands take. The folder " +
    "of the cache is that of HF_HUB_CACHE or HF_HOME.",
  options: [option("--json", "one JSON object: folder, bytes, models")],
  examples: ["list", "list --json | jq -r '.models[].name'"],
  async run(_, parsed) {
    const { folder, models, bytes } = await listCachedModels();
    if (parsed["json"]) {
      printJson({ folder, bytes, models });
      return exit.fine;
    }
    if (models.length === 0) {
      note(`there is no model in ${folder}; npx warploop pull <model> fetches one`);
      return exit.fine;
    }
    const rows = models.map((model) => [model.name, stateOf(model), size(model.bytes), ago(model.modified)]);
    for (const [i, line] of table([["model", "", "size", "when"], ...rows], 2).entries())
      print(i === 0 ? styled("dim", line) : line);
    note(`${size(bytes)} in ${folder}`);
    return exit.fine;
  },
};

const stateOf = ({ missing }: CachedModel): string =>
  missing === undefined ? "" : `not all there: ${missing}`;

const units = [
  ["minute", 60],
  ["hour", 60],
  ["day", 24],
  ["week", 7],
] as const;

/** "3 hours ago" */
export function ago(when: Date, now = Date.now()): string {
  const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  let value = (now - Number(when)) / 1000;
  let unit: Intl.RelativeTimeFormatUnit = "second";
  for (const [name, per] of units) {
    if (value < per) break;
    [value, unit] = [value / per, name];
  }
  return format.format(-Math.floor(value), unit);
}
