// How much may travel to a GPU host, and how much does: the lender of such machines takes 64 MiB in all.

const mostMegabytes = 62; // of 64: what is not counted here (new files, file names) needs room, too
const megabyte = 2 ** 20;

/**
 * @param {readonly { name: string, bytes: number }[]} rows
 * @returns {{ lines: string[], fits: boolean }} a table with the sum, and whether it is within the limit
 */
export function sizeTable(rows) {
  const total = rows.reduce((sum, { bytes }) => sum + bytes, 0);
  const line = (/** @type {number} */ bytes, /** @type {string} */ name) =>
    `${(bytes / megabyte).toFixed(1).padStart(6)} MiB  ${name}`;
  const fits = total <= mostMegabytes * megabyte;
  const verdict = fits ? "within" : "TOO MUCH:";
  return {
    lines: [
      ...rows.map(({ name, bytes }) => line(bytes, name)),
      line(total, `in all, ${verdict} the limit of ${mostMegabytes}`),
    ],
    fits,
  };
}
