/**
 * Contract: products whose activations are bytes have the same bits with every instruction set, and what the linker keeps once of an
 * inline function runs on every processor that calls it.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { isaNames, root } from "../../scripts/build/nativeSources.mjs";
import { loadAddon } from "../../lib/device/nativeLoader.js";

const { isas = [] } = (loadAddon() as { info(): { readonly isas?: readonly string[] } }).info();
const fixture = fileURLToPath(new URL("fixtures/byteProducts.ts", import.meta.url));

interface Products {
  readonly isa: string;
  readonly hashes: Readonly<Record<string, string>>;
}

/** None from a processor that lacks the instruction set. */
function productsWith(isa: string): readonly Products[] {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", fixture], {
    encoding: "utf8",
    timeout: 100_000,
    env: { ...process.env, WARPLOOP_ISA: isa },
  });
  if (stderr.includes("this processor has none of the instruction sets")) return [];
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return [JSON.parse(stdout) as Products];
}

test.skipIf(isas.length < 2)("products of bytes", { timeout: 200_000 }, () => {
  const [first, ...others] = isas.flatMap(productsWith);
  expect(Object.keys(first!.hashes).length).toBeGreaterThan(10);
  for (const other of others) {
    expect(other.isa).not.toBe(first!.isa);
    expect(other.hashes).toEqual(first!.hashes);
  }
});

const plan = path.join(root, "build/build.ninja");
test.skipIf(!existsSync(plan))("the addon is linked from what every processor runs to the widest set", () => {
  const [, objects = ""] =
    /^build Release\/warploop\.node: \w+ ([^|\n]*)/m.exec(readFileSync(plan, "utf8")) ?? [];
  const groups = [...objects.matchAll(/CMakeFiles\/(\w+)\.dir\//g)].map(([, group]) => group);
  expect([...new Set(groups)]).toEqual(["host", "bindings", ...isaNames().map((isa) => `cpu_${isa}`)]);
  expect(groups).toEqual([...new Set(groups)].flatMap((group) => groups.filter((one) => one === group)));
});
