// What both kinds of planted bugs (run.mjs, addon.mjs) are made with: the edit, the compiler's flags, commands.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root } from "../../scripts/build/nativeSources.mjs";

/** @typedef {{ failed: boolean, text: string }} Outcome */

/** @type {Record<keyof typeof import("../../scripts/build/simtBuilds.mjs").simtBuilds, string[]>} */
export const buildFlags = {
  plain: ["-O1"],
  race: ["-O1", "-fsanitize=thread", "-Wno-tsan", "-DWARPLOOP_SIMT_RACE"],
  asan: ["-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
};

/** Of every kernel. @param {string} build its folder @param {string} overlay see `plant` */
export function kernelFlags(build, overlay) {
  const includes = [`${overlay}/native`, "native", "test/mutants", "test/atoms"].map((name) => `-I${name}`);
  const headers = readFileSync(path.join(root, build, "cuda_headers.txt"), "utf8").trim();
  return [
    ...["-std=c++20", "-g1", "-fno-math-errno", "-DWARPLOOP_SIMT", "-Wno-psabi", "-Wno-unknown-pragmas"],
    ...[...includes, "-isystem", headers],
  ];
}

/**
 * What has begun is seen to its end: no test of it is skipped for the time of the run (WARPLOOP_UNTIL).
 * @param {string} command @param {string[]} args @param {Record<string, string>} [env] @param {number} [seconds]
 * @returns {Promise<Outcome>}
 */
export function execute(command, args, env = {}, seconds = 600) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, WARPLOOP_UNTIL: undefined, ASAN_OPTIONS: "detect_leaks=0", ...env },
      timeout: seconds * 1000,
      killSignal: "SIGKILL",
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (text += String(data)));
    child.on("error", (error) => resolve({ failed: true, text: error.message }));
    child.on("close", (status, signal) =>
      resolve({ failed: status !== 0, text: signal ? `${text}ended by ${signal}` : text }),
    );
  });
}

/**
 * Writes the mutated file into a folder whose files take the place of those of the repository.
 * @param {Pick<import("./mutants.mjs").Mutant, "name" | "file" | "edits">} mutant @param {string} overlay
 * @returns {string} the file
 */
export function plant({ name, file, edits }, overlay) {
  let text = readFileSync(path.join(root, file), "utf8");
  for (const [from, to] of edits) {
    const places = text.split(from).length - 1;
    if (places !== 1)
      throw new Error(`${name}: the text to replace occurs ${places} times in ${file}:\n${from}`);
    text = text.replace(from, () => to);
  }
  const planted = path.join(overlay, file);
  mkdirSync(path.dirname(planted), { recursive: true });
  writeFileSync(planted, text);
  return planted;
}
