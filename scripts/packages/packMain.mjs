// `npm run pack:main`: the tarball of warploop as it is published: packages/warploop-<version>.tgz, in which the packages with a prebuilt
// addon that lie beside it are optional dependencies at exactly this version. They stand in that manifest alone: while the registry does
// not have them, a lock file does not either, and `npm ci` refuses a lock file that lacks them.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { root } from "../build/nativeSources.mjs";
import { readManifest, targets } from "../build/prebuilt.mjs";
import { packagesFolder } from "./packPrebuilt.mjs";

/**
 * @param {string} [out] the folder where the other packages lie, and to which this one comes
 * @returns {string} the tarball
 */
export function packMain(out = path.join(root, packagesFolder)) {
  mkdirSync(out, { recursive: true });
  const scratch = mkdtempSync(path.join(os.tmpdir(), "warploop-pack-"));
  try {
    const plain = pack(root, scratch, []);
    execFileSync("tar", ["-xzf", plain, "-C", scratch]);
    const folder = path.join(scratch, "package");
    const file = path.join(folder, "package.json");
    const manifest = JSON.parse(readFileSync(file, "utf8"));
    const optionalDependencies = Object.fromEntries(prebuiltIn(out).map((name) => [name, manifest.version]));
    writeFileSync(file, `${JSON.stringify({ ...manifest, optionalDependencies }, null, 2)}\n`);
    return pack(folder, out, ["--ignore-scripts"]);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** @param {string} folder @param {string} out @param {string[]} options @returns {string} the tarball */
function pack(folder, out, options) {
  const all = [...options, "--json", "--silent", "--pack-destination", out];
  const [packed] = JSON.parse(execFileSync("npm", ["pack", folder, ...all], { encoding: "utf8" }));
  return path.join(out, packed.filename);
}

/** @param {string} out @returns {string[]} names of the packages that lie there; with CUDA they are installed by name alone */
export function prebuiltIn(out) {
  const { version } = readManifest();
  return Object.keys(targets)
    .filter((target) => !target.endsWith("-cuda"))
    .filter((target) => existsSync(path.join(out, `warploop-${target}-${version}.tgz`)))
    .map((target) => `@warploop/${target}`);
}

function main() {
  const tarball = packMain();
  const with_ = prebuiltIn(path.dirname(tarball)).join(", ") || "no prebuilt addon";
  console.log(
    `${path.relative(root, tarball)}: ${(statSync(tarball).size / 1e6).toFixed(1)} MB, with ${with_}`,
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
