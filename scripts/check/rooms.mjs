// Which folder of lib/ may import which: one table, read by ESLint (eslint.config.mjs). Arrows point down only, so there is
// no circle of folders.
import path from "node:path";
import { fileURLToPath } from "node:url";

/**
 * From bottom to top, what a folder may import beside itself and the files that stand directly in lib/ (errors, env,
 * checks of arguments, turns of the event loop; those import each other only). A name that ends in .js is a single file.
 * @type {Record<string, readonly string[]>}
 */
export const rooms = {
  checkpoint: [], // files without tensors
  device: [], // the typed layer over the addon; device/native.js calls it
  ops: ["device", "device/native.js"],
  nn: ["device", "ops"],
  quantization: ["checkpoint"], // configs of quantised checkpoints
  weights: ["checkpoint", "device", "device/native.js", "ops", "quantization"],
  models: ["checkpoint", "device", "ops", "nn", "quantization", "weights"],
  "text/jinja": [],
  text: ["checkpoint", "device/native.js", "text/jinja"],
  gguf: ["checkpoint", "weights", "text"],
  schedule: [], // pure: no device
  engine: ["device", "ops", "nn", "models", "schedule"],
  "grammar/syntax": [], // grammars and expressions, as the addon reads them
  "grammar/schema": ["grammar/syntax"],
  "grammar/ebnf": ["grammar/syntax"],
  "grammar/tags": ["grammar/syntax", "grammar/schema", "grammar/ebnf"], // texts in parts: tool calls
  // forms of texts, as constraints of the engine
  grammar: [
    "checkpoint",
    "device",
    "device/native.js",
    "text",
    "engine",
    "grammar/syntax",
    "grammar/schema",
    "grammar/ebnf",
    "grammar/tags",
  ],
  llm: [
    "checkpoint",
    "device",
    "quantization",
    "weights",
    "nn",
    "models",
    "text",
    "gguf",
    "schedule",
    "engine",
    "grammar",
  ],
  export: ["checkpoint", "device", "ops", "weights", "gguf", "llm"], // checkpoints that are written
};

/**
 * The rooms above lib/, each an entry point of the package (lib/ loads none of them), from bottom to top: which of each other
 * they may import, by its index.js, as lib/ by its own. A name that ends in .js is a single file.
 * @type {Record<string, readonly string[]>}
 */
export const upperRooms = {
  toolcalls: [], // tool calls and reasoning in what models write
  server: ["toolcalls", "lib/llm/generationStream.js"], // HTTP; its engines in other processes write into streams
  providers: ["toolcalls"], // of other libraries' interfaces
  cli: ["toolcalls", "server"], // the command line
};

const root = fileURLToPath(new URL("../..", import.meta.url));
const nativeFiles = [
  "device/native.js",
  "device/nativeLoader.js",
  "device/nativeOp.js",
  "device/nativeOps.js",
];

/** @returns {string[]} what is wrong with the table: a name that does not stand above its room, and so could close a circle */
export function tableProblems(table = rooms) {
  const order = Object.keys(table);
  return Object.entries(table).flatMap(([room, allowed]) =>
    allowed
      .filter((name) => {
        if (name.startsWith("lib/")) return false; // below every upper room
        const at = order.indexOf(name.endsWith(".js") ? path.posix.dirname(name) : name);
        return at === -1 || at >= order.indexOf(room);
      })
      .map((name) => `${name} does not stand above ${room}`),
  );
}

/**
 * @param {string} file relative to lib/, of the file that imports
 * @param {string} specifier what it imports, as written
 * @returns {string | undefined} what is wrong
 */
export function arrowProblem(file, specifier, table = rooms) {
  if (!specifier.startsWith(".") || file === "index.ts") return undefined;
  const room = path.posix.dirname(file);
  const target = path.posix.join(room, specifier);
  const targetRoom = path.posix.dirname(target);
  if (target.startsWith("../")) return `lib/ imports nothing from outside, as ${target.slice(3)}`;
  if (target === "index.js") return "lib/index.ts is the public face: nothing in lib/ imports it";
  if (targetRoom === room || targetRoom === ".") return undefined;
  if (room === ".") return `files directly in lib/ import no folder, as ${targetRoom}`;
  const allowed = table[room];
  if (!allowed) return `lib/${room} is not in the table of scripts/check/rooms.mjs`;
  if (nativeFiles.includes(target) ? allowed.includes("device/native.js") : allowed.includes(targetRoom))
    return undefined;
  return `lib/${room} may import ${allowed.join(", ") || "no other folder"}, not ${target}`;
}

/**
 * @param {string} file relative to the repository, in a room above lib/
 * @param {string} specifier what it imports, as written
 * @returns {string | undefined} what is wrong
 */
export function upperArrowProblem(file, specifier) {
  if (!specifier.startsWith(".")) return undefined;
  const [room = ""] = file.split("/");
  const target = path.posix.join(path.posix.dirname(file), specifier);
  const faces = ["lib", ...(upperRooms[room] ?? [])].map((name) =>
    name.endsWith(".js") ? name : `${name}/index.js`,
  );
  if (target.startsWith(`${room}/`) || faces.includes(target)) return undefined;
  return `${room}/ may import ${faces.join(", ")}, not ${target}`;
}

/** @type {import("eslint").Rule.RuleModule} */
const arrows = {
  create(context) {
    const file = path.relative(root, context.filename).replaceAll(path.sep, "/");
    const problemOf = (/** @type {string} */ specifier) =>
      file.startsWith("lib/")
        ? arrowProblem(file.slice("lib/".length), specifier)
        : upperArrowProblem(file, specifier);
    /** @param {any} node with a source that is perhaps a literal */
    const check = (node) => {
      const specifier = node.source?.value;
      const message = typeof specifier === "string" ? problemOf(specifier) : undefined;
      if (message) context.report({ node: node.source, message });
    };
    return {
      ImportDeclaration: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
      ImportExpression: check,
      TSImportType: check,
    };
  },
};

export const roomsPlugin = { rules: { arrows } };
