// The text of lib/device/nativeOps.ts: what each native op takes from JavaScript, read from the `fields` beside its Params. format.mjs writes it.
import { readFileSync } from "node:fs";
import path from "node:path";
import { readOps, root } from "../build/nativeSources.mjs";

export const nativeOpsFile = "lib/device/nativeOps.ts";

/** What the boundary takes for a field of Params, by its type: a kind of lib/device/nativeOps.ts. The others are numbers. */
const kinds = new Map([
  ["TensorView", "tensor"],
  ["WeightView", "weight"],
  ["StoredView", "stored rows"],
  ["bool", "flag"],
]);

/** @param {string} name snake_case @returns {string} camelCase */
const camelCase = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

/** @param {string} text a header @param {string} struct @returns {Map<string, string>} its members and their types */
function membersOf(text, struct) {
  const body =
    new RegExp(`struct ${struct} \\{(.*?)^\\};`, "ms").exec(text.replace(/\/\/.*/g, ""))?.[1] ?? "";
  const declarations = [...body.matchAll(/^ {2}(\w+)\s+(\w+(?:, \w+)*);/gm)];
  return new Map(
    declarations.flatMap(([, type = "", names = ""]) => names.split(", ").map((name) => [name, type])),
  );
}

/** @param {import("../build/nativeSources.mjs").Op} op @returns {string} its line in the interface */
function line(op) {
  const file = `native/ops/${op.name}/${op.name}.h`;
  const text = readFileSync(path.join(root, file), "utf8");
  const members = membersOf(text, `${op.type}Params`);
  const order = new RegExp(
    `fields\\(${op.type}Params& p\\) \\{\\s*return in_order\\((.*?)\\);\\s*\\}`,
    "s",
  ).exec(text)?.[1];
  if (order === undefined) throw new Error(`${file}: no function "fields" that returns in_order(...)`);
  const fields = [...order.matchAll(/(optional\()?p\.(\w+)/g)].map(([, optional, name = ""]) => {
    const type = members.get(name);
    if (!members.delete(name)) throw new Error(`${file}: "fields" has ${name} twice, or it is no member`);
    return `${camelCase(name)}: "${kinds.get(type ?? "") ?? "number"}${optional ? " or null" : ""}"`;
  });
  if (members.size > 0) throw new Error(`${file}: "fields" leaves out ${[...members.keys()].join(", ")}`);
  return `  readonly ${op.js}: NativeOp<[${fields.join(", ")}]>;`;
}

/** @returns {Promise<string>} the text of lib/device/nativeOps.ts */
export async function nativeOpsText() {
  const lines = readOps().map(line);
  const text = `/**
 * What crosses the boundary in a call of each op, in order. Written by \`npm run format\` from \`fields\` in
 * native/ops/<op>/<op>.h.
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
