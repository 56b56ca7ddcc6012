// An app with nothing in it, in a folder of its own and with an empty HOME: what a user has before the first `npm install`.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

/**
 * @typedef {object} App
 * @property {string} folder
 * @property {string} scratch beside it, for tarballs
 * @property {NodeJS.ProcessEnv} env
 * @property {(command: string, ...args: string[]) => string} run in the folder; gives what is written to stdout, which is shown as well
 */

/**
 * @template T
 * @param {(app: App) => T | Promise<T>} use
 * @returns {Promise<T>} what it returns; the folders are gone then
 */
export async function withEmptyApp(use) {
  const scratch = mkdtempSync(path.join(os.tmpdir(), "warploop-packed-"));
  const folder = path.join(scratch, "app");
  const home = path.join(scratch, "home");
  /** @type {NodeJS.ProcessEnv} */
  const env = { ...process.env, HOME: home };
  delete env["WARPLOOP_BINARY"];
  const run = (/** @type {string} */ command, /** @type {string[]} */ ...args) => {
    console.log(`$ ${[command, ...args].join(" ")}`);
    const text = execFileSync(command, args, {
      cwd: folder,
      env,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    });
    process.stdout.write(text);
    return text;
  };
  try {
    for (const one of [folder, home]) mkdirSync(one);
    writeFileSync(path.join(folder, "package.json"), '{ "private": true }\n');
    return await use({ folder, scratch, env, run });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
