/** What lib/ops/stepInputs.ts says, token by token. Source: the definition. */
export interface StepInputsCase {
  readonly rows: ArrayLike<number>; // [B]
  readonly starts: ArrayLike<number>; // [B]
  readonly cuSeqlensQ: ArrayLike<number>; // [B + 1]
  readonly logitIndices: ArrayLike<number>; // [N]
  readonly lengths: readonly number[]; // [R]
  readonly tokenPool: readonly ArrayLike<number>[]; // [R, L]
  readonly pageTables: readonly (readonly ArrayLike<number>[])[]; // [G, R, W]
  readonly pageSizes: readonly number[]; // [G]
}

export function stepInputs(c: StepInputsCase) {
  const padding = c.lengths.length - 1;
  const lengths = [...c.lengths];
  const tokens: number[] = [];
  const positions: number[] = [];
  const slots = c.pageTables.map((): number[] => []);
  const contextLens = Array.from(c.rows, (row, b) => {
    const count = c.cuSeqlensQ[b + 1]! - c.cuSeqlensQ[b]!;
    const told = c.starts[b]!;
    const start = row === padding ? 0 : told === -1 ? c.lengths[row]! : told;
    for (let position = start; position < start + count; position++) {
      tokens.push(c.tokenPool[row]![position]!);
      positions.push(position);
      for (const [g, pageSize] of c.pageSizes.entries()) {
        const page = c.pageTables[g]![row]![Math.floor(position / pageSize)]!;
        slots[g]!.push(row === padding ? -1 : page * pageSize + (position % pageSize));
      }
    }
    if (row !== padding) lengths[row] = start + count;
    return start + count;
  });
  const samplePositions = Array.from(c.logitIndices, (t) => positions[t]! + 1);
  return { tokens, positions, slots: slots.flat(), contextLens, samplePositions, lengths };
}
