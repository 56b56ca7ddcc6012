/**
 * A GGUF file as the source of a model: what a checkpoint folder has in its files, from one. Lib/llm asks for the parts.
 */
import type { ModelConfigJson } from "../checkpoint/config.js";
import {
  type Checkpoint,
  localFiles,
  type TensorEntry,
  type TensorFiles,
} from "../checkpoint/tensorFiles.js";
import { CheckpointError } from "../errors.js";
import { inTurns } from "../eventLoop.js";
import type { PreparedTokenizer } from "../text/preparedTokenizer.js";
import type { TemplateFiles } from "../text/templateFiles.js";
import type { ModelWeightTable } from "../weights/modelWeights.js";
import type { Architecture, GgufContents } from "./architecture.js";
import { architectures, findArchitecture } from "./architectures.js";
import { ggufConfig } from "./config.js";
import { openGguf } from "./file.js";
import type { Metadata } from "./metadata.js";
import { refuseBlocks, refuseOtherFiles } from "./refusals.js";
import { ggufTemplates } from "./templates.js";
import { ggufTokenizer } from "./tokenizer.js";
import { ggufWeights } from "./weights.js";

/** Numbers of a tensor that a config is made of: one for each pair of a head. */
const mostSmall = 4096;

export class GgufSource {
  readonly config: ModelConfigJson;
  readonly #path: string;
  readonly #files: TensorFiles;
  readonly #contents: GgufContents;
  readonly #architecture: Architecture;

  /** Use {@link openGgufSource}. */
  constructor(path: string, files: TensorFiles, contents: GgufContents) {
    this.#path = path;
    this.#files = files;
    this.#contents = contents;
    this.#architecture = findArchitecture(contents);
    this.config = ggufConfig(contents, this.#architecture);
  }

  /** The weights of a family by their names in the file. @param headDim width of a head */
  weightsOf(table: ModelWeightTable, headDim: number): ModelWeightTable {
    return ggufWeights(table, this.#architecture, this.#contents, headDim);
  }

  /** @throws CheckpointError ERR_CHECKPOINT_TENSOR for weights of types that do not run */
  refuseWeights(): void {
    refuseBlocks(this.#contents.metadata, this.#contents.tensors);
  }

  /** The caller closes it. @throws CheckpointError */
  async openWeights(): Promise<Checkpoint> {
    return (await openGguf(this.#path, this.#files)).checkpoint;
  }

  /** @returns null if the file has none @throws TextError ERR_TOKENIZER */
  tokenizer(): Promise<PreparedTokenizer | null> {
    return inTurns(ggufTokenizer(this.#contents.metadata));
  }

  templates(): Promise<TemplateFiles> {
    return Promise.resolve(ggufTemplates(this.#contents.metadata));
  }
}

/** Whether a path is meant as a GGUF file, and there is one. */
export async function isGguf(path: string, files = localFiles): Promise<boolean> {
  return /\.gguf$/i.test(path) && (await files.has(path));
}

/**
 * Reads what a file says of its model; its weights are not read.
 *
 * @param path of the file, or of the first of its parts
 * @param files where they are
 * @throws CheckpointError ERR_CHECKPOINT_FORMAT, ERR_CHECKPOINT_CONFIG; ERR_UNSUPPORTED_ARCHITECTURE
 */
export async function openGgufSource(path: string, files: TensorFiles): Promise<GgufSource> {
  const { metadata, checkpoint } = await openGguf(path, files);
  await using _files = checkpoint;
  const { tensors } = checkpoint;
  refuseOtherFiles(metadata, tensors);
  const architecture =
    metadata.text("general.architecture") ?? metadata.fail("general.architecture", "a name");
  const names = architectures
    .filter(({ name }) => name === architecture)
    .flatMap(({ smallTensors = [] }) => smallTensors);
  const small = new Map<string, Float32Array>();
  for (const name of new Set(names)) {
    const entry = tensors.get(name);
    if (entry) small.set(name, await readSmall(checkpoint, entry, metadata));
  }
  return new GgufSource(path, files, {
    ...{ architecture, metadata, tensors, small },
    own: (key) => metadata.value(`${architecture}.${key}`),
    has: (tensor) => tensors.has(tensor),
  });
}

async function readSmall(
  checkpoint: Checkpoint,
  entry: TensorEntry,
  { file }: Metadata,
): Promise<Float32Array> {
  const { name, dtype, shape, byteLength } = entry;
  if (dtype !== "f32" || shape.length !== 1 || byteLength > 4 * mostSmall) {
    const expected = `expected at most ${mostSmall} numbers in f32`;
    const message = `${file}: tensor ${name}: ${expected}, got ${dtype} [${shape.join(", ")}]`;
    throw new CheckpointError("ERR_CHECKPOINT_TENSOR", message, { file: entry.file, tensor: name });
  }
  const values = new Float32Array(byteLength / 4);
  await checkpoint.read(entry, new Uint8Array(values.buffer));
  return values;
}
