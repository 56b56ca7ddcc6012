#include "bind/settle.h"

#include <cstring>
#include <utility>

namespace warploop::bind {

void Settler::start(Napi::Env env, Napi::Function callback) {
  function_ = Function::New(env, callback, "warploop", 0, 1, this);
  function_.Unref(env);  // rule 3
  started_ = true;
}

void Settler::stop() {
  if (std::exchange(started_, false)) function_.Release();  // rule 4
}

void Settler::hold(Napi::Env env, bool open) {
  if (!started_) return;
  if (open) {
    function_.Ref(env);
  } else {
    function_.Unref(env);
  }
}

void Settler::post(Settled settled) {
  {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(settled));
  }
  if (!posted_.exchange(true)) function_.NonBlockingCall();  // rule 1
}

void Settler::call_js(Napi::Env env, Napi::Function callback, Settler* self, void*) {
  if (env != nullptr && callback != nullptr)
    self->drain(env, callback);  // null: the environment is going away
}

void Settler::drain(Napi::Env env, Napi::Function callback) {
  posted_.store(false);
  std::vector<Settled> settled;
  {
    std::lock_guard lock(mutex_);
    settled.swap(queue_);
  }
  if (settled.empty()) return;
  Napi::Array results = Napi::Array::New(env, settled.size());
  for (size_t i = 0; i < settled.size(); i++) {
    const Settled& s = settled[i];
    Napi::Object result = Napi::Object::New(env);
    result.Set("token", s.token);
    if (s.ok) {
      Napi::ArrayBuffer data = Napi::ArrayBuffer::New(env, s.data.size());
      if (!s.data.empty()) std::memcpy(data.Data(), s.data.data(), s.data.size());
      result.Set("data", data);
    } else {
      result.Set("op", s.op);
      result.Set("message", s.message);
    }
    results.Set(static_cast<uint32_t>(i), result);
  }
  callback.Call({results});
}

}  // namespace warploop::bind
