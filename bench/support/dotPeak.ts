/** The rates that the cores reach when they do nothing but dot products in registers: dotPeak.cc, compiled here. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { outputFolder } from "./randomCheckpoint.js";

const source = fileURLToPath(new URL("dotPeak.cc", import.meta.url));
const sources = fileURLToPath(new URL("../../native/sources.json", import.meta.url));

/** Of all threads together, GMAC/s. */
export interface DotPeak {
  /** bf16, or f32 where there is no instruction for it. */
  readonly floats: number;
  readonly bytes: number;
}

/** The rates of so many threads with an instruction set, or why there are none. */
export function measureDotPeak(threads: number, isa: string): DotPeak | string {
  const { isas } = JSON.parse(readFileSync(sources, "utf8")) as {
    isas: { x64: { name: string; flags: string[] }[] };
  };
  const flags = isas.x64.find(({ name }) => name === isa)?.flags;
  if (!flags) return `the dot products of ${isa} are not measured`;
  mkdirSync(outputFolder, { recursive: true });
  const program = join(outputFolder, `dotPeak-${isa}`);
  try {
    const build = ["-O2", "-std=c++20", "-pthread", ...flags, source, "-o", program];
    execFileSync(process.env["CXX"] ?? "g++", build, { stdio: "pipe" });
    const text = execFileSync(program, [String(threads), "300"], { encoding: "utf8", stdio: "pipe" });
    const [floats, bytes] = text.split(" ").map(Number) as [number, number];
    return { floats, bytes };
  } catch (error) {
    return (error as Error).message.split("\n")[0]!;
  }
}
