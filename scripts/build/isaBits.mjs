// Whether products with activations of bytes have the same bits on every instruction set, those of aarch64 included, under
// qemu-user: compiles test/native/isaBits/int8Products.cc for each with the flags of native/sources.json, and compares what they print.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { readSources, root } from "./nativeSources.mjs";
import { which } from "./toolchain.mjs";

export const emulator = "qemu-aarch64-static";

/**
 * @typedef {{ name: string, isa: string, compiler: string, flags: string[], run: string[] }} Target
 *   run: what the program is the argument of
 */

/**
 * @param {string} armCompiler
 * @returns {Target[]} those that run here, an x86-64 machine; the first is what the others are compared with
 */
function targetsHere(armCompiler) {
  const { isas } = readSources();
  const cpu = readFileSync("/proc/cpuinfo", "utf8");
  const hasAvx512 = ["avx512_vnni", "avx512_bf16"].every((flag) => cpu.includes(` ${flag}`));
  /** @type {Target[]} */
  const x64 = (isas["x64"] ?? [])
    .filter(({ name: isa }) => isa !== "avx512" || hasAvx512)
    .map(({ name: isa, flags }) => ({ name: isa, isa, compiler: "c++", flags, run: [] }));
  /** @type {Target[]} */
  const arm = (isas["arm64"] ?? []).flatMap(({ name: isa, flags }) => {
    const target = { isa, compiler: armCompiler, run: [emulator] };
    const dots = flags.map((flag) => `${flag}+dotprod`);
    return [
      { ...target, name: isa, flags },
      { ...target, name: `${isa} with dot products`, flags: dots },
    ];
  });
  return [...x64, ...arm];
}

/**
 * @param {string} armCompiler
 * @returns {boolean} whether all agree; said
 */
export function compareBits(armCompiler) {
  if (!which(emulator)) {
    console.log(`bits of instruction sets: left out, there is no ${emulator} here`);
    return true;
  }
  const folder = mkdtempSync(path.join(os.tmpdir(), "warploop-bits-"));
  try {
    const results = targetsHere(armCompiler).map((target) => ({ target, lines: linesOf(target, folder) }));
    const [first, ...others] = results;
    const differing = others.filter(({ lines }) => lines.join("\n") !== first?.lines.join("\n"));
    const names = results.map(({ target }) => target.name).join(", ");
    console.log(
      `bits of instruction sets: ${first?.lines.length} products with bytes on ${names}: ${differing.length || "none"} differ`,
    );
    for (const { target, lines } of differing) {
      const at = lines.findIndex((line, i) => line !== first?.lines[i]);
      console.log(`  ${target.name}: ${lines[at]}\n  ${first?.target.name}: ${first?.lines[at]}`);
    }
    return differing.length === 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {Target} target @param {string} folder @returns {string[]} what its program prints */
function linesOf({ name, isa, compiler, flags, run }, folder) {
  const program = path.join(folder, name.replaceAll(" ", "-"));
  const sources = [
    "test/native/isaBits/int8Products.cc",
    "native/formats/formats.cc",
    "native/core/check.cc",
  ];
  const how = ["-O3", "-DNDEBUG", "-static", "-Wno-psabi", "-Inative", `-DWARPLOOP_ISA=${isa}`];
  must(compiler, [...readSources().flags, ...flags, ...how, ...sources, "-o", program]);
  const lines = must(run[0] ?? program, run.length > 0 ? [program] : [])
    .trim()
    .split("\n");
  if (lines.length < 1000) throw new Error(`${name}: expected thousands of lines, got ${lines.length}`);
  return lines;
}

/** @param {string} command @param {string[]} args @returns {string} what it prints */
function must(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (status === 0) return stdout;
  throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
}
