/** Where a model comes from: a folder in Hugging Face layout, or a GGUF file. Everything above asks for the parts and knows neither. */
import { type ModelConfigJson, readConfig } from "../checkpoint/config.js";
import { refuseAdapter } from "../checkpoint/otherFormats.js";
import { openCheckpoint } from "../checkpoint/safetensors.js";
import { type Checkpoint, localFiles, type TensorFiles } from "../checkpoint/tensorFiles.js";
import { inTurns } from "../eventLoop.js";
import { isGguf, openGgufSource } from "../gguf/source.js";
import { type Quantization, readQuantization } from "../quantization/quantization.js";
import { readTemplateFiles, type TemplateFiles } from "../text/templateFiles.js";
import { Tokenizer } from "../text/tokenizer.js";
import type { ModelWeightTable } from "../weights/modelWeights.js";

export interface ModelSource {
  readonly config: ModelConfigJson;
  /** The weights of a family, which has the names of a folder, by those that the source has. @param headDim width of a head */
  weightsOf(table: ModelWeightTable, headDim: number): ModelWeightTable;
  /**
   * What it says of matrices in codes.
   *
   * @throws CheckpointError for weights in a format that does not run
   */
  quantization(): Promise<Quantization | undefined>;
  /** The caller closes it. */
  openWeights(): Promise<Checkpoint>;
  /** @returns null if it has none */
  tokenizer(): Promise<Tokenizer | null>;
  templates(): Promise<TemplateFiles>;
}

/**
 * Reads what says of which kind a model is; weights need not be there, but for a GGUF file, which is all in one.
 *
 * @param path of a folder or a GGUF file
 * @param files where weights are
 * @throws CheckpointError
 */
export async function openSource(path: string, files: TensorFiles = localFiles): Promise<ModelSource> {
  return (await isGguf(path, files)) ? openFile(path, files) : openFolder(path, files);
}

async function openFile(path: string, files: TensorFiles): Promise<ModelSource> {
  const source = await openGgufSource(path, files);
  return {
    config: source.config,
    weightsOf: (table, headDim) => source.weightsOf(table, headDim),
    quantization: async () => {
      source.refuseWeights();
      return undefined; // tensors say it themselves
    },
    openWeights: () => source.openWeights(),
    async tokenizer() {
      const prepared = await source.tokenizer();
      return prepared && inTurns(Tokenizer.make(prepared));
    },
    templates: () => source.templates(),
  };
}

async function openFolder(folder: string, files: TensorFiles): Promise<ModelSource> {
  await refuseAdapter(folder);
  const config = await readConfig(folder);
  return {
    config,
    weightsOf: (table) => table,
    quantization: () => readQuantization(config.reader, folder),
    openWeights: () => openCheckpoint(folder, files),
    tokenizer: () => Tokenizer.load(folder),
    templates: () => readTemplateFiles(folder),
  };
}
