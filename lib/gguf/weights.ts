/**
 * The weights of a model under their names and in their layouts in a GGUF file: the table of a family (lib/weights/weightTable.ts),
 * which has those of a checkpoint, becomes one of the file. What differs is data of the architecture; no tensor is touched here.
 */
import { ArgumentRangeError } from "../errors.js";
import type { ModelWeightRow, ModelWeightTable } from "../weights/modelWeights.js";
import type { RowView } from "../weights/rowView.js";
import { storedRows } from "../weights/weightTable.js";
import type { Architecture, ModuleLayout } from "./architecture.js";

const layerPrefix = "model.layers.{layer}.";

/**
 * @param headDim width of a head, whose rows may be permuted
 * @throws ArgumentRangeError for a row that the architecture does not name
 */
export function ggufWeights(
  { prefixAlternatives: _of, ...table }: ModelWeightTable,
  { modules, smallTensors = [] }: Architecture,
  headDim: number,
): ModelWeightTable {
  const literal = (name: string) => new RegExp(`^${name.replaceAll(".", "\\.")}$`);
  return {
    ...table,
    rows: table.rows.map((row) => translate(row, modules, headDim)),
    ignored: smallTensors.map(literal),
  };
}

function translate(row: ModelWeightRow, modules: Architecture["modules"], headDim: number): ModelWeightRow {
  const sources = row.from.map((name) => sourceOf(name, modules));
  const isStacked = sources.some(({ layout }) => layout.stacked);
  const views = sources.map(({ layout }, i): RowView | undefined => {
    if (!layout.sideBySide) return row.rowViews?.[i];
    const heads = storedRows(row, i) / headDim;
    return { axes: [heads, headDim / 2, 2], order: [0, 2, 1] };
  });
  const { map, rowViews: _views, ...rest } = row;
  return {
    ...rest,
    from: sources.map(({ name }) => name),
    ...(isStacked && { stacked: true as const }),
    ...(views.some((view) => view) && { rowViews: views }),
    ...(map && !sources.some(({ layout }) => layout.mapped) && { map }),
  };
}

/** A tensor of the checkpoint in the file. */
function sourceOf(
  name: string,
  modules: Architecture["modules"],
): { readonly name: string; readonly layout: ModuleLayout } {
  const isOfLayer = name.startsWith(layerPrefix);
  const [, module = "", suffix = ""] = /^(.*?)(\.weight|\.bias)?$/.exec(
    isOfLayer ? name.slice(layerPrefix.length) : name,
  )!;
  const given = modules[module];
  if (given === undefined)
    throw new ArgumentRangeError(`ggufWeights: the architecture does not name ${name}`);
  const layout = typeof given === "string" ? { name: given } : given;
  const end = suffix === "" ? ".weight" : suffix; // parameters without a module of their own
  return { name: `${isOfLayer ? "blk.{layer}." : ""}${layout.name}${end}`, layout };
}
