// What compiles the addon beside a compiler: cmake-js or node-gyp, and the headers of Node-API. In a clone they are devDependencies; an
// installed package, which nearly never compiles, fetches the same versions with `npm exec` into npm's cache.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { root } from "./nativeSources.mjs";
import { readManifest } from "./prebuilt.mjs";
import { say, sayToTerminal } from "./progress.mjs";

const scripts = { "cmake-js": "bin/cmake-js", "node-gyp": "bin/node-gyp.js" };
const headers = ["node-api-headers", "node-addon-api"];

/**
 * @typedef {{ script: string, modules: string | undefined }} Tools script: of the build tool; modules: the folder of packages where
 *   it and the headers are, when Node does not find them from here by itself
 */

/**
 * Finds the build tool and the headers at the versions that package.json names, or fetches them.
 * @param {import("./toolchain.mjs").BuildTool} tool
 * @param {{ isBrief?: boolean }} [how] isBrief: within `npm install`
 * @returns {Tools | { problem: string }}
 */
export function findTools(tool, { isBrief = false } = {}) {
  const names = [tool, ...headers];
  const pinned = names.map((name) => `${name}@${versionOf(name)}`);
  const local = names.map(findLocal);
  if (local.every((folder) => folder !== undefined))
    return { script: path.join(String(local[0]), scripts[tool]), modules: undefined };
  const message = `fetching ${pinned.join(", ")} with npm exec, to compile with`;
  if (isBrief) sayToTerminal(message);
  else say(message);
  const fetched = fetchPackages(pinned);
  if ("problem" in fetched) return fetched;
  const modules = fetched.path
    .split(path.delimiter)
    .map((folder) => path.dirname(folder)) // of node_modules/.bin
    .find((folder) => names.every((name) => isPinned(path.join(folder, name), name)));
  if (modules === undefined)
    return { problem: `npm exec has not brought ${pinned.join(", ")} into one folder` };
  return { script: path.join(modules, tool, scripts[tool]), modules };
}

/** @param {string} name @returns {string} */
function versionOf(name) {
  const version = readManifest().devDependencies[name];
  if (version === undefined) throw new Error(`package.json names no version of ${name}`);
  return version;
}

/** @param {string} name @returns {string | undefined} its folder, when Node finds it from here in the version that is wanted */
function findLocal(name) {
  const require = createRequire(path.join(root, "package.json"));
  const folders = require.resolve.paths(name) ?? [];
  return folders.map((folder) => path.join(folder, name)).find((folder) => isPinned(folder, name));
}

/** @param {string} folder @param {string} name @returns {boolean} whether this is the package in the version that is wanted */
function isPinned(folder, name) {
  const file = path.join(folder, "package.json");
  return existsSync(file) && JSON.parse(readFileSync(file, "utf8")).version === versionOf(name);
}

/**
 * @param {string[]} packages with versions
 * @returns {{ path: string } | { problem: string }} PATH as a command finds it that npm runs with these packages
 */
function fetchPackages(packages) {
  const named = packages.map((one) => `--package=${one}`);
  const { status, stdout, stderr, error } = spawnSync(
    "npm",
    ["exec", "--yes", ...named, "--", "node", "--print", "process.env.PATH"],
    { cwd: root, encoding: "utf8", env: fetchEnvironment(process.env) },
  );
  if (error) return { problem: `npm, which fetches ${packages.join(", ")}, does not start: ${error.message}` };
  if (status === 0) return { path: stdout.trim() };
  const said = stderr.split("\n").filter((line) => /^npm err/i.test(line));
  return {
    problem: `npm exec could not fetch ${packages.join(", ")}:\n${(said.length > 0 ? said.join("\n") : stderr).trim()}`,
  };
}

/**
 * The environment of an install without what belongs to that install alone, such as where it installs to; registry, cache and proxy stay.
 * @param {NodeJS.ProcessEnv} environment
 * @returns {NodeJS.ProcessEnv}
 */
export function fetchEnvironment(environment) {
  const ofInstall =
    /^npm_config_(global|location|workspaces?|include_workspace_root|package|call|dry_run|json|package_lock_only)$/i;
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !ofInstall.test(name)));
}
