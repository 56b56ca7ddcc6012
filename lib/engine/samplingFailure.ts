/** Why no token could be sampled, as the error that ends the request. */
import { SamplingError } from "../errors.js";
import { RowStatus } from "../ops/rowStatus.js";
import type { Request } from "../schedule/request.js";
import type { RequestSpec } from "./requestSpec.js";
import type { Sampling } from "./sampling.js";

/**
 * @param status of the logits, not `ok`
 * @param position index of the token in the sequence
 */
export function samplingFailure(
  { id, promptLength }: Request,
  { sampling, constraint }: Pick<RequestSpec, "sampling" | "constraint">,
  status: number,
  position: number,
): SamplingError {
  const where = `${id}: token ${position}, where the prompt has ${promptLength}`;
  if (status === RowStatus.noChoice && bansTokens(sampling, position - promptLength)) {
    const message = `${where}: logitBias, or minTokens and the stop ids, leave no token to choose from`;
    return new SamplingError("ERR_ALL_BANNED", message, id, position);
  }
  if (status === RowStatus.noChoice && constraint) {
    const message = `${where}: format: no token of the vocabulary goes on with it`;
    return new SamplingError("ERR_ALL_BANNED", message, id, position);
  }
  const what = status === RowStatus.noChoice ? "are all -Infinity" : "contain NaN or Infinity";
  const message =
    `${where}: the logits ${what}: weights that are not finite or do not belong together, or activations beyond the ` +
    "range of their dtype (f16 ends at 65504; try dtype bf16 or f32)";
  return new SamplingError("ERR_NON_FINITE", message, id, position);
}

/** Whether the request itself forbids tokens where its `generated`-th token (from 0) is sampled. */
function bansTokens({ suppressed, minTokens, logitBias }: Sampling, generated: number): boolean {
  return (suppressed.length > 0 && generated < minTokens) || logitBias.values.includes(-Infinity);
}
