// `warploop quantize` and `warploop doctor <model>`: the commands that need the library, compiled (of the package) or in TypeScript (of a clone).
import { loadModule } from "./loadModule.mjs";

/** @returns {Promise<typeof import("../lib/index.js")>} */
const loadLibrary = () => loadModule("lib/index");

/** @param {number} bytes */
const gigabytes = (bytes) =>
  bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;

/**
 * @param {string} from @param {string} to @param {"int4" | "int8" | "fp8"} format
 * @returns {Promise<number>} exit status
 */
export async function quantize(from, to, format) {
  const { quantizeCheckpoint } = await loadLibrary();
  const abort = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"])
    process.once(name, () => abort.abort(new Error("interrupted: nothing was written")));
  try {
    const done = await quantizeCheckpoint(from, to, { format, signal: abort.signal });
    const { folder, matrices, parameters, bytesRead, bytesWritten } = done;
    console.log(`${folder}: ${matrices} matrices of ${(parameters / 1e6).toFixed(1)} M weights as ${format}`);
    console.log(`${gigabytes(bytesRead)} became ${gigabytes(bytesWritten)}`);
    return 0;
  } catch (error) {
    // What the library or the file system refuses has a code; anything else is a fault, and keeps its stack.
    if (!(error instanceof Error && "code" in error) && error !== abort.signal.reason) throw error;
    console.error(`warploop: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
}

/**
 * What a model would be on this machine.
 * @param {string} model @param {"int4" | "int8" | "fp8" | undefined} quantize
 * @returns {Promise<number>} exit status
 */
export async function describeModel(model, quantize) {
  const { inspectModel, WarploopError } = await loadLibrary();
  try {
    const found = await inspectModel(model, quantize === undefined ? {} : { quantize });
    const { architecture, device, dtype, maxPositions, parameters, weightBytes, bitsPerWeight, parts } =
      found;
    console.log(
      `${found.path}: ${architecture}, context ${maxPositions}; on ${device} with activations in ${dtype}`,
    );
    const rows = parts.map((part) => [
      part.count === 1 ? part.part : `${part.part} x ${part.count}`,
      part.format,
      part.activations === "int8" ? "as bytes" : "",
      millions(part.parameters),
      gigabytes(part.bytes),
      ((8 * part.bytes) / part.parameters).toFixed(2),
    ]);
    const heading = ["part", "kept as", "activations", "parameters", "memory", "bits"];
    const total = ["all", "", "", millions(parameters), gigabytes(weightBytes), bitsPerWeight.toFixed(2)];
    printRows([heading, ...rows, total]);
    return 0;
  } catch (error) {
    if (!(error instanceof WarploopError)) throw error;
    console.error(`warploop: ${error.message}`);
    return 1;
  }
}

/** @param {number} count */
const millions = (count) => (count < 1e5 ? String(count) : `${(count / 1e6).toFixed(1)} M`);

/** Words to the left, numbers to the right. @param {readonly (readonly string[])[]} rows */
function printRows(rows) {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      column < 3 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    console.log(cells.join("  ").trimEnd());
  }
}
