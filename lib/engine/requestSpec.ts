/** All that a request asks for beside its prompt, as plain data: what the scheduler has to know, how tokens are drawn, what to report. */
import { Request, type RequestParams } from "../schedule/request.js";
import type { HashList } from "../schedule/tokenList.js";
import type { Constraint } from "./constraint.js";
import { greedySampling, type Sampling } from "./sampling.js";

export interface RequestReport {
  /** Most likely alternatives to report with each sampled token; undefined: no log probabilities. */
  readonly logprobs: number | undefined;
  /** The same for the tokens of the prompt. */
  readonly promptLogprobs: number | undefined;
  /** Bring the logits of every prompt position to the host. */
  readonly promptLogits: boolean;
  /** Bring the hidden states behind the last norm to the host: of the last position of the prompt, or of every one. */
  readonly promptHidden: "none" | "last" | "all";
}

export interface RequestSpec {
  /** Whether logits of the prompt are computed follows from the report. */
  readonly schedule: Omit<RequestParams, "promptLogits">;
  readonly sampling: Sampling;
  /** What its tokens have to obey. It is the request's own: it takes its tokens. */
  readonly constraint?: Constraint | undefined;
  readonly report: RequestReport;
}

/** Of a request that says nothing. */
export function greedySpec(maxTokens: number, report: Partial<RequestReport> = {}): RequestSpec {
  const nothing = { logprobs: undefined, promptLogprobs: undefined, promptLogits: false } as const;
  return {
    schedule: { maxTokens },
    sampling: greedySampling,
    report: { ...nothing, promptHidden: "none", ...report },
  };
}

/**
 * The request that the scheduler gets.
 * @param hashes of the prompt's leading pages, from another request with this prompt, salt and adapter
 * @throws as `new Request` does
 */
export function makeRequest(
  id: string,
  prompt: ArrayLike<number>,
  { schedule, report }: RequestSpec,
  hashes?: HashList,
): Request {
  const promptLogits =
    report.promptLogits || report.promptLogprobs !== undefined || report.promptHidden === "all";
  return new Request(id, prompt, { ...schedule, promptLogits }, hashes);
}
