// `npm run pack:prebuilt`: the package with the prebuilt addon of one system, packages/<target>/ and its tarball beside it, from a build
// that is there. What it needs of a system is read from the addon and stands in its README. How to publish: docs/packages.md.
//
//     npm run pack:prebuilt -- [--target linux-x64] [--addon FILE]
//
//   --target  the system, one of scripts/build/prebuilt.mjs; without it: this one
//   --addon   the addon; without it: what was built here for that system
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { binaries, probeAddon } from "../build/addon.mjs";
import { root } from "../build/nativeSources.mjs";
import { readManifest, targets, targetsHere } from "../build/prebuilt.mjs";
import { describeNeeds, portabilityProblems, readNeeds } from "../check/portable.mjs";

/** @typedef {import("../build/prebuilt.mjs").Target} Target */

/** Where packages come to lie, relative to the clone. */
export const packagesFolder = "packages";

/**
 * @param {Target} target
 * @param {{ addon?: string | undefined, out?: string }} [from] addon: a file; out: a folder
 * @returns {string} the tarball
 * @throws {Error} the addon is not there, or not for that system
 */
export function packPrebuilt(
  target,
  { addon = builtFor(target), out = path.join(root, packagesFolder) } = {},
) {
  if (!existsSync(addon)) throw new Error(`${addon}: no such file; build it first`);
  const needs = needsOf(addon, target);
  const folder = path.join(out, target);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  copyFileSync(addon, path.join(folder, "warploop.node"));
  copyFileSync(path.join(root, "LICENSE"), path.join(folder, "LICENSE"));
  const manifest = manifestOf(target);
  writeFileSync(path.join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  writeFileSync(path.join(folder, "README.md"), readmeOf(manifest, needs));
  const options = ["--ignore-scripts", "--json", "--silent", "--pack-destination", out];
  const [packed] = JSON.parse(execFileSync("npm", ["pack", folder, ...options], { encoding: "utf8" }));
  return path.join(out, packed.filename);
}

/** @param {Target} target @returns {string} the addon that a build here would have made */
function builtFor(target) {
  if (!targetsHere().includes(target))
    throw new Error(
      `--addon: expected a build for ${target}; this machine builds for ${targetsHere().join(" and ")}`,
    );
  return path.join(root, target.endsWith("-cuda") ? binaries.cuda : binaries["cmake-js"]);
}

/**
 * @param {string} addon @param {Target} target
 * @returns {string} what it needs of a system, in words
 */
function needsOf(addon, target) {
  const { os, cpu, ...other } = targets[target];
  if (targetsHere().includes(target)) {
    const { info, error } = probeAddon(addon);
    if (!info) throw new Error(`${addon} does not load: ${error}`);
    if (Boolean(info.cuda) !== target.endsWith("-cuda"))
      throw new Error(`${addon} was built ${info.cuda ? "with" : "without"} CUDA: that is not ${target}`);
  }
  if (os !== "linux") return "macOS"; // readelf reads no Mach-O: it is checked by loading it on a Mac
  const needs = readNeeds(addon);
  const problems = portabilityProblems(needs, { cpu, ...other });
  if (problems.length > 0) throw new Error(`${addon} is not for ${target}: ${problems.join("; ")}`);
  return describeNeeds(needs);
}

/** @param {Target} target */
function manifestOf(target) {
  const { os, cpu, ...other } = targets[target];
  const { version, license, engines } = readManifest();
  return {
    name: `@warploop/${target}`,
    version,
    description: `The native addon of warploop for ${target}`,
    license,
    engines,
    os: [os],
    cpu: [cpu],
    ...("libc" in other && { libc: [other.libc] }),
    main: "warploop.node",
    files: ["warploop.node"],
    preferUnplugged: true, // an addon is loaded from a file, not from the archive of a package manager
  };
}

/** @param {ReturnType<typeof manifestOf>} manifest @param {string} needs */
function readmeOf({ name, version, os, cpu, libc }, needs) {
  const system = [...os, ...cpu, ...(libc ?? [])].join(", ");
  const how = name.endsWith("-cuda")
    ? `Install it beside warploop, in the same version: \`npm install warploop@${version} ${name}@${version}\`.`
    : "It is an optional dependency of warploop: `npm install warploop` brings it where it fits.";
  return `# ${name}

The native addon of warploop ${version}, compiled for ${system}. It needs ${needs}. ${how}
`;
}

function main() {
  const { values } = parseArgs({ options: { target: { type: "string" }, addon: { type: "string" } } });
  const target = /** @type {Target | undefined} */ (values.target ?? targetsHere().at(-1));
  if (target === undefined || !(target in targets))
    throw new Error(`--target: expected one of ${Object.keys(targets).join(", ")}, got ${target}`);
  const tarball = packPrebuilt(target, { addon: values.addon && path.resolve(values.addon) });
  console.log(`${path.relative(root, tarball)}: ${(statSync(tarball).size / 1e6).toFixed(1)} MB`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
