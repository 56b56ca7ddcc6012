/** Runs an op on tensors with rows close together and with rows far apart; see farTensors.ts. */
import { expect } from "vitest";
import type { Tensor } from "../../lib/device/tensor.js";
import { type OpCase, type OpContext, withEnvironment } from "./devices.js";
import { FarTensors } from "./farTensors.js";
import { Random } from "./random.js";

export interface FarCase extends OpCase {
  /** The axis that is stretched in every tensor that has it. Default 0. */
  readonly axis?: number;
  readonly odd?: boolean;
  /** Calls the op and returns what it has written. */
  readonly run: (t: FarTensors) => readonly Tensor[];
}

/** The bits of all results, both ways. */
export async function compareFarWithNear(
  { device }: OpContext,
  { axis = 0, odd = false, environment = {}, run }: FarCase,
): Promise<{ far: number[][]; near: number[][] }> {
  const results = [];
  for (const far of [false, true]) {
    const stream = withEnvironment(environment, () => device.createStream());
    const scope = stream.scope();
    const tensors = new FarTensors(stream, new Random(17), { axis, far, odd });
    try {
      const written = run(tensors);
      results.push(await Promise.all(written.map((tensor) => tensors.read(tensor))));
      const isFloat = written.map(({ dtype }) => dtype !== "i32");
      expect(results.at(-1)!.filter((values, i) => isFloat[i] && values.some(Number.isNaN))).toEqual([]);
    } finally {
      scope.close();
      tensors.dispose();
      await stream.dispose();
    }
  }
  const [near, far] = results as [number[][], number[][]];
  return { far, near };
}
