// Cases of the fields of Anthropic's routes.
import { expect } from "vitest";
import { type Cases, model, option, owner, plain, schema } from "./fieldCase.js";

const says = (text: string) => ({ type: "text", text });
const customTool = { name: "f", input_schema: schema };
export const ofPrompt: Cases = {
  messages: {
    good: [
      { role: "user", content: "Hi" },
      { role: "assistant", content: [says("a"), { type: "tool_use", id: "x", name: "f", input: {} }] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "x", content: "b" }, says("c")] },
    ],
    wrong: [
      [],
      "Hi",
      [{ role: "robot", content: "Hi" }],
      [{ role: "user", content: 5 }],
      [{ role: "user", content: [{ type: "image", source: {} }] }],
      [{ role: "user", content: [{ type: "tool_result", content: "b" }] }],
      [{ role: "user", content: [{ type: "tool_result", tool_use_id: "x", content: [{ type: "image" }] }] }],
      [{ role: "assistant", content: "An answer begins with" }],
    ],
    does: ({ asked }) =>
      expect(asked!.messages).toEqual([
        { role: "user", content: "Hi" },
        {
          ...{ role: "assistant", content: "a" },
          tool_calls: [{ id: "x", type: "function", function: { name: "f", arguments: {} } }],
        },
        { role: "tool", tool_call_id: "x", name: "f", content: "b" },
        { role: "user", content: "c" },
      ]),
  },
  model,
  system: {
    good: [says("a"), says("b")],
    wrong: [5, [{ type: "image" }]],
    does: ({ asked }) => expect(asked!.messages).toMatchObject([{ role: "system", content: "a\n\nb" }, {}]),
  },
  tools: option(
    "tools",
    [customTool],
    [
      5,
      [{ name: "f" }],
      [{ type: "bash_20250124", name: "bash" }],
      [{ input_schema: schema }],
      [customTool, customTool],
    ],
    [{ type: "function", function: { name: "f", parameters: schema } }],
  ),
  tool_choice: {
    good: { type: "none" },
    wrong: [{ type: "tool" }, { type: "required" }, "auto", { type: "auto", disable_parallel_tool_use: 1 }],
    also: { tools: [customTool] },
    does: ({ options }) => expect(options["tools"]).toBeUndefined(),
  },
  thinking: {
    good: { type: "enabled", budget_tokens: 1024 },
    wrong: ["on", { type: "x" }, {}],
    does: ({ options }) => expect(options["templateOptions"]).toEqual({ enable_thinking: true }),
  },
  cache_control: { sent: { type: "ephemeral" } },
  output_config: {
    good: { format: null, effort: null },
    wrong: [{ format: { type: "text" } }, { format: { type: "json_schema" } }, { effort: "low" }, 5],
    does: ({ text, usual }) => expect(plain(text)).toBe(plain(usual)),
  },
  speed: { sent: "fast" },
  user_profile_id: { sent: "x" },
  workspace_id: { sent: "x" },
  context_management: { asks: { edits: [] } },
  mcp_servers: { asks: [{ type: "url" }], neutral: [[]] },
};

export const messages: Cases = {
  ...ofPrompt,
  max_tokens: option("maxTokens", 9, [0, -1, 1.5, "9"]),
  temperature: option("temperature", 0.5, ["hot", -1, 1.1]),
  top_p: option("topP", 0.5, [-0.1, 1.1, "1"]),
  top_k: option("topK", 3, [-1, 1.5, "3"]),
  stop_sequences: option("stop", ["a", "b"], ["a", [""], [5]]),
  stream: {
    good: true,
    wrong: ["true", 1],
    does: ({ text }) =>
      expect(text).toMatch(/^event: message_start\ndata: .*event: message_stop\ndata: .*\n\n$/s),
  },
  metadata: owner({ user_id: "somebody" }, ["x", { user_id: 5 }]),
  service_tier: { sent: "auto" },
  inference_geo: { sent: "us" },
  diagnostics: { sent: {} },
  container: { asks: "x" },
};
