/** What a step needs beside its plan: of each request, and of the arrays on the device. */
import type { Tensor } from "../device/tensor.js";
import type { PlanField } from "../schedule/stepPlan.js";
import { greedySampling, type Sampling } from "./sampling.js";

/** What the engine knows of a request that the scheduler does not. */
export interface RequestNeeds {
  readonly sampling: Sampling;
  /** Most likely alternatives to report with each sampled token; undefined: no log probabilities. */
  readonly logprobs: number | undefined;
  /** The same for the tokens of the prompt. */
  readonly promptLogprobs: number | undefined;
  /** Bring the logits of every prompt position to the host. */
  readonly promptLogits: boolean;
}

/** Of a request that says nothing. */
export const greedyNeeds: RequestNeeds = {
  sampling: greedySampling,
  logprobs: undefined,
  promptLogprobs: undefined,
  promptLogits: false,
};

/** Finds one of the step's arrays on the device. */
export type FieldOf = (name: PlanField) => Tensor;
