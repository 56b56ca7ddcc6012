/** All operations, one function each. They queue work on a stream and return at once. */
export { add } from "./add.js";
export { argmax } from "./argmax.js";
export { cast } from "./cast.js";
export { copy } from "./copy.js";
export { embedding } from "./embedding.js";
export { flashAttention } from "./flashAttention.js";
export { gelu } from "./gelu.js";
export { geluMul } from "./geluMul.js";
export { groupedLinear } from "./groupedLinear.js";
export { kvStore } from "./kvStore.js";
export { layerNorm } from "./layerNorm.js";
export { linear } from "./linear.js";
export { logprobs } from "./logprobs.js";
export { moeCombine } from "./moeCombine.js";
export { moePermute } from "./moePermute.js";
export { moeRoute } from "./moeRoute.js";
export {
  emptyGroupedWeight,
  type GroupedWeight,
  type LinearWeight,
  packExpert,
  packLinear,
} from "./packLinear.js";
export { pagedAttention } from "./pagedAttention.js";
export { rmsNorm } from "./rmsNorm.js";
export { rope } from "./rope.js";
export { sample } from "./sample.js";
export { siluMul } from "./siluMul.js";
export { softmax } from "./softmax.js";
export { tableGather } from "./tableGather.js";
export { tableScatter } from "./tableScatter.js";
