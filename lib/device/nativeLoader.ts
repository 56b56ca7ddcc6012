/**
 * Finds and loads the native addon. Knows where it can be and what to tell the user when it is not there; what is in
 * it is the business of native.ts. `npx warploop doctor` looks in the same places (scripts/build/addon.mjs).
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { binaryOverride } from "../env.js";
import { NativeLoadError } from "../errors.js";
import { type AddonPlace, prebuiltPackages, prebuiltPlace } from "./prebuilt.js";

/** One place that was looked at, and why the addon did not come from there. */
interface LoadAttempt {
  readonly path: string;
  readonly reason: string;
}

/** The package that this file is part of. */
interface Package {
  readonly root: string;
  readonly version: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const builtBinaries = ["build-cuda", "build", "build-gyp"].map((folder) => `${folder}/Release/warploop.node`);
const oldestNodeApi = 9;

/**
 * Loads the addon: the file that WARPLOOP_BINARY names, or else the one that was built last, with CUDA (build-cuda), with
 * cmake-js (build) or with node-gyp (build-gyp), or else that of a package with a prebuilt one. All of them have the CPU device.
 *
 * @returns the exports of the addon; native.ts gives them their type
 * @throws NativeLoadError (ERR_NATIVE_LOAD) with every attempt and what to do about it
 */
export function loadAddon(): unknown {
  const self = findPackage();
  if (self === undefined) throw new NativeLoadError(bundled, []);
  const require = createRequire(import.meta.url);
  const attempts: LoadAttempt[] = [];
  for (const { path: file, problem } of places(self, require)) {
    if (problem !== undefined) {
      attempts.push({ path: file, reason: problem });
      continue;
    }
    try {
      return require(file);
    } catch (error) {
      attempts.push({ path: file, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  throw new NativeLoadError(describe(attempts, self), attempts);
}

const bundled =
  "The native addon of warploop cannot be found from a bundle, and neither can the files of its worker threads. Leave the package " +
  "external, so that it is loaded from node_modules: `esbuild --external:warploop`, `externals` of webpack, `ssr.external` of Vite.";

/** This file is in lib/device of a clone and in dist/lib/device of the package; elsewhere a bundler has put it. */
function findPackage(): Package | undefined {
  const here = import.meta.url as string | undefined; // a bundle in CommonJS has none
  if (here === undefined) return undefined;
  for (const up of ["../../", "../../../"]) {
    const root = fileURLToPath(new URL(up, here));
    const file = path.join(root, "package.json");
    if (!existsSync(file)) continue;
    const manifest = JSON.parse(readFileSync(file, "utf8")) as Omit<Package, "root"> & { name?: string };
    if (manifest.name === "warploop") return { ...manifest, root };
  }
  return undefined;
}

function places(self: Package, require: ReturnType<typeof createRequire>): AddonPlace[] {
  const override = binaryOverride();
  if (override !== undefined) return [builtPlace(path.resolve(override))];
  const built = builtBinaries.map((file) => path.join(self.root, file));
  built.sort((a, b) => builtAt(b) - builtAt(a));
  const prebuilt = prebuiltPackages().map((name) => prebuiltPlace(name, self.version, require));
  return [...built.map(builtPlace), ...prebuilt];
}

function builtPlace(file: string): AddonPlace {
  return existsSync(file) ? { path: file } : { path: file, problem: "no such file" };
}

/** Milliseconds; 0 when the file is not there. */
function builtAt(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function describe(attempts: readonly LoadAttempt[], self: Package): string {
  const tried = attempts.map(({ path: file, reason }) => `  ${file}: ${reason}`).join("\n");
  return `The native addon of warploop could not be loaded.\n${tried}\n${remedy(attempts, self)}`;
}

function remedy(attempts: readonly LoadAttempt[], self: Package): string {
  const has = (reason: RegExp) => attempts.some((attempt) => reason.test(attempt.reason));
  if (Number(process.versions.napi) < oldestNodeApi) {
    return `Node ${process.version} has Node-API ${process.versions.napi}; warploop needs ${oldestNodeApi}: use Node 20.19 or newer.`;
  }
  if (binaryOverride() !== undefined)
    return "WARPLOOP_BINARY names that file: correct it, or unset it to load the addon that was built.";
  const other = attempts.map(({ reason }) => /^(\S+) has version/.exec(reason)?.[1]);
  const name = other.find((one) => one !== undefined);
  if (name !== undefined) {
    return `Install both in one version, here \`npm install ${name}@${self.version}\`, or run \`npx warploop build\`.`;
  }
  if (attempts.every(({ reason }) => /^no such file$|^not installed$/.test(reason))) return missing(self);
  if (has(/GLIBC|ELF|wrong architecture|invalid image/)) {
    return "It was built on another system, or for a newer one: run `npx warploop build --force` on this one.";
  }
  return "Run `npx warploop build --force`, and `npx warploop doctor` to see the result.";
}

/** What to do where no addon is at all. */
function missing(self: Package): string {
  const name = prebuiltPackages().find((one) => self.optionalDependencies?.[one] !== undefined);
  if (name === undefined) {
    return (
      "It has not been built, and this version has no prebuilt one for this system: run `npx warploop build`. npm 12, pnpm and Bun block " +
      "the install scripts of packages, so this step is needed there."
    );
  }
  return (
    `The package ${name} has it, and was left out: by \`--omit=optional\` (or \`omit\` in .npmrc), or by a lock file that was made on another ` +
    "platform. Install without that option, and with node_modules and the lock file deleted: npm then notes the packages of every " +
    "platform. Or compile the addon: `npx warploop build`."
  );
}
