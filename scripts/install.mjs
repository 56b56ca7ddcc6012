// What `npm install` runs. In a checkout it builds the addon, and nothing at `npx warploop`: for that npm installs a link to the checkout in
// a folder of its own, without a word, and runs this again. As a dependency it compiles nothing where a package with a prebuilt addon
// fits, and else says why there is none and builds it. A failure ends the install of a checkout, but not of a project that merely
// depends on warploop: there the loader explains, and `npx warploop build` tries again.
import { probePrebuilt } from "./build/addon.mjs";
import { buildAddon, isInstalled } from "./build/build.mjs";
import { say, sayToTerminal } from "./build/progress.mjs";

const isCommand = !isInstalled && process.env["npm_command"] === "exec";
const prebuilt = isInstalled ? probePrebuilt() : [];
const found = prebuilt.find(({ info }) => info);
if (isCommand) process.exitCode = 0;
else if (found) say(`${found.path} fits: nothing is compiled.`);
else await build();

async function build() {
  const misses = prebuilt.map(({ path: file, error }) => `${file}: ${error}`);
  if (isInstalled)
    sayToTerminal(`no prebuilt addon fits (${misses.join("; ") || "there is none for this system"})`);
  const problem = await buildAddon({ brief: true });
  if (problem === undefined) return;
  console.error(`[warploop] ${problem}`);
  if (isInstalled) console.error("[warploop] Then run `npx warploop build`.");
  process.exitCode = isInstalled ? 0 : 1;
}
