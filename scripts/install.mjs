// What `npm install` runs: builds the addon. A failure ends the install of a checkout, but not of a project that merely
// depends on warploop: there the loader explains, and `npx warploop build` tries again.
import { buildAddon, isInstalled } from "./build/build.mjs";

const problem = await buildAddon({ brief: true });
if (problem) {
  console.error(`[warploop] ${problem}`);
  if (isInstalled) console.error("[warploop] Then run `npx warploop build`.");
  process.exitCode = isInstalled ? 0 : 1;
}
