/**
 * DeepSeek V3.2: V3 with sparse attention. An indexer in every layer chooses the tokens that a query attends to, at most `index_topk`.
 *
 * Config: DeepseekV32Config of transformers. Paper: "DeepSeek-V3.2-Exp: Boosting Long-Context Efficiency with DeepSeek Sparse Attention".
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { checkFields, type FieldTable } from "./configFields.js";
import { deepseekV3Fields, deepseekV3Model } from "./deepseekV3.js";
import { boundedInt, checkHeadDim } from "./limits.js";
import type { ModelDefinition } from "./model.js";

export const deepseekV32Fields: FieldTable = {
  ...deepseekV3Fields,
  modelTypes: ["deepseek_v32"],
  used: [...deepseekV3Fields.used, "index_n_heads", "index_head_dim", "index_topk"],
};

export function deepseekV32(reader: ConfigReader): ModelDefinition {
  checkFields(reader, deepseekV32Fields);
  return deepseekV3Model(reader, {
    numHeads: boundedInt(reader, "index_n_heads", 128, 64),
    headDim: readWidth(reader),
    topK: boundedInt(reader, "index_topk", 4096, 2048),
  });
}

/** Of the indexer's heads, which have a part that is not rotated. */
function readWidth(reader: ConfigReader): number {
  const width = checkHeadDim(reader, "index_head_dim", reader.positiveInt("index_head_dim", 128));
  const rotated = reader.positiveInt("qk_rope_head_dim", 64);
  if (width > 256 || width <= rotated)
    reader.fail("index_head_dim", `more than qk_rope_head_dim (${rotated}) and at most 256`);
  return width;
}
