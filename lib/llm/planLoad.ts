/** What a load will do with each weight of a model on a device: decided before any of them is read. */
import type { Checkpoint } from "../checkpoint/tensorFiles.js";
import type { Device } from "../device/device.js";
import type { FloatDType } from "../device/dtype.js";
import type { Quantization } from "../quantization/quantization.js";
import {
  activationDtype,
  type ActivationsOption,
  type DTypeOption,
  storedDtype,
} from "../weights/activationDtype.js";
import { checkActivations } from "../weights/codedFormat.js";
import { formsOf, type ModelWeightTable, type WeightForm } from "../weights/modelWeights.js";
import { quantizePlan, type QuantizeOption } from "../weights/quantizePlan.js";
import { settleCodes } from "../weights/settleCodes.js";
import { wholeModel } from "../weights/shard.js";
import { untieDifferentCopies } from "../weights/tiedWeights.js";
import { type PlannedWeight, resolveWeights } from "../weights/weightMap.js";
import { tableOn } from "../weights/weightTable.js";

/** Of a `ModelDescription`. */
export interface DescribedWeights {
  readonly definition: { readonly weights: ModelWeightTable };
  readonly quantization: Quantization | undefined;
}

/** Options of a load that decide what becomes of weights. */
export interface WeightOptions {
  /** Dtype of activations. Default "auto": see `activationDtype`. */
  readonly dtype?: DTypeOption | undefined;
  /** What products with weights in codes make of activations first. Default "auto". */
  readonly activations?: ActivationsOption | undefined;
  /** What the load makes of matrices of floats: codes, which take less memory. Default: nothing. See `quantizePlan`. */
  readonly quantize?: QuantizeOption | undefined;
  /** Stops between tensors; the load rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
}

export interface LoadPlan {
  readonly plan: readonly PlannedWeight[];
  readonly forms: ReadonlyMap<string, WeightForm>;
  /** Of activations. */
  readonly dtype: FloatDType;
  /** Products with weights in codes make bytes of activations first, where they can. */
  readonly int8Activations: boolean;
}

/**
 * @param checkpoint that of the description, open
 * @throws CheckpointError naming tensors that are missing, wrong or unexpected; ArgumentTypeError, ArgumentRangeError; `signal.reason`
 */
export async function planLoad(
  { definition, quantization }: DescribedWeights,
  checkpoint: Checkpoint,
  options: WeightOptions & { readonly device: Device },
): Promise<LoadPlan> {
  const { device, quantize, activations = "auto", signal } = options;
  const table = tableOn(device, definition.weights);
  const declared = resolveWeights(table, checkpoint, wholeModel, quantization);
  const settled = await settleCodes(declared, checkpoint, signal);
  const untied = await untieDifferentCopies(settled, checkpoint, signal);
  const plan = quantize ? quantizePlan(untied, table.rows, { option: quantize, device }) : untied;
  const forms = formsOf(definition.weights);
  const dtype = activationDtype(options.dtype ?? "auto", storedDtype(plan, forms), device);
  const { weightFormats, takesInt8 } = device;
  const int8Activations = activations !== "float" && takesInt8;
  checkActivations(activations, plan, { weightFormats, int8Activations });
  return { plan, forms, dtype, int8Activations };
}
