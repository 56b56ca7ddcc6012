/** Says at load how the KV cache of a model with several kinds of layers is divided, and what of it lies fallow. */
import type { StateLayout } from "../nn/state.js";
import type { ResolvedOptions } from "./engineOptions.js";
import { printLine } from "./terminal.js";

/**
 * Goes to `onProgress` as phase "cache"; without a listener it is one line on stderr when that is a terminal. Where all layers are
 * of one group there is nothing to say: its pages are the blocks.
 */
export function reportCache(
  { layout, numBlocks }: { readonly layout: StateLayout; readonly numBlocks: number },
  onProgress: ResolvedOptions["onProgress"],
): void {
  if (layout.groups.length + Math.min(layout.slotLayers, 1) < 2) return;
  const message = describeCache(layout, numBlocks);
  if (onProgress) onProgress({ phase: "cache", message, loaded: 0, total: 0 });
  else printLine(message);
}

function describeCache({ groups, layers, slotLayers, blockBytes, pageSize }: StateLayout, numBlocks: number) {
  const kinds = groups.map(({ window, pagesPerBlock, waste }, group) => {
    const members = layers.filter(({ place }) => "group" in place && place.group === group).length;
    const seen = window > 0 ? ` with window ${window}` : "";
    const pages = pagesPerBlock === 1 ? "1 page" : `${pagesPerBlock} pages`;
    return `${count(members)}${seen}: ${pages} of ${pageSize} tokens a block, ${percent(waste)} unused`;
  });
  const slots = slotLayers > 0 ? [`${count(slotLayers)}: a block for each sequence and layer`] : [];
  return `KV cache: ${numBlocks} blocks of ${blockBytes} bytes; ${[...kinds, ...slots].join("; ")}`;
}

const count = (layers: number) => (layers === 1 ? "1 layer" : `${layers} layers`);
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
