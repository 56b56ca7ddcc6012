/** Tables of the benches on a terminal. */

/** Between columns. */
const gap = "  ";

/**
 * Prints rows in aligned columns: the first column to the left, the others to the right. Columns without a cell are left out. What does
 * not fit into the width of a terminal stands below, beside the first `keys` columns once more, for rows that have any of it; a file
 * has everything in one line.
 *
 * @param width of the terminal, in characters; undefined: there is none
 */
export function printTable(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  keys = 1,
  width: number | undefined = process.stdout.columns,
): void {
  console.log(tableLines(heading, rows, keys, width).join("\n"));
}

/** What `printTable` prints. */
export function tableLines(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  keys: number,
  width = Infinity,
): string[] {
  const lines = [heading, ...rows];
  const widths = heading.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const used = [...heading.keys()].filter((column) => column < keys || rows.some((row) => row[column]));
  const parts = partsOf(used.slice(0, keys), used.slice(keys), widths, width);
  const text = (line: readonly string[], columns: readonly number[]): string =>
    columns
      .map((column) => {
        const cell = line[column] ?? "";
        return column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
      })
      .join(gap)
      .trimEnd();
  return parts.flatMap((columns, index) => {
    if (index === 0) return lines.map((line) => text(line, columns));
    const saying = lines.filter((line) => columns.some((column) => column >= keys && line[column]));
    return ["", ...saying.map((line) => text(line, columns))];
  });
}

/** The columns of each part: those of `keys`, and as many of the others as fit, one at least. */
function partsOf(
  keys: readonly number[],
  others: readonly number[],
  widths: readonly number[],
  width: number,
): readonly (readonly number[])[] {
  const lineWidth = (columns: readonly number[]): number =>
    columns.reduce((sum, column) => sum + widths[column]! + gap.length, -gap.length);
  const parts: number[][] = [[...keys]];
  for (const column of others) {
    const last = parts.at(-1)!;
    if (last.length === keys.length || lineWidth([...last, column]) <= width) last.push(column);
    else parts.push([...keys, column]);
  }
  return parts;
}
