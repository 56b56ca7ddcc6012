// Finds the built addon and asks it what it is, in a child process, so that a broken binary cannot take the caller down.
// Places and order are those of lib/device/nativeLoader.ts: the addon that was built last comes first, then prebuilt ones.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { root } from "./nativeSources.mjs";
import { prebuiltHere } from "./prebuilt.mjs";

/** Where each kind of build leaves the addon, relative to the package. */
export const binaries = {
  cuda: "build-cuda/Release/warploop.node",
  "cmake-js": "build/Release/warploop.node",
  "node-gyp": "build-gyp/Release/warploop.node",
};

/**
 * @typedef {{ name: string, detail: string, problem: string }} DeviceEntry `problem` is empty when it can be used
 * @typedef {{ compiler: string, isas?: string[], isa?: string | null, physicalCores?: number, cuda?: string, devices: DeviceEntry[] }} AddonInfo
 * @typedef {{ path: string, info?: AddonInfo, error?: string }} Probe
 */

const probeScript = `
  const addon = require(process.argv[1]);
  process.stdout.write(JSON.stringify(addon.info()));
`;

/**
 * Loads one binary in a child process.
 * @param {string} file absolute path
 * @returns {Probe} `info` when it loads, otherwise `error`
 */
export function probeAddon(file) {
  if (!existsSync(file)) return { path: file, error: "no such file" };
  const child = spawnSync(process.execPath, ["-e", probeScript, file], { encoding: "utf8", timeout: 30_000 });
  if (child.status === 0) return { path: file, info: JSON.parse(child.stdout) };
  const message = child.stderr.split("\n").find((line) => /Error/.test(line));
  return { path: file, error: message?.trim() ?? `ended with ${child.signal ?? `status ${child.status}`}` };
}

/** @param {string} file @returns {number} milliseconds; 0 when it is not there */
function builtAt(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** @returns {Probe[]} of the packages with a prebuilt addon that fit this system, in order */
export function probePrebuilt() {
  return prebuiltHere().map(({ path: file, problem }) =>
    problem === undefined ? probeAddon(file) : { path: file, error: problem },
  );
}

/** @returns {Probe[]} every place that is looked at, in order; the first with `info` is the one that is used */
export function probeAll() {
  const chosen = process.env["WARPLOOP_BINARY"];
  if (chosen) return [probeAddon(path.resolve(chosen))];
  const built = Object.values(binaries).map((file) => path.join(root, file));
  built.sort((a, b) => builtAt(b) - builtAt(a));
  return [...built.map(probeAddon), ...probePrebuilt()];
}
