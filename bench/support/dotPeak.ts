/** The rate that the cores reach when they do nothing but bf16 dot products in registers: dotPeak.cc, compiled here. */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { outputFolder } from "./randomCheckpoint.js";

const source = fileURLToPath(new URL("dotPeak.cc", import.meta.url));

/** GFLOP/s of so many threads together, or why there is no such figure. */
export function measureDotPeak(threads: number, isa: string): number | string {
  if (isa !== "avx512") return `the dot products of ${isa} are not measured`;
  mkdirSync(outputFolder, { recursive: true });
  const program = join(outputFolder, "dotPeak");
  try {
    const flags = ["-O2", "-std=c++20", "-mavx512f", "-mavx512bf16", "-pthread"];
    execFileSync(process.env["CXX"] ?? "g++", [...flags, source, "-o", program], { stdio: "pipe" });
    return Number(execFileSync(program, [String(threads), "300"], { encoding: "utf8", stdio: "pipe" }));
  } catch (error) {
    return (error as Error).message.split("\n")[0]!;
  }
}
