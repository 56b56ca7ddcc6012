// The packages with a prebuilt addon, for what runs before the library is compiled. Names and order are those of lib/device/prebuilt.ts
// (test/package/prebuilt.test.ts compares them); what each of them is made of is in scripts/packages.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import libc from "detect-libc";
import { root } from "./nativeSources.mjs";

/** For which systems there are packages, as package.json says it. */
export const targets = {
  "linux-x64": { os: "linux", cpu: "x64", libc: "glibc" },
  "linux-x64-musl": { os: "linux", cpu: "x64", libc: "musl" },
  "linux-arm64": { os: "linux", cpu: "arm64", libc: "glibc" },
  "darwin-arm64": { os: "darwin", cpu: "arm64" },
  "linux-x64-cuda": { os: "linux", cpu: "x64", libc: "glibc" },
};

/**
 * @typedef {keyof typeof targets} Target
 * @typedef {{ name: string, path: string, problem?: string }} Prebuilt path: of the addon, or the name where nothing is installed
 */

/**
 * @param {string} [platform]
 * @param {string} [arch]
 * @param {string | null} [family] of the C library
 * @returns {Target[]} those that run here, in the order in which they are looked for
 */
export function targetsHere(platform = process.platform, arch = process.arch, family = libc.familySync()) {
  const system = `${platform}-${arch}${family === "musl" ? "-musl" : ""}`;
  return /** @type {Target[]} */ ([`${system}-cuda`, system].filter((one) => one in targets));
}

/** @returns {{ version: string, license: string, engines: object, devDependencies: Record<string, string> }} package.json */
export function readManifest() {
  return JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
}

/** @returns {Prebuilt[]} the packages that fit this system */
export function prebuiltHere() {
  const require = createRequire(path.join(root, "package.json"));
  const { version } = readManifest();
  return targetsHere().map((target) => {
    const name = `@warploop/${target}`;
    let manifest;
    try {
      manifest = require.resolve(`${name}/package.json`);
    } catch {
      return { name, path: name, problem: "not installed" };
    }
    const file = path.join(path.dirname(manifest), "warploop.node");
    const found = JSON.parse(readFileSync(manifest, "utf8")).version;
    if (found !== version)
      return { name, path: file, problem: `${name} has version ${found}, warploop has version ${version}` };
    return existsSync(file) ? { name, path: file } : { name, path: file, problem: "no such file" };
  });
}
