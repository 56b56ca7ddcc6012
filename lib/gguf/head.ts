/** Whether a model can run, as far as the beginning of its GGUF file says: before the rest has come from the hub. */
import { findArchitecture } from "./architectures.js";
import { parseHeader } from "./header.js";
import { Metadata } from "./metadata.js";
import { refuseBlocks, refuseOtherFiles } from "./refusals.js";

/**
 * Architecture and types of the weights; what else the keys say is read when all parts are there.
 *
 * @param head the first bytes of a file, or of any part of one that is split
 * @returns false if there have to be more
 * @throws CheckpointError as `openGgufSource` and `GgufSource.refuseWeights`
 */
export function checkHead(head: Uint8Array, sizeBytes: number, file: string): boolean {
  const header = parseHeader(head, sizeBytes, file);
  if (!header) return false;
  const metadata = new Metadata(file, header.metadata);
  const tensors = new Map(header.tensors.map((entry) => [entry.name, entry]));
  refuseBlocks(metadata, tensors);
  const [part, parts] = [metadata.integer("split.no") ?? 0, metadata.integer("split.count") ?? 1];
  if (part > 0) return true; // the first says what it is
  if (parts === 1) refuseOtherFiles(metadata, tensors);
  const architecture =
    metadata.text("general.architecture") ?? metadata.fail("general.architecture", "a name");
  findArchitecture({
    ...{ architecture, metadata, tensors, small: new Map<string, Float32Array>() },
    own: (key) => metadata.value(`${architecture}.${key}`),
    has: (tensor) => tensors.has(tensor),
  });
  return true;
}
