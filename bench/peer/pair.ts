/** One model on both sides, each in a process of its own. */
import type { ActivationsOption, QuantizeOption } from "../../lib/index.js";
import type { GenerationTiming, Workload } from "../support/generationTiming.js";
import { modelShapes, type ModelShapeName } from "../support/modelShapes.js";
import { Side, type WeightSize } from "./side.js";

export interface PairOptions {
  /** Folder of the peer's package. */
  readonly peer: string;
  readonly shape: ModelShapeName;
  readonly threads: number;
  /** That will be run. */
  readonly workloads: readonly Workload[];
  /** Default: what the engine chooses. */
  readonly activations?: ActivationsOption;
  /** As what we keep floats; default: as they are. */
  readonly quantize?: QuantizeOption;
}

export class Pair {
  readonly #ours: Side;
  readonly #theirs: Side;
  /** Of ours. */
  readonly weights: WeightSize;

  private constructor(ours: Side, theirs: Side, weights: WeightSize) {
    [this.#ours, this.#theirs, this.weights] = [ours, theirs, weights];
  }

  /** Loads both at once. @param models folder or GGUF file for us, GGUF file for the peer */
  static async load(
    models: { readonly ours: string; readonly theirs: string },
    options: PairOptions,
  ): Promise<Pair> {
    const { peer, shape, threads, workloads, activations, quantize } = options;
    const contextLength = Math.max(...workloads.map((each) => each.promptTokens + each.decodeTokens)) + 64;
    const maxSequences = Math.max(...workloads.map((each) => each.sequences));
    const own = { threads, contextLength, maxSequences, activations, quantize };
    const { vocabSize } = modelShapes[shape];
    const ours = new Side("warploop", "ours.ts", [models.ours, JSON.stringify(own)]);
    const theirs = new Side("node-llama-cpp", "theirs.ts", [
      ...[peer, models.theirs],
      ...[threads, contextLength, vocabSize].map(String),
    ]);
    const [weights] = await Promise.all([ours.ready(), theirs.ready()]);
    return new Pair(ours, theirs, weights!);
  }

  /** Runs a workload here, then there. @param seed chooses the prompts */
  async run(workload: Workload, seed: number): Promise<[GenerationTiming, GenerationTiming]> {
    return [await this.#ours.run(workload, seed), await this.#theirs.run(workload, seed)];
  }

  stop(): void {
    for (const side of [this.#ours, this.#theirs]) side.stop();
  }
}
