/** A process that keeps one core busy until its parent ends or kills it. Started by benches with fork. */
const sliceMs = 50;

function spin(): void {
  const until = performance.now() + sliceMs;
  while (performance.now() < until);
  setImmediate(spin); // lets the end of the parent be noticed
}

process.on("disconnect", () => process.exit());
spin();
