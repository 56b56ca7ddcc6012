// Everything the addon keeps for one JavaScript environment (the main thread or a worker): handle tables, the
// argument block, and the settler. There are no globals, so several environments live side by side.
#pragma once
#include <napi.h>

#include <memory>
#include <string>

#include "bind/handles.h"
#include "bind/settle.h"
#include "core/device.h"
#include "core/graph.h"
#include "core/stream.h"
#include "core/weight_file.h"

namespace warploop::grammar {
class Grammar;
class Matcher;
class Vocabulary;
}  // namespace warploop::grammar

namespace warploop::bind {

/// Numbers that one op call may pass (lib/device/stream.ts owns the writing side).
inline constexpr size_t kArgumentCapacity = 512;

struct AddonState {
  explicit AddonState(Napi::Env env);
  /// Joins every worker. Called by the environment's cleanup hook, before Node destroys the thread-safe
  /// function.
  void shut_down();

  HandleTable<Device> devices{"device"};
  HandleTable<Memory> memory{"tensor"};
  HandleTable<Stream> streams{"stream"};
  HandleTable<Graph> graphs{"graph"};
  HandleTable<WeightFile> files{"file"};
  HandleTable<grammar::Vocabulary> vocabularies{"vocabulary"};
  HandleTable<grammar::Grammar> grammars{"grammar"};
  HandleTable<grammar::Matcher> matchers{"matcher"};
  Settler settler;
  Napi::FunctionReference make_error;  // empty until lib/device/native.ts has loaded
  Napi::Reference<Napi::Float64Array> arguments;
  const double* argument_values = nullptr;  // of `arguments`, which is never detached: it does not leave lib/
};

AddonState& state_of(Napi::Env env);

/// Throws `error` as JavaScript: an instance of the classes of lib/errors.ts, with a `code`.
[[noreturn]] void throw_js(Napi::Env env, const std::exception& error);

/// Runs `body` and turns C++ exceptions into JavaScript errors; nothing else throws across the boundary.
template <class Body>
Napi::Value guard(Napi::Env env, const Body& body) {
  try {
    return body();
  } catch (const std::exception& e) {  // of Node-API itself (Napi::Error), too
    throw_js(env, e);
  }
}

void register_devices(Napi::Env env, Napi::Object exports);
void register_streams(Napi::Env env, Napi::Object exports);
void register_traces(Napi::Env env, Napi::Object exports);
void register_grammars(Napi::Env env, Napi::Object exports);
void register_ops(Napi::Env env, Napi::Object exports);

/// A method `fn(info)` under `name`, guarded.
template <Napi::Value (*Fn)(const Napi::CallbackInfo&)>
void method(Napi::Env env, Napi::Object exports, const char* name) {
  const auto guarded = [](const Napi::CallbackInfo& info) -> Napi::Value {
    return guard(info.Env(), [&] { return Fn(info); });
  };
  exports.Set(name, Napi::Function::New(env, guarded, name));
}

double number(const Napi::CallbackInfo& info, size_t index);
size_t byte_count(const Napi::CallbackInfo& info, size_t index);

}  // namespace warploop::bind
