/**
 * Where the checkpoint of a golden lies. Clones carry test/goldens, so its weights are packed there: `model.safetensors.packed` is the Brotli
 * stream of the file's bytes at even places and then of those at odd ones, which in bf16 puts the exponents, all much alike, side
 * by side: two thirds of the size. They are unpacked once, into a folder that git ignores.
 */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";

const goldens = fileURLToPath(new URL("../goldens", import.meta.url));
const unpacked = fileURLToPath(new URL("../../node_modules/.cache/warploop-goldens", import.meta.url));

export const packedName = "model.safetensors.packed";

/** Of test/goldens: config.json, golden.json, golden.safetensors and the packed weights. */
export const storedFolder = (family: string): string => path.join(goldens, family);

/** A checkpoint folder: config.json and model.safetensors. @param family or "formats/awq" */
export function goldenFolder(family: string): string {
  const [config, packed] = ["config.json", packedName].map((name) => path.join(storedFolder(family), name));
  const bytes = fs.readFileSync(packed!);
  const hash = createHash("sha256").update(bytes).update(fs.readFileSync(config!)).digest("hex").slice(0, 12);
  const folder = path.join(unpacked, `${family.replaceAll("/", "-")}-${hash}`);
  if (fs.existsSync(folder)) return folder;
  fs.mkdirSync(unpacked, { recursive: true });
  const building = fs.mkdtempSync(path.join(unpacked, "building-"));
  fs.writeFileSync(path.join(building, "model.safetensors"), unpack(bytes));
  fs.copyFileSync(config!, path.join(building, "config.json"));
  try {
    fs.renameSync(building, folder);
  } catch (error) {
    fs.rmSync(building, { recursive: true });
    if (!fs.existsSync(folder)) throw error; // or else another process was quicker
  }
  return folder;
}

export function pack(bytes: Uint8Array): Uint8Array {
  const half = Math.ceil(bytes.length / 2);
  const apart = bytes.map((_, i) => bytes[i < half ? 2 * i : 2 * (i - half) + 1]!);
  return brotliCompressSync(apart, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 },
  });
}

export function unpack(packed: Uint8Array): Uint8Array {
  const apart = brotliDecompressSync(packed);
  const half = Math.ceil(apart.length / 2);
  return new Uint8Array(apart).map((_, i) => apart[(i >> 1) + (i % 2) * half]!);
}
