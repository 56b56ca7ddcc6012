// `npm run pack:gpu`: one folder, gpu-pack/, with everything that a GPU host without network needs beside the checkout to
// test and to time warploop: Node, the CUDA addon, the one that traps, the packages. On the host: `bash gpu-pack/run.sh
// test:gpu`. What travels is what git tracks and the folder: both together have a limit (gpuPackSize.mjs).
//
//   --with-checkout   put what git tracks into the folder as well, for a host that gets nothing else
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { sizeTable } from "./gpuPackSize.mjs";
import { root } from "../build/nativeSources.mjs";

const packages = [
  "vitest",
  "tsx",
  "@huggingface/hub",
  "@huggingface/jinja",
  "@huggingface/tokenizers",
  "cli-progress",
  "detect-libc",
];
const unused = ["node_modules/lightningcss-"]; // vite's minifier of style sheets
const addons = {
  "addon.tar.xz": ["build-cuda/Release/warploop.node", "build-cuda/atoms"],
  "trap.tar.xz": ["build-trap/Release/warploop.node", "build-trap/atoms"],
};
const folder = path.join(root, "gpu-pack");

const { values } = parseArgs({ options: { "with-checkout": { type: "boolean", default: false } } });
for (const file of Object.values(addons).flat()) {
  if (!existsSync(path.join(root, file))) {
    const commands = ["build:cuda", "build:atoms", "build:trap"].map((name) => `npm run ${name}`);
    console.error(`${file} is missing: run \`${commands.join(" && ")}\` first.`);
    process.exit(1);
  }
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
packNode();
archive("packages.tar.xz", packageFolders());
for (const [name, files] of Object.entries(addons)) archive(name, files);
if (values["with-checkout"]) archive("checkout.tar.xz", trackedFiles());
writeFileSync(path.join(folder, "run.sh"), runScript(), { mode: 0o755 });
report();

/** The running Node without its symbols: they are an eighth of it, and only a debugger reads them. */
function packNode() {
  const copy = path.join(folder, "node");
  copyFileSync(process.execPath, copy);
  execFileSync("strip", [copy]);
  execFileSync("xz", ["-T0", "-6", copy]);
}

/** @param {string} name @param {string[]} files relative to the root */
function archive(name, files) {
  const list = path.join(folder, "files");
  writeFileSync(list, files.join("\n"));
  execFileSync("tar", ["-cf", path.join(folder, "files.tar"), "-C", root, "-T", list]);
  execFileSync("xz", ["-T0", "-6", path.join(folder, "files.tar")]);
  rmSync(list);
  execFileSync("mv", [path.join(folder, "files.tar.xz"), path.join(folder, name)]);
}

/** The packages that tests and benches load, with what they depend on, as far as it is installed here. */
function packageFolders() {
  /** @type {Record<string, { dependencies?: object, optionalDependencies?: object }>} */
  const locked = JSON.parse(readFileSync(path.join(root, "package-lock.json"), "utf8")).packages;
  const waiting = packages.map((name) => `node_modules/${name}`);
  const found = new Set();
  for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
    const entry = locked[place];
    if (found.has(place) || !entry || !existsSync(path.join(root, place))) continue;
    found.add(place);
    for (const name of Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })) {
      const resolved = resolve(locked, place, name);
      if (resolved) waiting.push(resolved);
    }
  }
  return [
    "node_modules/.bin",
    ...[...found].filter((place) => !unused.some((prefix) => place.startsWith(prefix))).sort(),
  ];
}

/** Where `name` is installed for the package at `from`: the nearest node_modules folder upwards that has it. */
function resolve(/** @type {object} */ locked, /** @type {string} */ from, /** @type {string} */ name) {
  for (let base = from; ; base = base.slice(0, Math.max(0, base.lastIndexOf("/node_modules/")))) {
    const place = `${base ? `${base}/` : ""}node_modules/${name}`;
    if (place in locked) return place;
    if (!base) return undefined;
  }
}

function trackedFiles() {
  return execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" }).split("\0").filter(Boolean);
}

/** Unpacks once into a folder of its own and runs one of package.json's scripts, without npm. */
function runScript() {
  return `#!/usr/bin/env bash
# run.sh SCRIPT [ARGUMENT...]: one of package.json's scripts, for example test:gpu, bench:gpu.
set -euo pipefail
pack=$(cd "$(dirname "$0")" && pwd)
if [ -e "$pack/checkout.tar.xz" ]; then folder=$pack/unpacked; else folder=$(dirname "$pack"); fi # or the checkout around it
if [ ! -e "$pack/.unpacked" ]; then
  mkdir -p "$pack/bin" "$folder"
  python3 - "$pack" "$folder" <<'PYTHON'
import glob, lzma, os, shutil, sys, tarfile
pack, folder = sys.argv[1:]
for name in glob.glob(pack + "/*.tar.xz"):
    with tarfile.open(name) as archive:
        archive.extractall(folder)
with lzma.open(pack + "/node.xz") as source, open(pack + "/bin/node", "wb") as target:
    shutil.copyfileobj(source, target)
os.chmod(pack + "/bin/node", 0o755)
PYTHON
  touch "$pack/.unpacked"
fi
cd "$folder"
export PATH="$pack/bin:$folder/node_modules/.bin:$PATH" WARPLOOP_BINARY="$folder/build-cuda/Release/warploop.node"
script=$(node -p 'require("./package.json").scripts[process.argv[1]] ?? ""' "$1")
if [ -z "$script" ]; then echo "run.sh: package.json has no script $1" >&2; exit 2; fi
shift
exec bash -c "$script \\"\\$@\\"" bash "$@"
`;
}

/** What travels: the folder, and beside it the files of the checkout, unless they are in it. */
function report() {
  const bytesOf = (/** @type {string} */ file) => statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  const rows = readdirSync(folder).map((name) => ({
    name: `gpu-pack/${name}`,
    bytes: bytesOf(path.join(folder, name)),
  }));
  if (!values["with-checkout"]) {
    const bytes = trackedFiles().reduce((sum, file) => sum + bytesOf(path.join(root, file)), 0);
    rows.push({ name: "the files that git tracks", bytes });
  }
  const { lines, fits } = sizeTable(rows);
  console.log(lines.join("\n"));
  if (!fits) process.exitCode = 1;
}
