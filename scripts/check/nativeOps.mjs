// The text of lib/device/nativeOps.ts: what each native op takes from JavaScript, read from its bind function. format.mjs writes it.
import { readFileSync } from "node:fs";
import path from "node:path";
import { readOps, root } from "../build/nativeSources.mjs";

export const nativeOpsFile = "lib/device/nativeOps.ts";

/** What a method of native/bind/arguments.h reads, by its name: a kind of lib/device/nativeOps.ts. */
const kinds = new Map([
  ["tensor", "tensor"],
  ["optional_tensor", "tensor or null"],
  ["weight", "weight"],
  ["optional_weight", "weight or null"],
  ["f32", "number"],
  ["i32", "number"],
  ["flag", "flag"],
]);

/** @param {string} name snake_case @returns {string} camelCase */
const camelCase = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

/** @param {import("../build/nativeSources.mjs").Op} op @returns {string} its line in the interface */
function line(op) {
  const file = `native/ops/${op.name}/${op.name}.bind.cc`;
  const text = readFileSync(path.join(root, file), "utf8");
  const reads = [...text.matchAll(/p\.(\w+) = [^;]*?args\.(\w+)\(\)/g)];
  if (reads.length !== [...text.matchAll(/args\.(?!submit)/g)].length)
    throw new Error(`${file}: every argument is read in a statement of its own, "p.name = args.kind();"`);
  const fields = reads.map(([, name = "", kind = ""]) => `${camelCase(name)}: "${kinds.get(kind)}"`);
  return `  readonly ${op.js}: NativeOp<[${fields.join(", ")}]>;`;
}

/** @returns {Promise<string>} the text of lib/device/nativeOps.ts */
export async function nativeOpsText() {
  const lines = readOps().map(line);
  const text = `/**
 * What crosses the boundary in a call of each op, in order. Written by \`npm run format\` from the bind functions,
 * native/ops/<op>/<op>.bind.cc.
 */
import type { NativeOp } from "./nativeOp.js";

export interface NativeOps {
${lines.join("\n")}
}
`;
  const prettier = await import("prettier");
  const options = await prettier.resolveConfig(path.join(root, nativeOpsFile));
  return prettier.format(text, { ...options, parser: "typescript" });
}
