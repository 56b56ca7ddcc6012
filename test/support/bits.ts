/**
 * Results that must stay what they are, bit for bit: test/bits/<instruction set>.txt keeps a hash of every result that a
 * test hands to `expectBits`. What only moves code leaves the files as they are; a change that is meant to change bits says
 * why, and records them again with `npm run bits -- --write`.
 *
 * simt.txt is that of the emulated GPU (sm_90): its bits hold while kernels are only moved; a kernel that sums in another order may
 * change them, and records them again.
 *
 * A compiler may fuse multiplications and additions as it likes, so that a file holds for the compiler named on its first
 * line; with another one nothing is compared, and `npm run bits` says so. A result that is in no file is a new one.
 */
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { native } from "../../lib/device/native.js";
import { loadAddon } from "../../lib/device/nativeLoader.js";

const folder = fileURLToPath(new URL("../bits", import.meta.url));
const { compiler } = (loadAddon() as { info(): { readonly compiler: string } }).info();
/** Where `npm run bits` collects what it writes or compares afterwards. */
const collected = process.env["WARPLOOP_BITS"];
/** Schedules of the emulated GPU other than the plain ones come with builds that are compiled in another way. */
const isPlainBuild = process.env["WARPLOOP_SIMT_SCHEDULE"] === undefined;

const isEmulated = native.devices().some(({ name }) => name === "simt");

const records = new Map<string, ReadonlyMap<string, string>>();

function recordsOf(isa: string): ReadonlyMap<string, string> {
  const known = records.get(isa);
  if (known) return known;
  const file = path.join(folder, `${isa}.txt`);
  const [head = "", ...lines] = existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n") : [];
  const isSame = head === `# ${compiler}`;
  const read = new Map(isSame ? lines.map((line) => line.split(" ") as [string, string]) : []);
  records.set(isa, read);
  return read;
}

/**
 * Throws unless the bytes of `results`, one after another, are those on record.
 *
 * @param device whose instruction set has computed them
 * @param name what was computed; the same name promises the same bits
 */
export function expectBits(
  device: { readonly isa: string },
  name: string,
  results: Iterable<ArrayBufferView>,
): void {
  if (!isPlainBuild) return;
  const isa = !isEmulated ? device.isa : device.isa === "sm_90" ? "simt" : `simt_${device.isa}`; // WARPLOOP_SIMT_CC
  const hash = createHash("sha256");
  for (const { buffer, byteOffset, byteLength } of results)
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  const bits = hash.digest("hex").slice(0, 8);
  const key = createHash("sha256").update(name).digest("hex").slice(0, 10);
  if (collected) appendFileSync(path.join(collected, `${isa}.txt`), `${key} ${bits}\n`);
  const expected = recordsOf(isa).get(key);
  if (!collected && expected !== undefined && expected !== bits)
    throw new Error(
      `${name}: other bits than before on ${isa} (${bits}, recorded: ${expected}). See test/support/bits.ts`,
    );
}
