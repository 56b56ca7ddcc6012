/**
 * How many tokens go to each expert of a model while it runs. The device counts (a tap of each layer with experts, part
 * of captured graphs like any op), and nobody waits: the numbers are read when somebody asks for them.
 */
import { ArgumentRangeError } from "../errors.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import type { CountTap, Model } from "../models/model.js";

/** Of one layer. */
export interface ExpertLoad {
  readonly layer: number;
  /** [E] how often each expert was chosen; exact up to 2^53. */
  readonly counts: readonly number[];
  /** Of the shares of the experts, in bits: log2(E) when all are chosen as often, 0 when one is chosen alone. */
  readonly entropy: number;
  /** Share of the expert that is chosen most often; 0 before any is. */
  readonly busiestShare: number;
}

export class ExpertCounts implements Disposable {
  /** For each forward pass that is to be counted. */
  readonly taps: readonly CountTap[];
  readonly #stream: Stream;
  /** [layers, E, 2] */
  readonly #counts: Tensor;
  #latest: readonly ExpertLoad[] | null = null;
  #isReading = false;

  /** @throws OutOfMemoryError */
  constructor({ taps, shape }: Pick<Model, "taps" | "shape">, stream: Stream) {
    this.#stream = stream;
    const points = taps.filter(({ name }) => name === "experts");
    const { numExperts: E } = shape;
    this.#counts = stream.device.empty("i32", [points.length, E, 2]);
    this.#counts.write(stream, new Int32Array(this.#counts.numel));
    this.taps = points.map(({ name, layer }, i) => {
      return { name, layer, counts: this.#counts.slice(0, i, i + 1).reshape([E, 2]) };
    });
  }

  /** What was read last. */
  get latest(): readonly ExpertLoad[] | null {
    return this.#latest;
  }

  /** What the steps that have been submitted until now count, layer by layer. */
  async read(): Promise<readonly ExpertLoad[]> {
    const halves = (await this.#counts.read(this.#stream)) as Int32Array;
    const length = halves.length / Math.max(1, this.taps.length);
    return (this.#latest = this.taps.map(({ layer }, i) => {
      const counts = wideCounts(halves.subarray(i * length, (i + 1) * length));
      return { layer, counts, ...spreadOf(counts) };
    }));
  }

  /** Reads for `latest`, unless that is under way. What goes wrong shows wherever the stream is waited for. */
  refresh(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    const done = (): void => void (this.#isReading = false);
    this.read().then(done, done);
  }

  /** Frees the counts once every stream has passed this point. Idempotent. */
  dispose(): void {
    this.#counts.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** The numbers of `moeCount`. @param halves [E, 2], as they are read */
export function wideCounts(halves: Int32Array): number[] {
  const half = (i: number): number => halves[i]! >>> 0;
  return Array.from({ length: halves.length / 2 }, (_, e) => half(2 * e) + half(2 * e + 1) * 2 ** 32);
}

function spreadOf(counts: readonly number[]): Pick<ExpertLoad, "entropy" | "busiestShare"> {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return { entropy: 0, busiestShare: 0 };
  const shares = counts.map((count) => count / total);
  const bits = shares.map((share) => (share === 0 ? 0 : -share * Math.log2(share)));
  return { entropy: bits.reduce((sum, part) => sum + part, 0), busiestShare: Math.max(...shares) };
}

/** @throws ArgumentRangeError if the model was loaded without counts; ExecutionError, ClosedError */
export async function readExpertLoad(runner: {
  readonly expertCounts: ExpertCounts | null;
}): Promise<readonly ExpertLoad[]> {
  if (runner.expertCounts) return runner.expertCounts.read();
  throw new ArgumentRangeError("expertLoad: expected a model that is loaded with expertCounts: true");
}
