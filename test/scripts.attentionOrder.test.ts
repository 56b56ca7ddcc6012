// Contract: the check of the Hopper attention kernel reads its machine code and fails when the exponentials no longer lie
// between the two waits. The instructions are those of a real kernel (nvcc 13.0, sm_90a), the cubins around them are made here.
import { describe, expect, it } from "vitest";
import { exponentialsOfBlock, attentionOrders } from "../scripts/check/attentionOrder.mjs";
import { readKernels } from "../scripts/check/sass.mjs";

type Instruction = readonly [low: bigint, high: bigint];
const arrive: Instruction = [0x00000000000079c5n, 0x000fe20000000000n];
const wait1: Instruction = [0x00008000000079c5n, 0x000fe40000010100n];
const wait0: Instruction = [0x00008000000079c5n, 0x000fe40000010000n];
const exp2: Instruction = [0x0000000000037308n, 0x000ea20000000800n];
const reciprocal: Instruction = [0x0000000400057308n, 0x000e220000001000n];
const multiply: Instruction = [0x00e00000041879f0n, 0x000fe20003800000n];
const other: Instruction = [0x0000000000007918n, 0x000fc00000000000n]; // NOP

const times = (count: number, instruction: Instruction) => Array<Instruction>(count).fill(instruction);
const nameOf = (keys: number, dtype = "6__half", Dh = 128) =>
  `_ZN8warploop4cuda16attention_hopperINS0_11HopperShapeI${dtype}Li${Dh}ELi128ELi${keys}EEEEEvNS0_16AttentionProblemE`;

/** An ELF file of machine EM_CUDA with a section .text.NAME for each kernel, and one of names. */
function makeCubin(kernels: Readonly<Record<string, readonly Instruction[]>>): Buffer {
  const sections = Object.entries(kernels).map(([name, code]) => {
    const data = Buffer.alloc(16 * code.length);
    code.forEach(([low, high], i) => data.writeBigUInt64LE(high, data.writeBigUInt64LE(low, 16 * i)));
    return { name: `.text.${name}`, data };
  });
  const names = Buffer.from(`\0${[...sections.map(({ name }) => name), ".shstrtab"].join("\0")}\0`, "latin1");
  const all = [{ name: "", data: Buffer.alloc(0) }, ...sections, { name: ".shstrtab", data: names }];
  const header = Buffer.alloc(64);
  header.write("\x7fELF\x02\x01\x01", "latin1");
  header.writeUInt16LE(190, 0x12);
  header.writeUInt16LE(64, 0x3a);
  header.writeUInt16LE(all.length, 0x3c);
  header.writeUInt16LE(all.length - 1, 0x3e);
  let at = 64;
  const table = all.map(({ name, data }) => {
    const row = Buffer.alloc(64);
    row.writeUInt32LE(name ? names.indexOf(`${name}\0`) : 0, 0);
    row.writeBigUInt64LE(BigInt(at), 0x18);
    row.writeBigUInt64LE(BigInt(data.length), 0x20);
    at += data.length;
    return row;
  });
  header.writeBigUInt64LE(BigInt(at), 0x28);
  return Buffer.concat([header, ...all.map(({ data }) => data), ...table]);
}

/** The first block, then the turn of the loop with `between` the wait for S and what follows it, then the last product. */
const kernel = (...between: readonly Instruction[]) => [
  ...[reciprocal, arrive, ...times(8, multiply), wait0, ...times(69, exp2), other],
  ...[arrive, ...times(8, multiply), arrive, ...times(8, multiply), wait1, ...between],
  ...[arrive, ...times(8, multiply), wait0, other],
];
const problemOf = (keys: number, ...between: readonly Instruction[]) =>
  attentionOrders(makeCubin({ [nameOf(keys)]: kernel(...between) }))[0]!.problem;

describe("the order of the Hopper attention kernel", () => {
  it("has two exponentials for each score of a thread and one for each of its two rows", () => {
    expect([64, 96, 128].map(exponentialsOfBlock)).toEqual([66, 98, 130]);
  });

  it("is good with all exponentials between the waits, whatever else is there", () => {
    expect(problemOf(128, other, ...times(130, exp2), reciprocal, other, wait0)).toBeUndefined();
    expect(problemOf(64, ...times(66, exp2), wait0)).toBeUndefined();
  });

  it.each([
    { name: "the second wait comes first", between: [wait0, ...times(130, exp2)], said: "0 exponentials" },
    {
      name: "one exponential is late",
      between: [...times(129, exp2), wait0, exp2],
      said: "129 exponentials",
    },
    { name: "there is no second wait", between: times(130, exp2), said: "130 exponentials, arrive" },
    {
      name: "both waits are for one",
      between: [...times(130, exp2), wait1],
      said: "130 exponentials, wait<1>",
    },
  ])("is lost when $name", ({ between, said }) => {
    expect(problemOf(128, ...between)).toContain(said);
  });

  it("is lost when there is no wait for S alone, and unknown without a shape", () => {
    const [never] = attentionOrders(makeCubin({ [nameOf(128)]: [arrive, multiply, wait0] }));
    expect(never!.problem).toMatch(/never waits/);
    const [nameless] = attentionOrders(makeCubin({ attention_hopper: kernel() }));
    expect(nameless!.problem).toMatch(/no shape/);
  });

  it("is told for each shape and dtype, and for no other kernel", () => {
    const good = kernel(...times(98, exp2), wait0);
    const cubin = makeCubin({
      [nameOf(96)]: good,
      other_kernel: [exp2],
      [nameOf(96, "13__nv_bfloat16", 192)]: good,
    });
    const orders = attentionOrders(cubin);
    expect(orders.map(({ shape }) => shape)).toEqual([
      "Dh 128 Dv 128 keys 96 f16",
      "Dh 192 Dv 128 keys 96 bf16",
    ]);
    expect(orders[0]!.sequence).toContain("wait<1>, 98 exp2, wait<0>, arrive, 8 multiply, wait<0>");
    expect(readKernels(cubin)).toHaveLength(3);
  });

  it.each([Buffer.alloc(0), Buffer.from("not a cubin"), Buffer.alloc(64)])("needs a cubin", (bytes) => {
    expect(() => attentionOrders(bytes)).toThrow("this is no cubin");
  });
});
