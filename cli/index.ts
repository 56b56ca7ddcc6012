/** `npx warploop`: finds the command, reads its options and runs it. scripts/cli.mjs calls it for all that it does not do itself. */
import { Command, CommanderError } from "commander";
import { closest, distance } from "fastest-levenshtein";
import { type CommandDefinition, exit } from "./command.js";
import { type CommandRow, commands } from "./commands.js";
import { report, UsageError } from "./failure.js";
import { flagOfLibraryName } from "./loadOptions.js";
import { print, styled, table } from "./terminal.js";

/** @param args behind `warploop` @returns the exit status */
export async function main(args: readonly string[]): Promise<number> {
  if (!process.stdout.listeners("error").includes(endQuietly)) process.stdout.on("error", endQuietly);
  const [first, ...rest] = args[0] === "help" ? [...args.slice(1), "--help"] : args;
  const row = commands.find(({ name }) => name === first);
  try {
    if (row?.load) return await runCommand(row.name, (await row.load()).command, rest);
    if (first === undefined || first === "--help" || first === "-h") {
      print(overview());
      return args.length === 0 ? exit.usage : exit.fine;
    }
    throw first.startsWith("-")
      ? new UsageError(`expected a command before ${first}`)
      : unknownCommand(first);
  } catch (error) {
    return report(error, row?.name, flagOfLibraryName);
  }
}

/** When nobody reads on: `warploop run ... | head` is no failure. */
function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(exit.fine);
}

function unknownCommand(name: string): UsageError {
  const known = commands.map((row) => row.name);
  const likely = closest(name, known);
  const hint = distance(name, likely) <= 2 ? `did you mean "${likely}"?` : `known are ${known.join(", ")}`;
  return new UsageError(`unknown command "${name}"; ${hint}`);
}

function overview(): string {
  const rows = commands.map(({ name, summary }: CommandRow) => [`  ${name}`, summary]);
  return [
    "Usage: warploop <command> [options]",
    "",
    ...table(rows, 2),
    "",
    "  --help behind a command has its options and examples; --version says which warploop it is.",
    "  A model is a folder, a GGUF file, or an id of the Hugging Face hub: Qwen/Qwen3-0.6B, org/name:Q4_K_M,",
    "  org/name@revision. What is fetched is kept in the cache of the hub, which Python reads, too.",
    "",
    styled("dim", "  npx warploop chat Qwen/Qwen3-0.6B"),
  ].join("\n");
}

async function runCommand(
  name: string,
  definition: CommandDefinition,
  args: readonly string[],
): Promise<number> {
  const { usage, about, options, examples } = definition;
  let status: number = exit.fine;
  const parser = new Command(`warploop ${name}`)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .configureHelp({ helpWidth: process.stdout.columns || 100 })
    .description(about)
    .usage(`${usage} [options]`)
    .helpOption("-h, --help", "this text")
    .addHelpText("after", `\nExamples:\n${examples.map((line) => `  npx warploop ${line}`).join("\n")}`);
  for (const argument of usage.split(" ")) if (argument) parser.argument(argument);
  for (const option of options) parser.addOption(option);
  parser.action(async () => {
    status = await definition.run(parser.args, parser.opts());
  });
  try {
    await parser.parseAsync(args, { from: "user" });
    return status;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return exit.fine; // --help
    throw new UsageError(inOurWords(error.message));
  }
}

/** "error: unknown option '--forse'\n(Did you mean --force?)" as the messages of `warploop build` are. */
function inOurWords(message: string): string {
  return message
    .replace(/^error: /, "")
    .replace(/\s*\n?\(Did you mean (?:one of )?([^?]*)\?\)/, '; did you mean "$1"?')
    .replaceAll("'", '"')
    .replace(/^option "[^"]*(--[\w-]+)[^"]*" argument "[^"]*" is invalid\. /, "$1: ")
    .replace(/^missing required argument "(\w+)"/, "expected a $1")
    .replaceAll(/\s*\n\s*/g, " ");
}
