// One JavaScript function per row of native/ops/list.h: `ops.<name>(stream)` with the arguments in the shared
// block.
#include "bind/addon_state.h"
#include "bind/arguments.h"

namespace warploop {

#define WARPLOOP_OP(name, Name, js) void bind_##name(Arguments& args);
#include "ops/list.h"
#undef WARPLOOP_OP

namespace bind {

namespace {

using BindFn = void (*)(Arguments&);

Napi::Value call_op(const Napi::CallbackInfo& info) {
  return guard(info.Env(), [&]() -> Napi::Value {
    AddonState& state = state_of(info.Env());
    double handle;  // one native call instead of the two of number()
    if (napi_get_value_double(info.Env(), info[0], &handle) != napi_ok) {
      fail(ErrorKind::type, "op call: the stream must be a number");
    }
    Stream& stream = *state.streams.get(handle);
    Arguments args(state.argument_values, kArgumentCapacity, state.memory, stream);
    reinterpret_cast<BindFn>(info.Data())(args);
    return {};  // undefined
  });
}

}  // namespace

void register_ops(Napi::Env env, Napi::Object exports) {
  Napi::Object ops = Napi::Object::New(env);
#define WARPLOOP_OP(name, Name, js) \
  ops.Set(#js, Napi::Function::New<call_op>(env, #js, reinterpret_cast<void*>(&bind_##name)));
#include "ops/list.h"
#undef WARPLOOP_OP
  exports.Set("ops", ops);
}

}  // namespace bind
}  // namespace warploop
