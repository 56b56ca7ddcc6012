// The only thread-safe function of the addon: how worker threads settle promises.
//
// Rules
//  1. Workers append to a queue; one call into JavaScript is pending at most (`posted_`), which drains it.
//  2. JavaScript objects are touched on the JavaScript thread only.
//  3. The function is unref'd, so that an idle engine lets the process exit, and ref'd while promises are
//     open. Which are open is known in one place, the table of promises in lib/device/native.ts, and `hold`
//     follows it: nothing is counted here, since a disposed stream may have posted results that nobody waits
//     for any more.
//  4. It is released by the environment's cleanup hook, after the streams have joined their workers: nobody
//     posts then.
#pragma once
#include <napi.h>

#include <atomic>
#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

namespace warploop::bind {

/// The end of one asynchronous call. `token` is the number that JavaScript keeps its promise under.
struct Settled {
  double token = 0;
  bool ok = true;
  std::vector<std::byte> data;  // what a read brought
  std::string op;               // failed: which op
  std::string message;          // failed: why
};

class Settler {
 public:
  /// `callback(settled: {token, data?: ArrayBuffer, op?: string, message?: string}[])`
  void start(Napi::Env env, Napi::Function callback);
  void stop();

  /// JavaScript thread: whether the event loop has to stay alive for promises that are open.
  void hold(Napi::Env env, bool open);
  /// Any thread.
  void post(Settled settled);

 private:
  static void call_js(Napi::Env env, Napi::Function callback, Settler* self, void*);
  using Function = Napi::TypedThreadSafeFunction<Settler, void, call_js>;
  void drain(Napi::Env env, Napi::Function callback);

  Function function_;
  bool started_ = false;
  std::mutex mutex_;
  std::vector<Settled> queue_;
  std::atomic<bool> posted_{false};
};

}  // namespace warploop::bind
