/**
 * What the examples have in common on the command line: --help, one line for what is wrong instead of a stack trace, and a quiet end
 * when the reader goes away (`| head`).
 */
import { parseArgs, type ParseArgsConfig } from "node:util";

type Options = NonNullable<ParseArgsConfig["options"]>;
type Config<O extends Options> = { options: O; allowPositionals: true };

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});
process.on("uncaughtException", (error) => stop(error, 1));

/** Ends the example with one line. */
function stop(error: Error, status: number): never {
  console.error(`${error.name === "Error" || status === 2 ? "" : `${error.name}: `}${error.message}`);
  process.exit(status);
}

/**
 * The arguments of an example.
 *
 * @param usage what --help prints
 * @param options as of parseArgs
 * @param takesText whether other arguments are a text
 */
export function readArguments<const O extends Options>(usage: string, options: O, takesText = false) {
  const config: Config<O & { help: { type: "boolean" } }> = {
    options: { ...options, help: { type: "boolean" } },
    allowPositionals: true,
  };
  try {
    const { values, positionals } = parseArgs(config);
    if ((values as { readonly help?: boolean }).help) {
      console.log(usage);
      process.exit(0);
    }
    if (!takesText && positionals.length > 0) throw new TypeError(`Unexpected argument '${positionals[0]}'`);
    return { values, text: positionals.join(" "), texts: positionals };
  } catch (error) {
    const { message } = error as Error;
    return stop(new Error(`${message.split(". ")[0]}; --help lists what there is`), 2);
  }
}

/** An option that is a number; undefined when it was not given. */
export function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== "" && !Number.isNaN(value)) return value;
  return stop(new Error(`--${name}: expected a number, got "${text}"; --help lists what there is`), 2);
}
