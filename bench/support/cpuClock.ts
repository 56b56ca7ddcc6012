/** Time of the processor that this process has taken, in milliseconds: short spans of one busy thread, whatever else runs on the machine. */
export function processCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
