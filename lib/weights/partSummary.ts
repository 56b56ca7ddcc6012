/** What each part of a model will be kept as, and how many bytes that takes: from the plan of a load, before any weight is read. */
import { formatText } from "../ops/weightFormat.js";
import type { WeightForm } from "./modelWeights.js";
import { roomBytes } from "./weightArena.js";
import { type FormedWeights, type FormOptions, formPlan } from "./weightForms.js";
import type { PlannedWeight } from "./weightMap.js";

/** The weights of one slot that are kept in one way. */
export interface PartSummary {
  /** Name of the slot in the model: "qkv", "expertsGateUp" */
  readonly part: string;
  /** "bf16", "int4 in groups of 128"; of several that lie next to each other "int4 in groups of 32 + int8 in groups of 16" */
  readonly format: string;
  /** What products make of activations first: nothing, or bytes. */
  readonly activations: "float" | "int8";
  /** How many there are: layers that have it, or 1. */
  readonly count: number;
  readonly parameters: number;
  readonly bytes: number;
}

/** @returns in the order in which they are loaded; a weight that another stands for is none */
export function summarizeParts(
  plan: readonly PlannedWeight[],
  forms: ReadonlyMap<string, WeightForm>,
  options: FormOptions,
): PartSummary[] {
  const sums = new Map<string, PartSummary>();
  for (const { weight, formed } of formPlan(plan, forms, options)) {
    const { slot: part, shape } = weight;
    if (formed.rooms.length === 0) continue;
    const way = wayOf(formed.rooms);
    const key = [part, way.format, way.activations].join("|");
    const known = sums.get(key) ?? { count: 0, parameters: 0, bytes: 0 };
    sums.set(key, {
      ...{ part, ...way, count: known.count + 1 },
      parameters: known.parameters + shape.reduce((product, size) => product * size, 1),
      bytes: known.bytes + formed.rooms.reduce((sum, room) => sum + roomBytes(room.dtype, room.shape), 0),
    });
  }
  return [...sums.values()];
}

function wayOf(rooms: FormedWeights["formed"]["rooms"]): Pick<PartSummary, "format" | "activations"> {
  const formats = rooms.flatMap(({ format }) => format ?? []);
  const isBytes = formats.some((of) => of.format !== "dense" && of.activation === "int8");
  return {
    format: [...new Set(formats.map((of) => formatText(of).replace(/^dense /, "")))].join(" + "),
    activations: isBytes ? "int8" : "float",
  };
}
