/** Whether a template can be told to think or not. */
import type { RenderChat } from "./detect.js";

/** Qwen3, GLM, SmolLM3 and others; DeepSeek V3.1, Granite. */
const names = ["enable_thinking", "thinking"] as const;

/** @returns the variable of the template that turns thoughts on and off; undefined if it reads none of those that are known */
export async function findThinkingSwitch(render: RenderChat): Promise<string | undefined> {
  for (const name of names) {
    try {
      await render([{ role: "user", content: "probe" }], { templateOptions: { [name]: true } });
      return name;
    } catch {
      // a variable that the template does not read is an error
    }
  }
  return undefined;
}
