/** The end of a loaded model. */
import type { Intake } from "./intake.js";
import type { Parts } from "./parts.js";

/** @param drainMs how long requests that were accepted may take to finish */
export async function closeParts(
  { engine, runner, model, device, chats, tokenizer }: Parts,
  intake: Intake,
  drainMs: number,
): Promise<void> {
  const start = performance.now();
  await intake.drain(drainMs);
  await engine.drain(drainMs - (performance.now() - start));
  await engine.close();
  await chats.close();
  await tokenizer?.endThread();
  runner.dispose();
  model.dispose();
  await device.dispose();
}
