/** The commands of `npx warploop`, in the order of --help. A new one is a row here and a file that exports its definition. */
import type { CommandDefinition } from "./command.js";

export interface CommandRow {
  readonly name: string;
  readonly summary: string;
  /** Absent: scripts/cli.mjs runs it, before anything is compiled. */
  readonly load?: () => Promise<{ readonly command: CommandDefinition }>;
}

export const commands: readonly CommandRow[] = [
  { name: "run", summary: "answer a prompt, or go on with a text", load: () => import("./run.js") },
  { name: "chat", summary: "talk with a model", load: () => import("./chat.js") },
  { name: "serve", summary: "answer OpenAI's HTTP routes", load: () => import("./serve.js") },
  { name: "info", summary: "what a model is, and what it takes here", load: () => import("./info.js") },
  { name: "pull", summary: "fetch a model of the hub", load: () => import("./pull.js") },
  { name: "list", summary: "models in the cache", load: () => import("./list.js") },
  { name: "rm", summary: "remove a model from the cache", load: () => import("./rm.js") },
  { name: "bench", summary: "measure how fast a model is here", load: () => import("./bench.js") },
  { name: "quantize", summary: "write a model with its matrices in codes" },
  { name: "doctor", summary: "what was built, and which devices answer" },
  { name: "build", summary: "compile the native addon" },
];
