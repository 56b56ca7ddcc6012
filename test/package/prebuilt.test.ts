// Contract: which package with a prebuilt addon fits a system, alike for the library and for what runs before it is compiled; and what
// compiles the addon comes in the versions that package.json names.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { prebuiltPackages } from "../../lib/device/prebuilt.js";
import { root } from "../../scripts/build/nativeSources.mjs";
import { targets, targetsHere } from "../../scripts/build/prebuilt.mjs";
import { fetchEnvironment, findTools } from "../../scripts/build/tools.mjs";

type System = [platform: string, arch: string, libc: string | null];

describe("the packages that fit a system", () => {
  it.each<{ system: System; fit: string[] }>([
    { system: ["linux", "x64", "glibc"], fit: ["linux-x64-cuda", "linux-x64"] },
    { system: ["linux", "x64", "musl"], fit: ["linux-x64-musl"] },
    { system: ["linux", "arm64", "glibc"], fit: ["linux-arm64"] },
    { system: ["linux", "arm64", "musl"], fit: [] },
    { system: ["darwin", "arm64", null], fit: ["darwin-arm64"] },
    { system: ["darwin", "x64", null], fit: [] },
    { system: ["win32", "x64", null], fit: [] },
  ])("$system", ({ system, fit }) => {
    expect(targetsHere(...system)).toEqual(fit);
    expect(prebuiltPackages(...system)).toEqual(fit.map((target) => `@warploop/${target}`));
  });

  it("each package fits the system that its package.json names", () => {
    for (const [target, { os, cpu, ...other }] of Object.entries(targets))
      expect(targetsHere(os, cpu, "libc" in other ? other.libc : null)).toContain(target);
  });
});

describe("what compiles the addon", () => {
  it.each([["cmake-js"], ["node-gyp"]] as const)("%s is found in a clone, and no dependency", (tool) => {
    const { dependencies, devDependencies } = JSON.parse(
      readFileSync(path.join(root, "package.json"), "utf8"),
    ) as Record<string, Record<string, string>>;
    const names = [tool, "node-api-headers", "node-addon-api"];
    for (const name of names) expect(devDependencies![name]).toMatch(/^\d+\.\d+\.\d+$/); // what npm exec is told
    expect(names.filter((name) => name in dependencies!)).toEqual([]);
    const tools = findTools(tool);
    expect(tools).toMatchObject({ script: expect.stringContaining(`/${tool}/bin/`) as string });
    expect("script" in tools && existsSync(tools.script)).toBe(true);
  });

  it("is fetched from where npm installs from, and not to where it installs to", () => {
    const kept = { PATH: "/bin", npm_config_registry: "https://x", npm_config_cache: "/c" };
    const others = { npm_config_global: "true", npm_config_workspace: "a", NPM_CONFIG_DRY_RUN: "true" };
    expect(fetchEnvironment({ ...others, ...kept })).toEqual(kept);
  });
});
