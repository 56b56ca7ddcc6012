// Finds the built addon and asks it what it is, in a child process, so that a broken binary cannot take the caller down.
// The order of the places is the one of lib/nativeLoader.ts.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { root } from "./nativeSources.mjs";

/** Where each build tool leaves the addon, relative to the package. */
export const binaries = {
  "cmake-js": "build/Release/warploop.node",
  "node-gyp": "build-gyp/Release/warploop.node",
};

/**
 * @typedef {{ compiler: string, isas: string[], isa: string | null, physicalCores: number }} AddonInfo
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

/** @returns {Probe[]} every place that is looked at, in order; the first with `info` is the one that is used */
export function probeAll() {
  const chosen = process.env["WARPLOOP_BINARY"];
  const files = chosen
    ? [path.resolve(chosen)]
    : Object.values(binaries).map((file) => path.join(root, file));
  return files.map(probeAddon);
}
