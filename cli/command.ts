/** What a command of the terminal is: a row of cli/commands.ts leads to one. */
import type { Option } from "commander";

export interface CommandDefinition {
  /** Behind the name: "<model> [prompt...]" */
  readonly usage: string;
  /** What it does, in a sentence or two. */
  readonly about: string;
  readonly options: readonly Option[];
  /** What somebody would type, without "npx warploop". */
  readonly examples: readonly string[];
  /**
   * @param args what stands for `usage`; a last one in dots is all that is left
   * @param options by the names of `options` in camel case
   * @returns the exit status
   */
  run(args: readonly string[], options: Readonly<Record<string, unknown>>): Promise<number>;
}

/** Exit statuses. */
export const exit = { fine: 0, failed: 1, usage: 2, interrupted: 130 } as const;
