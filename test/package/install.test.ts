// Contract: an installed package keeps the addon and nothing else of its build, whichever tool has built it, and npm's
// settings do not reach the build.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { buildEnvironment, dropIntermediates } from "../../scripts/build/build.mjs";
import { root } from "../../scripts/build/nativeSources.mjs";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "warploop-install-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(...files: string[]): void {
  for (const file of files) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), file);
  }
}
const filesLeft = () =>
  readdirSync(folder, { recursive: true, withFileTypes: true, encoding: "utf8" })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();

const sources = ["native/core/dtype.h", "package.json"];

it.each([
  {
    kind: "cmake-js" as const,
    addon: "build/Release/warploop.node",
    others: ["build/CMakeCache.txt", "build/CMakeFiles/warploop.dir/a.o", "build/Release/warploop.node.d"],
  },
  {
    kind: "node-gyp" as const,
    addon: "build-gyp/Release/warploop.node",
    others: ["build-gyp/Release/obj.target/a.o", "native/build/Makefile", "native/build/Release/a.o"],
  },
  {
    kind: "cuda" as const,
    addon: "build-cuda/Release/warploop.node",
    others: ["build-cuda/build.log", "build-cuda/CMakeFiles/cuda_kernels.dir/k.cu.o"],
  },
])("$kind: the addon stays alone", ({ kind, addon, others }) => {
  write(addon, ...others, ...sources);
  dropIntermediates(kind, folder);
  expect(filesLeft()).toEqual([addon, ...sources].sort());
});

it("deletes nothing of another build, and needs none", () => {
  write("build/Release/warploop.node", "build/a.o", ...sources);
  dropIntermediates("cuda", folder);
  dropIntermediates("node-gyp", folder);
  expect(existsSync(path.join(folder, "build/a.o"))).toBe(true);
});

it("npm's settings do not reach the build, except which python runs gyp", () => {
  const kept = {
    PATH: "/bin",
    npm_config_python: "/p",
    npm_package_config_node_gyp_python: "/q",
    HOME: "/h",
  };
  const others = {
    npm_config_nodedir: "/usr",
    NPM_CONFIG_DISTURL: "https://x",
    npm_package_config_node_gyp_nodedir: "/usr",
    npm_config_force_process_config: "",
  };
  expect(buildEnvironment({ ...others, ...kept })).toEqual(kept);
});

it("`npx warploop` in a checkout, for which npm runs the install script again, compiles nothing and says nothing", () => {
  const env = { ...process.env, npm_command: "exec" };
  const script = path.join(root, "scripts/install.mjs");
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], {
    env,
    encoding: "utf8",
    timeout: 30_000,
  });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "", stderr: "" });
});
