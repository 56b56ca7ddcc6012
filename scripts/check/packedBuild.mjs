// Whether the packed package can be compiled where it is installed: packs this clone, installs the tarball into an empty folder with an
// empty HOME, and builds there, without CMake; the build tool and the headers come from the registry. The addon is then
// build-gyp/Release/warploop.node of this clone, where CI tests it.
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { binaries } from "../build/addon.mjs";
import { root } from "../build/nativeSources.mjs";

const folder = mkdtempSync(path.join(os.tmpdir(), "warploop-packed-"));
const app = path.join(folder, "app");
const env = { ...process.env, HOME: path.join(folder, "home") };
const run = (/** @type {string} */ command, /** @type {string[]} */ ...args) =>
  execFileSync(command, args, { cwd: app, env, stdio: ["ignore", "inherit", "inherit"] });

try {
  for (const one of [app, env.HOME]) mkdirSync(one);
  writeFileSync(path.join(app, "package.json"), '{ "private": true }');
  const pack = ["pack", root, "--ignore-scripts", "--json", "--silent"];
  const [{ filename }] = JSON.parse(execFileSync("npm", pack, { cwd: app, env, encoding: "utf8" }));
  run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", filename);
  for (const tool of ["cmake-js", "node-gyp", "node-addon-api"])
    if (existsSync(path.join(app, "node_modules", tool)))
      throw new Error(`${tool} is installed with warploop: it belongs to what a build fetches`);
  run("npx", "warploop", "build", "--tool", "node-gyp");
  const addon = binaries["node-gyp"];
  mkdirSync(path.dirname(path.join(root, addon)), { recursive: true });
  copyFileSync(path.join(app, "node_modules/warploop", addon), path.join(root, addon));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
