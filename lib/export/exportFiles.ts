/** The weights of a checkpoint on their way to new files, of the same names: matrices as codes, strip by strip, the rest as it is. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { indexFileName, singleFileName } from "../checkpoint/safetensors.js";
import type { Checkpoint, TensorEntry } from "../checkpoint/tensorFiles.js";
import { Device } from "../device/device.js";
import { byteLength, hostArray } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import { CheckpointError, ExecutionError } from "../errors.js";
import { emptyStoredRows, quantize } from "../ops/quantize.js";
import { madeScale } from "../weights/codedFormat.js";
import { tensorsOf, toFile } from "./compressedTensors.js";
import type { ExportedMatrix, ExportPlan } from "./exportPlan.js";
import { type TensorToWrite, writeSafetensors } from "../checkpoint/safetensorsWriter.js";

/** Bytes that are read together. */
const stripBytes = 8 << 20;

export interface ExportFilesOptions {
  readonly folder: string;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (progress: { readonly loaded: number; readonly total: number }) => void;
}

/** @returns the bytes of all tensors, before and after */
export async function exportFiles(
  checkpoint: Checkpoint,
  plan: ExportPlan,
  options: ExportFilesOptions,
): Promise<{ readonly bytesRead: number; readonly bytesWritten: number }> {
  await using device = Device.open("cpu");
  const source = new TensorSource(checkpoint, device.createStream(), options);
  const entries = [...checkpoint.tensors.values()];
  const weightMap: Record<string, string> = {};
  let bytesWritten = 0;
  const files = [...new Set(entries.map(({ file }) => file))];
  for (const file of files) {
    const own = entries.filter((entry) => entry.file === file);
    const written = own.flatMap((entry) => writtenAs(entry, plan));
    const name = files.length > 1 ? path.basename(file) : singleFileName; // a lone shard would need an index
    await writeSafetensors(path.join(options.folder, name), written, source.contents(own, plan));
    for (const tensor of written) weightMap[tensor.name] = name;
    bytesWritten += written.reduce((sum, { bytes }) => sum + bytes, 0);
  }
  if (files.length > 1) {
    const index = { metadata: { total_size: bytesWritten }, weight_map: weightMap };
    await writeFile(path.join(options.folder, indexFileName), `${JSON.stringify(index, undefined, 2)}\n`);
  }
  return { bytesRead: source.total, bytesWritten };
}

function writtenAs(entry: TensorEntry, { matrices }: ExportPlan): readonly TensorToWrite[] {
  const matrix = matrices.get(entry.name);
  if (matrix) return tensorsOf(matrix);
  const dtype = fileDtypes[entry.dtype] ?? entry.dtype.replace(/^unsupported:/, "");
  return [{ name: entry.name, dtype, shape: entry.shape, bytes: entry.byteLength }];
}

/** The names of the format. */
const fileDtypes: Readonly<Record<string, string>> = {
  ...{ f32: "F32", f16: "F16", bf16: "BF16", fp8e4m3: "F8_E4M3", i8: "I8", u8: "U8", i32: "I32" },
};

class TensorSource {
  readonly total: number;
  readonly #checkpoint: Checkpoint;
  readonly #stream: Stream;
  readonly #options: ExportFilesOptions;
  #loaded = 0;

  constructor(checkpoint: Checkpoint, stream: Stream, options: ExportFilesOptions) {
    this.#checkpoint = checkpoint;
    this.#stream = stream;
    this.#options = options;
    this.total = [...checkpoint.tensors.values()].reduce((sum, { byteLength: bytes }) => sum + bytes, 0);
  }

  /** What `writtenAs` says, in its order. */
  async *contents(entries: readonly TensorEntry[], { matrices }: ExportPlan): AsyncGenerator<Uint8Array> {
    for (const entry of entries) {
      const matrix = matrices.get(entry.name);
      if (matrix) yield* this.#codes(matrix);
      else
        for (let at = 0; at < entry.byteLength; at += stripBytes)
          yield await this.#read(entry, at, stripBytes);
    }
  }

  async *#codes(matrix: ExportedMatrix): AsyncGenerator<Uint8Array> {
    const { entry, dtype, outputs, inputs, made } = matrix;
    const rowBytes = byteLength(dtype, inputs);
    const each = Math.max(1, Math.floor(stripBytes / rowBytes));
    const scales: Uint8Array[] = [];
    const stream = this.#stream;
    for (let first = 0; first < outputs; first += each) {
      const rows = Math.min(each, outputs - first);
      const bytes = await this.#read(entry, first * rowBytes, rows * rowBytes);
      const x = stream.fromArray(dtype, [rows, inputs], hostArray(dtype, bytes.buffer as ArrayBuffer));
      const shape = { ...made, outputs: rows, inputs, scale: madeScale } as const;
      const stored = emptyStoredRows(stream, shape);
      try {
        quantize(stream, x, stored, { positive: true });
        const codes = (await stored.codes
          .read(stream)
          .catch((error: unknown) => notFinite(entry, first, error))) as Uint8Array;
        scales.push(bytesOf(await stored.scales!.read(stream)));
        yield toFile(made.format, codes);
      } finally {
        for (const tensor of [x, stored.codes, stored.scales!]) tensor.dispose();
      }
    }
    yield* scales;
    if (made.format !== "fp8") yield bytesOf(BigInt64Array.of(BigInt(outputs), BigInt(inputs)));
  }

  /** At most so many bytes, in a buffer of their own. */
  async #read(entry: TensorEntry, start: number, most: number): Promise<Uint8Array> {
    const { signal, onProgress } = this.#options;
    signal?.throwIfAborted();
    const bytes = new Uint8Array(Math.min(most, entry.byteLength - start));
    await this.#checkpoint.read(entry, bytes, start);
    this.#loaded += bytes.length;
    onProgress({ loaded: this.#loaded, total: this.total });
    return bytes;
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength: length }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer as ArrayBuffer, byteOffset, length);

/** Of a strip that begins with row `first`: which tensor it is, and which row of it. */
function notFinite({ file, name }: TensorEntry, first: number, error: unknown): never {
  if (!(error instanceof ExecutionError)) throw error;
  const problem = error.message.replace(/x\[(\d+)/, (_, row) => `x[${first + Number(row)}`);
  throw new CheckpointError(
    "ERR_CHECKPOINT_TENSOR",
    `${file}: tensor ${name}: ${problem}`,
    { file, tensor: name },
    { cause: error },
  );
}
