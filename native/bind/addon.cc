// Entry of the addon: per-environment state, its clean end, and the list of exported functions.
#include <cmath>
#include <new>

#include "bind/addon_state.h"

namespace warploop::bind {

AddonState::AddonState(Napi::Env env) {
  Napi::Float64Array block = Napi::Float64Array::New(env, kArgumentCapacity);
  argument_values = block.Data();
  arguments = Napi::Persistent(block);
}

void AddonState::shut_down() {
  streams.clear();  // joins the workers, waits for the devices
  graphs.clear();
  memory.clear();
  devices.clear();
  files.clear();
  settler.stop();
  make_error.Reset();
}

AddonState& state_of(Napi::Env env) { return *env.GetInstanceData<AddonState>(); }

namespace {

/// onError(make): `make(code, message, neededBytes, freeBytes)` gives the error that a failed call throws
Napi::Value on_error(const Napi::CallbackInfo& info) {
  state_of(info.Env()).make_error = Napi::Persistent(info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

const char* code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::type:
      return "ERR_ARGUMENT_TYPE";
    case ErrorKind::range:
      return "ERR_ARGUMENT_RANGE";
    case ErrorKind::closed:
      return "ERR_CLOSED";
    case ErrorKind::device:
      return "ERR_DEVICE";
    case ErrorKind::out_of_memory:
      return "ERR_OUT_OF_MEMORY";
    case ErrorKind::execution:
      return "ERR_EXECUTION";
  }
  return "ERR_NATIVE";
}

}  // namespace

/// Throws what lib/device/native.ts makes of a code and a message: the classes of lib/errors.ts.
[[noreturn]] static void throw_typed(Napi::Env env, const char* code, const std::string& message,
                                     double needed = 0, double free = 0) {
  const Napi::FunctionReference& make = state_of(env).make_error;
  if (make.IsEmpty()) throw Napi::Error::New(env, message);
  const auto js = [&](double v) { return Napi::Number::New(env, v); };
  throw Napi::Error(
      env, make.Call({Napi::String::New(env, code), Napi::String::New(env, message), js(needed), js(free)}));
}

void throw_js(Napi::Env env, const std::exception& error) {
  if (const auto* memory = dynamic_cast<const OutOfMemory*>(&error)) {
    throw_typed(env, code_of(memory->kind()), memory->what(), static_cast<double>(memory->needed()),
                static_cast<double>(memory->free()));
  }
  if (const auto* own = dynamic_cast<const Error*>(&error))
    throw_typed(env, code_of(own->kind()), own->what());
  const bool memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
  throw_typed(env, memory ? "ERR_OUT_OF_MEMORY" : "ERR_NATIVE", memory ? "out of host memory" : error.what());
}

double number(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsNumber()) fail(ErrorKind::type, "native call: argument ", index, " must be a number");
  return info[index].As<Napi::Number>().DoubleValue();
}

size_t byte_count(const Napi::CallbackInfo& info, size_t index) {
  const double v = number(info, index);
  if (!(v >= 0 && v < 9007199254740992.0) || v != std::floor(v)) {
    fail(ErrorKind::range, "native call: argument ", index, " must be a byte count, got ", v);
  }
  return static_cast<size_t>(v);
}

}  // namespace warploop::bind

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  using namespace warploop::bind;
  auto* state = new AddonState(env);
  env.SetInstanceData(state);  // deleted with the environment, after the hook
  env.AddCleanupHook([state] { state->shut_down(); });
  exports.Set("arguments", state->arguments.Value());
  method<on_error>(env, exports, "onError");
  register_devices(env, exports);
  register_streams(env, exports);
  register_traces(env, exports);
  register_grammars(env, exports);
  register_ops(env, exports);
  return exports;
}

NODE_API_MODULE(warploop, init)
