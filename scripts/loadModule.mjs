// Modules of the library and of its command line: compiled, of the package, or in TypeScript, of a clone.
import { existsSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./build/nativeSources.mjs";

/**
 * @param {string} name such as "lib/index"
 * @returns {Promise<any>} what it exports
 */
export async function loadModule(name) {
  const source = path.join(root, `${name}.ts`);
  if (!existsSync(source)) return import(pathToFileURL(path.join(root, "dist", `${name}.js`)).href);
  // For the whole process: threads that a module starts look at its own address, which tsImport would change.
  const { register } = await import("tsx/esm/api");
  register();
  return import(pathToFileURL(source).href);
}
