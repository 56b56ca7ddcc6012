// `npm run check:packed`: what a user gets of the packages as they are published. Packs warploop and the prebuilt addon of this system, installs both
// into an empty folder with an empty HOME, and uses them as an ES module, from CommonJS and on the command line; nothing may be compiled.
// Prints seconds and megabytes.
import { spawn } from "node:child_process";
import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root } from "../build/nativeSources.mjs";
import { targetsHere } from "../build/prebuilt.mjs";
import { packMain } from "../packages/packMain.mjs";
import { packPrebuilt } from "../packages/packPrebuilt.mjs";
import { withEmptyApp } from "./emptyApp.mjs";

const model = path.join(root, "models/tiny-moe");
const program = (/** @type {string} */ load) => `(async () => {
  const { LLM } = ${load};
  const llm = await LLM.load(process.argv[2], { device: "cpu" });
  console.log(await llm.generate("Once", { maxTokens: 4, ignoreEos: true }).text());
  await llm.close();
})();
`;

/** @param {string} folder @returns {number} megabytes of its files */
function sizeOf(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return (
    files.reduce((sum, { parentPath, name }) => sum + statSync(path.join(parentPath, name)).size, 0) / 1e6
  );
}

/** @param {import("./emptyApp.mjs").App} app @returns {Promise<number>} seconds from the command to its first token */
function firstToken({ folder, env }) {
  const start = performance.now();
  const args = ["warploop", "run", model, "Once upon a time", "--raw", "--max-tokens", "8"];
  const child = spawn("npx", args, { cwd: folder, env, stdio: ["ignore", "pipe", "inherit"] });
  return new Promise((resolve, reject) => {
    /** @type {number | undefined} */
    let seconds;
    child.stdout.on("data", () => (seconds ??= (performance.now() - start) / 1000));
    child.on("error", reject);
    child.on("close", (status) => {
      if (status === 0 && seconds !== undefined) resolve(seconds);
      else reject(new Error(`npx ${args.join(" ")} ended with status ${status}`));
    });
  });
}

await withEmptyApp(async (app) => {
  const { folder, scratch, run } = app;
  const target = targetsHere().at(-1);
  if (target === undefined) throw new Error("there is no package with a prebuilt addon for this system");
  const addon = packPrebuilt(target, { out: scratch });
  const main = packMain(scratch);
  const start = performance.now();
  const said = run("npm", "install", "--no-audit", "--no-fund", "--foreground-scripts", main, addon);
  const seconds = (performance.now() - start) / 1000;
  const installed = path.join(folder, "node_modules/warploop");
  if (
    !said.includes("nothing is compiled") ||
    readdirSync(installed).some((name) => name.startsWith("build"))
  )
    throw new Error("the install has compiled the addon, although one is prebuilt");
  writeFileSync(path.join(folder, "a.mjs"), program('await import("warploop")'));
  writeFileSync(path.join(folder, "b.cjs"), program('require("warploop")'));
  const [module, commonJs] = ["a.mjs", "b.cjs"].map((file) => run(process.execPath, file, model));
  if (module !== commonJs) throw new Error("import and require give other tokens");
  const first = await firstToken(app);
  const compilers = ["cmake-js", "node-gyp"].filter((name) =>
    existsSync(path.join(folder, "node_modules", name)),
  );
  if (compilers.length > 0) throw new Error(`${compilers.join(", ")} came with warploop`);
  console.log(
    `\nnpm install: ${seconds.toFixed(1)} s, ${sizeOf(path.join(folder, "node_modules")).toFixed(1)} MB`,
  );
  for (const file of [main, addon])
    console.log(`${path.basename(file)}: ${(statSync(file).size / 1e6).toFixed(1)} MB`);
  console.log(`npx warploop run: ${first.toFixed(1)} s to the first token`);
});
