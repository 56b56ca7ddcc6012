/**
 * Reads which layers have a sliding window, and how far it reaches.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";

/**
 * Which layers have a sliding window: those that `layer_types` names, else those that the family's own fields say.
 *
 * @param window keys that a query sees, itself included; undefined: no layer can have a window
 * @param hasWindow of a layer, when there is no `layer_types`
 * @param whyNone why no layer can have one, for the error of a config that says that one has
 * @returns the window of each layer; 0 is none
 */
export function readWindows(
  reader: ConfigReader,
  numLayers: number,
  window: number | undefined,
  hasWindow: (layer: number) => boolean = () => true,
  whyNone = "no field gives the window",
): number[] {
  const sizes = { full_attention: 0, sliding_attention: window } as const;
  const names = Object.keys(sizes) as (keyof typeof sizes)[];
  const types = reader.optionalListOf("layer_types", names);
  if (types === undefined) {
    return Array.from({ length: numLayers }, (_, layer) => (hasWindow(layer) ? (window ?? 0) : 0));
  }
  if (types.length !== numLayers) reader.fail("layer_types", `one for each of the ${numLayers} layers`);
  return types.map((type) => {
    const size = sizes[type];
    return size ?? reader.fail("layer_types", `"full_attention" alone, because ${whyNone}`);
  });
}

/** `sliding_window` of a family whose layers differ by whether they have one: `null` is refused. */
export function requiredWindow(reader: ConfigReader, absent: number): number {
  return (
    reader.nullablePositiveInt("sliding_window", absent) ??
    reader.fail("sliding_window", "a positive integer")
  );
}

/** All layers but the last of each `interval`. */
export function everyLayerBut(interval: number): (layer: number) => boolean {
  return (layer) => (layer + 1) % interval !== 0;
}

/** The same for a config that switches windows off: `layer_types` may not name one. */
export function readNoWindows(reader: ConfigReader, numLayers: number): number[] {
  return readWindows(reader, numLayers, undefined, () => false, "use_sliding_window is not true");
}

/** What `readQwenWindows` reads. */
export const qwenWindowFields: readonly string[] = [
  ...["use_sliding_window", "sliding_window", "max_window_layers", "layer_types"],
];

/** Of Qwen2 and Qwen3: without `layer_types`, the layers from `max_window_layers` on have a window. */
export function readQwenWindows(reader: ConfigReader, numLayers: number): number[] {
  if (!reader.bool("use_sliding_window", false)) return readNoWindows(reader, numLayers);
  const firstLayer = reader.nonNegativeInt("max_window_layers", 28);
  const window = reader.nullablePositiveInt("sliding_window", 4096);
  return readWindows(reader, numLayers, window, (layer) => layer >= firstLayer);
}
