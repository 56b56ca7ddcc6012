/** From whatever a command threw to one line on stderr that says what to do next, and an exit status. */
import { exit } from "./command.js";
import { printError } from "./terminal.js";

/** The command line is wrong. */
export class UsageError extends Error {}

/** A command ends with one line, and status 1. */
export class CommandError extends Error {}

/** The user ended it: Ctrl-C, or SIGTERM. */
export class Interrupted extends Error {
  constructor(readonly status: number) {
    super("interrupted");
  }
}

/** What to do about errors of the library whose messages do not say it in words of the command line. */
const advice: Readonly<Record<string, string>> = {
  ERR_NATIVE_LOAD: "npx warploop build compiles the addon, npx warploop doctor says what there is",
  ERR_CAPACITY: "try a shorter --context, a larger --kv-cache, or --kv-dtype int8",
  ERR_OUT_OF_MEMORY: "try --quantize int4, a shorter --context, or --device cpu",
  ERR_HUB_NETWORK: "the same command goes on with what has arrived",
  ERR_HUB_UNAUTHORIZED: "set HF_TOKEN to a token that may read it (https://huggingface.co/settings/tokens)",
  ERR_HUB_OFFLINE: "unset HF_HUB_OFFLINE to download it",
  ERR_CHAT_TEMPLATE: "npx warploop run <model> --raw gives it your text as it is",
  ERR_CONTEXT_LENGTH: "--context gives a longer one",
};

/**
 * @param command its name, for the way to its help; undefined: none was found
 * @param flagOf the flag of an option of the library
 * @returns the exit status
 */
export function report(
  error: unknown,
  command: string | undefined,
  flagOf: (libraryName: string) => string | undefined = () => undefined,
): number {
  if (error instanceof Interrupted) return error.status;
  if (error instanceof UsageError) return refuse(error.message, command);
  if (error instanceof CommandError) return fail(error.message);
  if (!(error instanceof Error && "code" in error && typeof error.code === "string")) {
    printError(`this is a fault of warploop: ${stackOf(error)}`);
    return exit.failed;
  }
  const [, name = "", problem = ""] = /^(\w+): ([\s\S]*)$/.exec(error.message) ?? [];
  const flag = flagOf(name);
  const message = flag === undefined ? error.message : `${flag}: ${problem}`;
  if (flag !== undefined && /^ERR_ARGUMENT/.test(error.code)) return refuse(message, command);
  const hint = advice[error.code];
  return fail(hint === undefined ? message : `${message}; ${hint}`);
}

function refuse(message: string, command: string | undefined): number {
  printError(`${message}; see npx warploop ${command === undefined ? "" : `${command} `}--help`);
  return exit.usage;
}

function fail(message: string): number {
  printError(message.replaceAll(/\s*\n\s*/g, " "));
  return exit.failed;
}

const stackOf = (error: unknown): string => (error instanceof Error && error.stack) || String(error);
