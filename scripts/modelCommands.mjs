// `warploop quantize` and `warploop doctor <model>`: the commands that need the library, compiled (of the package) or in TypeScript (of a clone).
import { loadModule } from "./loadModule.mjs";

/** @returns {Promise<typeof import("../lib/index.js")>} */
const loadLibrary = () => loadModule("lib/index");

/** The same unit in all rows, so that they compare. @param {number} bytes */
const gigabytes = (bytes) =>
  bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;

/** @returns {Promise<typeof import("../cli/format.js")>} */
const loadFormat = () => loadModule("cli/format");

/**
 * @param {string} from @param {string} to @param {"int4" | "int8" | "fp8"} as
 * @returns {Promise<number>} exit status
 */
export async function quantize(from, to, as) {
  const { quantizeCheckpoint } = await loadLibrary();
  const format = await loadFormat();
  const abort = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"])
    process.once(name, () => abort.abort(new Error("interrupted: nothing was written")));
  try {
    const done = await quantizeCheckpoint(from, to, { format: as, signal: abort.signal });
    const { folder, matrices, parameters, bytesRead, bytesWritten } = done;
    console.log(`${folder}: ${matrices} matrices of ${format.parameters(parameters)} weights as ${as}`);
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
  const format = await loadFormat();
  /** @type {typeof import("../cli/terminal.js")} */
  const { table } = await loadModule("cli/terminal");
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
      format.parameters(part.parameters),
      gigabytes(part.bytes),
      ((8 * part.bytes) / part.parameters).toFixed(2),
    ]);
    const heading = ["part", "kept as", "activations", "parameters", "memory", "bits"];
    const total = [
      "all",
      "",
      "",
      format.parameters(parameters),
      gigabytes(weightBytes),
      bitsPerWeight.toFixed(2),
    ];
    console.log(table([heading, ...rows, total], 3).join("\n"));
    return 0;
  } catch (error) {
    if (!(error instanceof WarploopError)) throw error;
    console.error(`warploop: ${error.message}`);
    return 1;
  }
}
