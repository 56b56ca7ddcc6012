// What `npm install` runs: builds the addon. A failure ends the install of a checkout, but not of a project that merely
// depends on warploop: there the loader explains, and `npx warploop build` tries again.
import path from "node:path";
import { buildAddon } from "./build.mjs";
import { root } from "./nativeSources.mjs";

const isDependency = root.split(path.sep).includes("node_modules");
const problem = await buildAddon();
if (problem) {
  console.error(`[warploop] ${problem}`);
  if (isDependency) console.error("[warploop] Then run `npx warploop build`.");
  process.exitCode = isDependency ? 0 : 1;
}
