import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs, type ParseArgsConfig } from "node:util";

type Options = NonNullable<ParseArgsConfig["options"]>;

/**
 * The options of a bench. `--help` prints the comment at the head of its file; an option that there is not does so behind what is wrong.
 * Either ends the process.
 *
 * @param url `import.meta.url` of the bench
 */
export function benchArgs<const T extends Options>(
  url: string,
  options: T,
): ReturnType<typeof parseArgs<{ options: T }>>["values"] {
  const isHelp = process.argv.slice(2).some((word) => word === "--help" || word === "-h");
  try {
    if (!isHelp) return parseArgs({ options }).values;
  } catch (error) {
    console.error(`${(error as Error).message}\n`);
  }
  (isHelp ? console.log : console.error)(headOf(readFileSync(fileURLToPath(url), "utf8")));
  process.exit(isHelp ? 0 : 2);
}

/** The text of the first comment. */
function headOf(source: string): string {
  const comment = /\/\*\*\n(.*?)\*\//s.exec(source)?.[1] ?? "";
  return comment.replaceAll(/^ \* ?/gm, "").trimEnd();
}
