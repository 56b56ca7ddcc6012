/**
 * Pearson's chi-square test of counts against a distribution, with a threshold that a correct generator exceeds once in
 * about 10^6 runs. Seeds are fixed, so a test either always passes or always fails; the threshold says how surprising
 * its failure is.
 *
 * Cells with fewer than 5 expected counts are merged (Cochran, 1954). Quantile: Wilson and Hilferty (1931), whose error is
 * far below the margin in question for 3 or more degrees of freedom.
 */

const normalQuantile = 4.7534; // of 1 - 10^-6

/** Throws unless `counts` are plausible draws from `probabilities`; cells of probability 0 must be empty. */
export function expectDistribution(counts: ArrayLike<number>, probabilities: ArrayLike<number>): void {
  const total = Array.from(counts).reduce((a, b) => a + b, 0);
  let statistic = 0;
  let cells = 0;
  let rest = { count: 0, expected: 0 };
  const add = (count: number, expected: number) => {
    statistic += (count - expected) ** 2 / expected;
    cells++;
  };
  for (let i = 0; i < counts.length; i++) {
    const expected = probabilities[i]! * total;
    if (expected === 0 && counts[i]! > 0)
      throw new Error(`cell ${i} has probability 0 and was drawn ${counts[i]} times`);
    if (expected >= 5) add(counts[i]!, expected);
    else rest = { count: rest.count + counts[i]!, expected: rest.expected + expected };
  }
  if (rest.expected > 0.5) add(rest.count, rest.expected);

  const freedom = cells - 1;
  if (freedom < 1) throw new Error("chi-square: fewer than two cells");
  const scale = 2 / (9 * freedom);
  const threshold = freedom * (1 - scale + normalQuantile * Math.sqrt(scale)) ** 3;
  if (statistic > threshold) {
    throw new Error(
      `chi-square ${statistic.toFixed(1)} exceeds ${threshold.toFixed(1)} (${freedom} degrees of freedom)`,
    );
  }
}
