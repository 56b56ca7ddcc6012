// One JavaScript function per row of native/ops/list.h: `ops.<name>(stream)` with the arguments in the shared
// block.
#include "bind/addon_state.h"
#include "bind/arguments.h"
#include "core/attention_plan.h"
#include "formats/formats.h"
#include "ops/params.h"

namespace warploop {

namespace bind {

namespace {

template <OpId op, class Params>
Napi::Value call_op(const Napi::CallbackInfo& info) {
  return guard(info.Env(), [&]() -> Napi::Value {
    AddonState& state = state_of(info.Env());
    double handle;  // one native call instead of the two of number()
    if (napi_get_value_double(info.Env(), info[0], &handle) != napi_ok) {
      fail(ErrorKind::type, "op call: the stream must be a number");
    }
    Stream& stream = *state.streams.get(handle);
    Arguments args(state.argument_values, kArgumentCapacity, state.memory, stream);
    args.submit<op, Params>();
    return {};  // undefined
  });
}

/// An argument that is a whole number below `limit`.
int64_t whole_below(const Napi::CallbackInfo& info, size_t index, int64_t limit) {
  const size_t value = byte_count(info, index);
  if (value >= static_cast<size_t>(limit))
    fail(ErrorKind::range, "native call: argument ", index, " must be below ", limit, ", got ", value);
  return static_cast<int64_t>(value);
}

/// packedShape(format, dtype, experts, outputs, inputs, swiglu, group, scale, offset, activation): the
/// sizes of the tensor behind a weight
Napi::Value packed_shape_of(const Napi::CallbackInfo& info) {
  const auto format = static_cast<WeightFormat>(whole_below(info, 0, kWeightFormatCount));
  const auto dtype = static_cast<DType>(whole_below(info, 1, kDTypeCount));
  const auto size = [&](size_t index) { return whole_below(info, index, kMaxAxis + 1); };
  const FormatNumbers numbers{size(6), static_cast<ScaleType>(whole_below(info, 7, kScaleTypeCount)),
                              static_cast<OffsetType>(whole_below(info, 8, kOffsetTypeCount)),
                              static_cast<Activation>(whole_below(info, 9, kActivationCount))};
  if (!takes(format, numbers))
    fail(ErrorKind::range, "a weight in ", name_of(format), " cannot have such groups, scales or offsets");
  const auto [experts, rows, pitch] =
      packed_shape(format, dtype, numbers, {size(2), size(3), size(4), info[5].ToBoolean().Value()});
  Napi::Array shape = Napi::Array::New(info.Env());
  for (const int64_t each : {experts, rows, pitch}) shape.Set(shape.Length(), static_cast<double>(each));
  return shape;
}

/// attentionPlanBytes(processors, queries, sequences, group, heads, mostKeys, maxQueries): bytes of a
/// plan; 0 processors: the CPU's
Napi::Value plan_bytes(const Napi::CallbackInfo& info) {
  const auto size = [&](size_t index) { return whole_below(info, index, kMaxAxis + 1); };
  const auto most_keys = static_cast<int64_t>(std::min(number(info, 5), 1e15));  // more make no difference
  const PlanSizes sizes{size(0),
                        size(1),
                        size(2),
                        size(3),
                        std::max<int64_t>(size(4), 1),
                        most_keys,
                        whole_below(info, 6, int64_t{1} << 31)};
  return Napi::Number::New(info.Env(), static_cast<double>(attention_plan_bytes(sizes)));
}

}  // namespace

void register_ops(Napi::Env env, Napi::Object exports) {
  Napi::Object ops = Napi::Object::New(env);
#define WARPLOOP_OP(name, Name, js) \
  ops.Set(#js, Napi::Function::New<call_op<OpId::name, Name##Params>>(env, #js));
#include "ops/list.h"
#undef WARPLOOP_OP
  exports.Set("ops", ops);
  method<packed_shape_of>(env, exports, "packedShape");
  method<plan_bytes>(env, exports, "attentionPlanBytes");
}

}  // namespace bind
}  // namespace warploop
