// Contract: without an addon everything can be imported, and what needs none works; the first use of the addon is an error that can be
// caught, with every place that was looked at.
import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";

const code = `
  import { Device, LLM, NativeLoadError, ops, toBfloat16 } from "./lib/index.ts";
  const nameOf = (error) => error instanceof NativeLoadError && error.attempts.length === 1 && error.code;
  const caught = [];
  for (let i = 0; i < 2; i++)
    await LLM.load("models/tiny-moe").catch((error) => caught.push(nameOf(error)));
  for (const call of [() => Device.open("cpu"), () => Device.available(), () => Device.choose()])
    try { call(); } catch (error) { caught.push(nameOf(error)); }
  console.log(JSON.stringify({ caught, op: typeof ops.rmsNorm, bits: toBfloat16(Float32Array.of(1))[0] }));
`;

it("import works; LLM.load and Device say that the addon is not there", () => {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", "tsx", "--input-type=module", "--eval", code],
    { encoding: "utf8", env: { ...process.env, WARPLOOP_BINARY: "/nowhere/warploop.node" } },
  );
  expect(stderr).toBe("");
  expect(JSON.parse(stdout)).toEqual({
    caught: new Array(5).fill("ERR_NATIVE_LOAD"),
    op: "function",
    bits: 0x3f80,
  });
});
