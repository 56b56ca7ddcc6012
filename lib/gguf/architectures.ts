/** The architectures of GGUF files that are read, and what is said of the others. */
import { show } from "../checkpoint/json.js";
import { CheckpointError } from "../errors.js";
import type { Architecture, GgufContents } from "./architecture.js";
import { deepseeks } from "./deepseek.js";
import { gemmas } from "./gemma.js";
import { layerNormed } from "./layerNormed.js";
import { llamas } from "./llama.js";
import { mamba2 } from "./mamba.js";
import { mixtures } from "./mixtures.js";
import { phi3 } from "./phi.js";
import { postNormed } from "./postNormed.js";
import { qwens } from "./qwen.js";

export const architectures: readonly Architecture[] = [
  ...[...llamas, ...qwens, ...gemmas, ...postNormed, ...mixtures, ...deepseeks],
  ...[...layerNormed, phi3, mamba2],
];

/** @throws CheckpointError ERR_UNSUPPORTED_ARCHITECTURE listing what is read */
export function findArchitecture(contents: GgufContents): Architecture {
  const { architecture, metadata } = contents;
  const found = architectures.find(
    ({ name, isMeant }) => name === architecture && (!isMeant || isMeant(contents)),
  );
  if (found) return found;
  const names = [...new Set(architectures.map(({ name }) => name))].join(", ");
  throw new CheckpointError(
    "ERR_UNSUPPORTED_ARCHITECTURE",
    `${metadata.file}: general.architecture ${show(architecture)} is not read from GGUF; those that are: ${names}`,
    { file: metadata.file },
  );
}
