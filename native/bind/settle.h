// The only thread-safe function of the addon: how worker threads settle promises.
//
// Rules
//  1. Workers append to a queue; one call into JavaScript is pending at most (`posted_`). The callback drains
//  everything.
//  2. JavaScript objects are touched on the JavaScript thread only.
//  3. The function is unref'd, so that an idle engine lets the process exit, and ref'd while promises are
//  open.
//  4. It is released by the environment's cleanup hook, after the streams have joined their workers: nobody
//  posts then.
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

  /// JavaScript thread: a promise was opened.
  void opened(Napi::Env env);
  /// JavaScript thread: `count` promises will not be settled, because their stream was disposed.
  void abandoned(Napi::Env env, size_t count);
  /// Any thread.
  void post(Settled settled);

 private:
  static void call_js(Napi::Env env, Napi::Function callback, Settler* self, void*);
  using Function = Napi::TypedThreadSafeFunction<Settler, void, call_js>;
  void drain(Napi::Env env, Napi::Function callback);
  void closed(Napi::Env env, size_t count);

  Function function_;
  bool started_ = false;
  size_t open_ = 0;  // JavaScript thread only
  std::mutex mutex_;
  std::vector<Settled> queue_;
  std::atomic<bool> posted_{false};
};

}  // namespace warploop::bind
