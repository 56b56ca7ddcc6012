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
}

AddonState& state_of(Napi::Env env) { return *env.GetInstanceData<AddonState>(); }

namespace {

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

void throw_js(Napi::Env env, const Error& error) {
  Napi::Error js = error.kind() == ErrorKind::type    ? Napi::TypeError::New(env, error.what())
                   : error.kind() == ErrorKind::range ? Napi::RangeError::New(env, error.what())
                                                      : Napi::Error::New(env, error.what());
  js.Set("code", Napi::String::New(env, code_of(error.kind())));
  if (const auto* memory = dynamic_cast<const OutOfMemory*>(&error)) {
    js.Set("neededBytes", Napi::Number::New(env, static_cast<double>(memory->needed())));
    js.Set("freeBytes", Napi::Number::New(env, static_cast<double>(memory->free())));
  }
  throw js;
}

void throw_js(Napi::Env env, const std::exception& error) {
  const bool memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
  Napi::Error js = Napi::Error::New(env, memory ? "out of host memory" : error.what());
  js.Set("code", Napi::String::New(env, memory ? "ERR_OUT_OF_MEMORY" : "ERR_NATIVE"));
  throw js;
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
  register_devices(env, exports);
  register_streams(env, exports);
  register_ops(env, exports);
  return exports;
}

NODE_API_MODULE(warploop, init)
