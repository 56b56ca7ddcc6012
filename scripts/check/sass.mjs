// Reads a cubin (nvcc -cubin) as far as the order of a kernel's warpgroup products, their waits and its exponentials goes:
// the toolkit of a build machine may have no disassembler.
//
// A cubin is an ELF file (64 bits, little endian, machine EM_CUDA) with a section .text.NAME for each kernel. From Volta to
// Hopper an instruction has 16 bytes, of which the lowest 12 bits are the opcode. NVIDIA names the instructions (CUDA Binary
// Utilities, "Instruction Set Reference") and does not document their bits: these are what dumps of nvdisasm and cuobjdump
// show beside the names.

const machineCuda = 190; // EM_CUDA
const instructionBytes = 16;

/** Low 12 bits of an instruction, with the form of the operands in bits 9 to 11. */
const opcodes = {
  /** MUFU, the multi-function unit: exp2, log2, reciprocal and so on */
  MUFU: 0x308,
  /** WARPGROUP.ARRIVE (wgmma.fence) and WARPGROUP.DEPBAR.LE gsb0, N (wgmma.wait_group N) */
  WARPGROUP: 0x9c5,
  /** HGMMA, wgmma of 16-bit types: A in shared memory, A in registers */
  HGMMA_SHARED: 0x9f0,
  HGMMA_REGISTERS: 0xdf0,
};
const mufuExp2 = 2; // MUFU.EX2: bits 74 to 77
const depbarFlag = 1n << 47n; // WARPGROUP.DEPBAR; without it: WARPGROUP.ARRIVE
// The N of DEPBAR.LE gsb0, N: bits 72 to 74

/**
 * @typedef {"exp2" | "multiply" | "arrive" | `wait<${number}>`} Event
 * @typedef {{ name: string, events: Event[] }} Kernel name: mangled; events: in the order of the code
 */

/** @param {Buffer} cubin @returns {Kernel[]} @throws {Error} when it is no cubin */
export function readKernels(cubin) {
  const isElf =
    cubin.length >= 64 && cubin.readUInt32BE(0) === 0x7f454c46 && cubin.readUInt16LE(4) === 0x0102;
  if (!isElf || cubin.readUInt16LE(0x12) !== machineCuda) throw new Error("this is no cubin");
  const table = Number(cubin.readBigUInt64LE(0x28));
  const [size, count, names] = [0x3a, 0x3c, 0x3e].map((at) => cubin.readUInt16LE(at));
  const sections = Array.from({ length: Number(count) }, (_, i) => {
    const header = cubin.subarray(table + i * Number(size));
    const [from, bytes] = [0x18, 0x20].map((at) => Number(header.readBigUInt64LE(at)));
    return { name: header.readUInt32LE(0), data: cubin.subarray(from, Number(from) + Number(bytes)) };
  });
  const text = sections[Number(names)]?.data ?? Buffer.alloc(0);
  return sections.flatMap(({ name, data }) => {
    const full = text.toString("latin1", name, text.indexOf(0, name));
    return full.startsWith(".text.") ? [{ name: full.slice(".text.".length), events: eventsOf(data) }] : [];
  });
}

/** @param {Buffer} code @returns {Event[]} */
function eventsOf(code) {
  /** @type {Event[]} */
  const events = [];
  for (let at = 0; at + instructionBytes <= code.length; at += instructionBytes) {
    const [low, high] = [code.readBigUInt64LE(at), code.readBigUInt64LE(at + 8)];
    const opcode = Number(low & 0xfffn);
    if (opcode === opcodes.MUFU && Number((high >> 10n) & 15n) === mufuExp2) events.push("exp2");
    if (opcode === opcodes.HGMMA_SHARED || opcode === opcodes.HGMMA_REGISTERS) events.push("multiply");
    if (opcode !== opcodes.WARPGROUP) continue;
    events.push(low & depbarFlag ? `wait<${Number((high >> 8n) & 7n)}>` : "arrive");
  }
  return events;
}
