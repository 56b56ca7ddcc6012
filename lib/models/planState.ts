/** What the layers of a model keep of a sequence, before any of its weights is there. */
import type { FloatDType, KvDType } from "../device/dtype.js";
import type { Tensor } from "../device/tensor.js";
import type { StateSpec } from "../nn/state.js";
import type { EmbeddingTable } from "../ops/embedding.js";
import type { GroupedWeight, LinearWeight } from "../ops/packLinear.js";
import { formsOf, ModelWeights, type ModelWeightTable, type WeightForm } from "../weights/modelWeights.js";
import { wholeModel } from "../weights/shard.js";
import type { ModelDefinition } from "./model.js";

/**
 * Stands for a weight where nobody runs the model: building it puts weights where ops will find them. What else is asked of it, or of what
 * it gives, is absent, too.
 *
 * @param known what builders do look at
 */
function absent<T extends object>(known: Partial<T> = {}): T {
  const fields = known as Readonly<Record<string | symbol, unknown>>;
  const nothing = new Proxy(() => undefined, {
    get: (_, name): unknown => fields[name] ?? (name === "then" ? undefined : absent()), // it is no promise
    apply: (): unknown => absent(),
  });
  return nothing as unknown as T;
}

class AbsentWeights extends ModelWeights {
  readonly #forms: ReadonlyMap<string, WeightForm>;

  constructor(table: ModelWeightTable) {
    super();
    this.#forms = formsOf(table);
  }

  override vector = (): Tensor => absent();
  override filters = (): Tensor => absent();
  override table = (): Tensor => absent();
  override embedding = (): EmbeddingTable => absent();
  override linear = (slot: string): LinearWeight =>
    absent<LinearWeight>({ swiglu: this.#forms.get(slot) === "gatedLinear" });
  override experts = (): GroupedWeight => absent();
  override heads = (): GroupedWeight => absent();
  override expertVectors = (): Tensor => absent();
}

/** @param options of the load */
export async function planState(
  definition: ModelDefinition,
  options: { readonly dtype: FloatDType; readonly kvDtype: KvDType; readonly contextLength: number },
): Promise<readonly StateSpec[]> {
  const constant = (_: Float32Array, shape: readonly number[]) =>
    Promise.resolve(absent<Tensor>({ size: (axis) => shape.at(axis)! }));
  const weights = new AbsentWeights(definition.weights);
  const { state } = await definition.build(weights, { ...options, shard: wholeModel, constant });
  return state;
}
