// Contract: what an addon needs of a Linux system is read from the file, and what does not fit a system is named.
import { existsSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "../../scripts/build/nativeSources.mjs";
import {
  compareVersions,
  describeNeeds,
  portabilityProblems,
  readNeeds,
} from "../../scripts/check/portable.mjs";

const gnu = {
  machine: "Advanced Micro Devices X86-64",
  needed: ["libstdc++.so.6", "libm.so.6", "libgcc_s.so.1", "libc.so.6", "ld-linux-x86-64.so.2"],
  glibc: "2.28",
  glibcxx: "3.4.25",
  unknown: [],
};
const musl = { ...gnu, needed: ["libc.so"], glibc: undefined, glibcxx: undefined, unknown: ["memcpy"] };
const x64 = { cpu: "x64", libc: "glibc" };

describe("an addon", () => {
  it("runs where its processor, its libraries and their versions are", () => {
    expect(portabilityProblems(gnu, { ...x64, everywhere: true })).toEqual([]);
    expect(portabilityProblems(musl, { cpu: "x64", libc: "musl" })).toEqual([]);
    expect(describeNeeds(gnu)).toBe("glibc 2.28 or newer and libstdc++ with GLIBCXX_3.4.25");
    expect(describeNeeds(musl)).toBe("musl");
  });

  it.each([
    { needs: gnu, on: { cpu: "arm64", libc: "glibc" }, says: /is for .*X86-64, not for AArch64/ },
    { needs: gnu, on: { cpu: "x64", libc: "musl" }, says: /loads libc\.so\.6, which musl does not have/ },
    { needs: { ...musl, unknown: [] }, on: x64, says: /loads libc\.so, which glibc does not have/ },
    { needs: { ...gnu, needed: ["libomp.so.5"] }, on: x64, says: /loads libomp\.so\.5/ },
    { needs: { ...gnu, unknown: ["cuInit"] }, on: x64, says: /nothing that it loads has cuInit/ },
    {
      needs: { ...gnu, glibc: "2.33" },
      on: { ...x64, everywhere: true },
      says: /glibc 2\.33, newer than 2\.28/,
    },
    {
      needs: { ...gnu, glibcxx: "3.4.30" },
      on: { ...x64, everywhere: true },
      says: /GLIBCXX_3\.4\.30, newer than 3\.4\.25/,
    },
  ])("does not run elsewhere: $says", ({ needs, on, says }) => {
    expect(portabilityProblems(needs, on)).toEqual([expect.stringMatching(says)]);
  });

  const built = path.join(root, "build/Release/warploop.node");
  it.skipIf(process.platform !== "linux" || !existsSync(built))("that was built here", () => {
    const needs = readNeeds(built);
    expect(portabilityProblems(needs, { cpu: process.arch, libc: "glibc" })).toEqual([]);
    expect(needs.needed).toContain("libc.so.6");
    expect(needs.glibc).toMatch(/^2\.\d+$/);
  });
});

it("versions compare by their numbers", () => {
  expect(["2.9", "2.28", "2.2.5", "2.16"].sort(compareVersions)).toEqual(["2.2.5", "2.9", "2.16", "2.28"]);
});
