// Whether the packed package can be compiled where it is installed: packs this clone, installs the tarball into an empty folder with an
// empty HOME, and builds there, without CMake; the build tool and the headers come from the registry. The addon is then
// build-gyp/Release/warploop.node of this clone, where CI tests it.
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { binaries } from "../build/addon.mjs";
import { root } from "../build/nativeSources.mjs";
import { withEmptyApp } from "./emptyApp.mjs";

await withEmptyApp(({ folder, run }) => {
  const tarball = run("npm", "pack", root, "--ignore-scripts", "--silent").trim();
  run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", tarball);
  for (const name of ["cmake-js", "node-gyp", "node-addon-api", "node-api-headers"])
    if (existsSync(path.join(folder, "node_modules", name)))
      throw new Error(`${name} was installed with warploop: it belongs to what a build fetches`);
  run("npx", "warploop", "build", "--tool", "node-gyp");
  const addon = binaries["node-gyp"];
  mkdirSync(path.dirname(path.join(root, addon)), { recursive: true });
  copyFileSync(path.join(folder, "node_modules/warploop", addon), path.join(root, addon));
});
