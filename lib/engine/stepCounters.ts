/** What an engine has done since the start. */
export interface StepCounts {
  /** Steps run, tokens run through the model (of prompts and generated), tokens handed out. */
  readonly steps: number;
  readonly computedTokens: number;
  readonly generatedTokens: number;
  /** Mean time from planning a step to its results over the last steps, in milliseconds. */
  readonly stepMs: number;
}

export class StepCounters {
  #counts: StepCounts = { steps: 0, computedTokens: 0, generatedTokens: 0, stepMs: 0 };

  get counts(): StepCounts {
    return this.#counts;
  }

  addToken(): void {
    this.#counts = { ...this.#counts, generatedTokens: this.#counts.generatedTokens + 1 };
  }

  /** @param tokens that the step has run @param ms that it took */
  addStep(tokens: number, ms: number): void {
    const { steps, computedTokens, generatedTokens, stepMs } = this.#counts;
    this.#counts = {
      ...{ steps: steps + 1, computedTokens: computedTokens + tokens, generatedTokens },
      stepMs: steps === 0 ? ms : stepMs + (ms - stepMs) / 16,
    };
  }
}
