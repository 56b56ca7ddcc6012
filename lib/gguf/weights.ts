/**
 * The weights of a model under their names and in their layouts in a GGUF file: the table of a family (lib/weights/weightTable.ts),
 * which has those of a checkpoint, becomes one of the file. What differs is data of the architecture; no tensor is touched here.
 */
import { ArgumentRangeError } from "../errors.js";
import type { ModelWeightRow, ModelWeightTable } from "../weights/modelWeights.js";
import type { RowView } from "../weights/rowView.js";
import { storedRows } from "../weights/weightTable.js";
import type { Architecture, GgufContents, ModuleLayout } from "./architecture.js";

const layerPrefix = /^(?:(?:model|backbone)\.layers|transformer\.h)\.\{layer\}\./;

/**
 * @param headDim width of a head, whose rows may be permuted
 * @throws ArgumentRangeError for a row that the architecture does not name
 */
export function ggufWeights(
  { prefixAlternatives: _of, ignored: _ignored, ...table }: ModelWeightTable,
  architecture: Architecture,
  contents: GgufContents,
  headDim: number,
): ModelWeightTable {
  return {
    ...table,
    rows: table.rows.map(
      (row) =>
        architecture.rows?.[row.slot]?.(row, contents) ?? translate(row, architecture, contents, headDim),
    ),
    ignored: [...(architecture.smallTensors ?? []).map(literal), ...layersBehind(table, contents)],
  };
}

const literal = (name: string): RegExp => new RegExp(`^${name.replaceAll(".", "\\.")}$`);

/** `block_count` has also the layers that predict further tokens. */
function layersBehind(
  { numLayers }: Pick<ModelWeightTable, "numLayers">,
  { own }: GgufContents,
): readonly RegExp[] {
  const count = Math.max(0, Number(own("block_count")) - numLayers);
  return Array.from({ length: count }, (_, i) => new RegExp(`^blk\\.${numLayers + i}\\.`));
}

function translate(
  row: ModelWeightRow,
  { modules }: Architecture,
  contents: GgufContents,
  headDim: number,
): ModelWeightRow {
  const sources = row.from.map((name) => sourceOf(name, modules));
  const isStacked = sources.some(({ layout }) => layout.stacked);
  const views = sources.map(({ layout }, i): RowView | undefined => {
    if (!layout.sideBySide) return row.rowViews?.[i];
    const heads = storedRows(row, i) / headDim;
    return { axes: [heads, headDim / 2, 2], order: [0, 2, 1] };
  });
  const fileShapes = sources.map(({ layout }, i) => layout.fileShape?.(row.shapes[i]!, contents));
  const { map, rowViews: _views, transpose, ...rest } = row;
  return {
    ...rest,
    ...(transpose && { shapes: row.shapes.map((shape) => [...shape].reverse()) }), // no file has [in, out]
    from: sources.map(({ name }) => name),
    ...(isStacked && { stacked: true as const }),
    ...(views.some((view) => view) && { rowViews: views }),
    ...(fileShapes.some((shape) => shape) && { fileShapes }),
    ...(map && !sources.some(({ layout }) => layout.mapped) && { map }),
  };
}

/** A tensor of the checkpoint in the file. */
function sourceOf(
  name: string,
  modules: Architecture["modules"],
): { readonly name: string; readonly layout: ModuleLayout } {
  const ofLayer = name.replace(layerPrefix, "");
  const [, module = "", suffix = ""] = /^(.*?)(\.weight|\.bias)?$/.exec(ofLayer)!;
  const given = modules[module];
  if (given === undefined)
    throw new ArgumentRangeError(`ggufWeights: the architecture does not name ${name}`);
  const layout = typeof given === "string" ? { name: given } : given;
  const end = suffix === "" ? (layout.suffix ?? ".weight") : suffix;
  return { name: `${ofLayer === name ? "" : "blk.{layer}."}${layout.name}${end}`, layout };
}
