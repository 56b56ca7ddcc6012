/**
 * The packages with a prebuilt addon: which of them fit this system, and whether what is installed of them can be used. Optional
 * dependencies of warploop, or installed by name (CUDA). `scripts/build/prebuilt.mjs` has the same for what runs before a build.
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

/** A place where the addon can be; `problem` says why it is not loaded from there. */
export interface AddonPlace {
  readonly path: string;
  readonly problem?: string;
}

const targets = ["linux-x64", "linux-x64-musl", "linux-arm64", "darwin-arm64", "linux-x64-cuda"];

/**
 * @returns names of packages in the order in which they are looked for, CUDA first; none: on this system the addon has to be compiled
 */
export function prebuiltPackages(
  platform: string = process.platform,
  arch: string = process.arch,
  libc: string | null = libcFamily(),
): string[] {
  const system = `${platform}-${arch}${libc === "musl" ? "-musl" : ""}`;
  return [`${system}-cuda`, system].filter((one) => targets.includes(one)).map((one) => `@warploop/${one}`);
}

/** Not by an import: a bundle of ES modules that had taken it in would not load, and so not say what is wrong with bundles. */
function libcFamily(): string | null {
  const require = createRequire(import.meta.url);
  return (require("detect-libc") as { familySync: () => string | null }).familySync();
}

/**
 * @param name of the package
 * @param version of the library: that of the package has to be the same
 * @param require of the library's files
 */
export function prebuiltPlace(
  name: string,
  version: string,
  require: ReturnType<typeof createRequire>,
): AddonPlace {
  let manifest: string;
  try {
    manifest = require.resolve(`${name}/package.json`);
  } catch {
    return { path: name, problem: "not installed" };
  }
  const file = path.join(path.dirname(manifest), "warploop.node");
  const found = (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
  if (found !== version)
    return { path: file, problem: `${name} has version ${found}, warploop has version ${version}` };
  return existsSync(file) ? { path: file } : { path: file, problem: "no such file" };
}
