// `warploop doctor`: what was built, where it is, and what this machine makes of it.
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { probeAll } from "./build/addon.mjs";
import { root } from "./build/nativeSources.mjs";
import { findToolchain } from "./build/toolchain.mjs";

/** @param {string} label @param {string} text */
function row(label, text) {
  console.log(`${label.padEnd(14)}${text}`);
}

/** @param {string} file */
function shown(file) {
  if (!path.isAbsolute(file)) return file; // the name of a package
  const relative = path.relative(root, file);
  return relative.startsWith("..") ? file : relative;
}

/** @returns {string} */
export function packageVersion() {
  return JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")).version;
}

/** @returns {number} exit status: 0 when the addon loads */
export function doctor() {
  row("warploop", packageVersion());
  row("node", `${process.version}, Node-API ${process.versions.napi}, ${process.platform} ${process.arch}`);
  const toolchain = findToolchain();
  row(
    "build with",
    "problem" in toolchain ? `nothing: ${toolchain.problem}` : `${toolchain.tool}, ${toolchain.compiler}`,
  );

  const probes = probeAll();
  const found = probes.find((probe) => probe.info);
  if (!found?.info) {
    for (const { path: file, error } of probes) row("addon", `${shown(file)}: ${error}`);
    row("remedy", process.env["WARPLOOP_BINARY"] ? "unset WARPLOOP_BINARY" : "npx warploop build --force");
    return 1;
  }
  const { mtime, size } = statSync(found.path);
  const { info } = found;
  const isPrebuilt = found.path.includes(`${path.sep}@warploop${path.sep}`); // npm gives its files a date of its own
  const when = isPrebuilt ? "prebuilt" : `built ${mtime.toISOString().slice(0, 16)} UTC`;
  row("addon", `${shown(found.path)} (${(size / 2 ** 20).toFixed(1)} MiB, ${when})`);
  row("compiled by", /^\d/.test(info.compiler) ? `GCC ${info.compiler}` : info.compiler);
  row(
    "compiled for",
    [...(info.isas ?? []), ...(info.cuda ? [`CUDA ${info.cuda}`] : [])].join(", ") || "simt",
  );
  if (info.physicalCores) row("threads", `${info.physicalCores} (physical cores that this process may use)`);
  for (const { name, detail, problem } of info.devices) {
    const about = name === "cpu" ? `with ${info.isa}` : detail;
    row(name, problem ? `not available: ${problem}` : `available${about && `: ${about}`}`);
  }
  if (!info.cuda) row("cuda", "not available: built without CUDA; `npx warploop build --cuda` adds it");
  return 0;
}
