/** What a request asks of the steps that run it, beside its tokens. */
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
