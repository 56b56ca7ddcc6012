/**
 * Finds and loads the native addon. Knows where it can be and what to tell the user when it is not there; what is in
 * it is the business of native.ts. `npx warploop doctor` looks in the same places (scripts/build/addon.mjs).
 */
import { existsSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { binaryOverride } from "../env.js";
import { NativeLoadError } from "../errors.js";

/** One place that was looked at, and why the addon did not come from there. */
interface LoadAttempt {
  readonly path: string;
  readonly reason: string;
}

/** The file is in lib/device of a clone, in dist/lib/device of the package. */
const packageRoot = ["../../", "../../../"]
  .map((up) => fileURLToPath(new URL(up, import.meta.url)))
  .find((folder, i) => i > 0 || existsSync(path.join(folder, "package.json")))!;
const builtBinaries = ["build-cuda", "build", "build-gyp"].map((folder) => `${folder}/Release/warploop.node`);
const oldestNodeApi = 9;

/**
 * Loads the addon: the file that WARPLOOP_BINARY names, or else the one that was built last, with CUDA (build-cuda), with
 * cmake-js (build) or with node-gyp (build-gyp). All of them have the CPU device.
 *
 * @returns the exports of the addon; native.ts gives them their type
 * @throws NativeLoadError (ERR_NATIVE_LOAD) with every attempt and what to do about it
 */
export function loadAddon(): unknown {
  const override = binaryOverride();
  const candidates = override
    ? [path.resolve(override)]
    : builtBinaries.map((file) => path.join(packageRoot, file)).sort((a, b) => builtAt(b) - builtAt(a));
  const require = createRequire(import.meta.url);
  const attempts: LoadAttempt[] = [];
  for (const file of candidates) {
    if (!existsSync(file)) {
      attempts.push({ path: file, reason: "no such file" });
      continue;
    }
    try {
      return require(file);
    } catch (error) {
      attempts.push({ path: file, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  throw new NativeLoadError(describe(attempts, override !== undefined), attempts);
}

/** Milliseconds; 0 when the file is not there. */
function builtAt(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function describe(attempts: readonly LoadAttempt[], isOverride: boolean): string {
  const tried = attempts.map(({ path: file, reason }) => `  ${file}: ${reason}`).join("\n");
  return `The native addon of warploop could not be loaded.\n${tried}\n${remedy(attempts, isOverride)}`;
}

function remedy(attempts: readonly LoadAttempt[], isOverride: boolean): string {
  if (Number(process.versions.napi) < oldestNodeApi) {
    return `Node ${process.version} has Node-API ${process.versions.napi}; warploop needs ${oldestNodeApi}: use Node 20.19 or newer.`;
  }
  if (isOverride)
    return "WARPLOOP_BINARY names that file: correct it, or unset it to load the addon that was built.";
  if (attempts.every(({ reason }) => reason === "no such file")) {
    return (
      "It has not been built: run `npx warploop build`. npm 12, pnpm and Bun block the install scripts of packages, " +
      "so this step is needed there."
    );
  }
  if (attempts.some(({ reason }) => /GLIBC|ELF|wrong architecture|invalid image/.test(reason))) {
    return "It was built on another system: run `npx warploop build --force` on this one.";
  }
  return "Run `npx warploop build --force`, and `npx warploop doctor` to see the result.";
}
