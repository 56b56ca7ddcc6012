// Streams, host copies and graphs. Each function checks its range here, on the JavaScript thread, and queues
// the rest.
#include <cstring>

#include "bind/addon_state.h"

namespace warploop::bind {

namespace {

struct Range {
  MemoryRef memory;
  std::byte* data;
};

/// [offset, offset + bytes) of a memory handle; a view without elements may begin anywhere.
Range range_of(AddonState& state, double handle, size_t offset, size_t bytes) {
  const MemoryRef& memory = state.memory.get(handle);
  if (bytes == 0) return {memory, static_cast<std::byte*>(memory->data())};
  if (offset > memory->bytes() || bytes > memory->bytes() - offset) {
    fail(ErrorKind::range, "copy of ", bytes, " bytes at ", offset, " leaves the memory of ", memory->bytes(),
         " bytes");
  }
  return {memory, static_cast<std::byte*>(memory->data()) + offset};
}

Settled failed(double token, const StreamFailure& failure) {
  return {.token = token, .ok = false, .data = {}, .op = failure.op, .message = failure.message};
}

/// createStream(device): handle
Napi::Value create_stream(const Napi::CallbackInfo& info) {
  AddonState& state = state_of(info.Env());
  return Napi::Number::New(info.Env(),
                           state.streams.add(std::make_shared<Stream>(state.devices.get(number(info, 0)))));
}

/// disposeStream(stream): drops what has not started and joins the worker
Napi::Value dispose_stream(const Napi::CallbackInfo& info) {
  state_of(info.Env()).streams.remove(number(info, 0));
  return info.Env().Undefined();
}

/// write(stream, memory, byteOffset, typedArray): the data is copied before the call returns
Napi::Value write(const Napi::CallbackInfo& info) {
  AddonState& state = state_of(info.Env());
  if (!info[3].IsTypedArray()) fail(ErrorKind::type, "write: expected a typed array");
  const auto array = info[3].As<Napi::TypedArray>();
  const auto* bytes = static_cast<const std::byte*>(array.ArrayBuffer().Data()) + array.ByteOffset();
  const Range to = range_of(state, number(info, 1), byte_count(info, 2), array.ByteLength());
  std::vector<std::byte> snapshot(bytes, bytes + array.ByteLength());
  state.streams.get(number(info, 0))
      ->host([to, snapshot = std::move(snapshot)](Executor& executor, const StreamFailure* failure) {
        if (failure) return;
        executor.copy("write", snapshot.size(),
                      [&] { executor.copy_from_host(to.data, snapshot.data(), snapshot.size()); });
      });
  return info.Env().Undefined();
}

/// copyFile(stream, file, fileOffset, memory, byteOffset, bytes)
Napi::Value copy_file(const Napi::CallbackInfo& info) {
  AddonState& state = state_of(info.Env());
  const std::shared_ptr<WeightFile> file = state.files.get(number(info, 1));
  const size_t offset = byte_count(info, 2), bytes = byte_count(info, 5);
  const Range to = range_of(state, number(info, 3), byte_count(info, 4), bytes);
  state.streams.get(number(info, 0))->host([=](Executor& executor, const StreamFailure* failure) {
    if (failure) return;
    executor.copy("copyFile", bytes, [&] { executor.copy_from_file(to.data, *file, offset, bytes); });
  });
  return info.Env().Undefined();
}

/// read(stream, memory, byteOffset, bytes, token): settles `token` with an ArrayBuffer
Napi::Value read(const Napi::CallbackInfo& info) {
  AddonState& state = state_of(info.Env());
  const size_t bytes = byte_count(info, 3);
  const double token = number(info, 4);
  const Range from = range_of(state, number(info, 1), byte_count(info, 2), bytes);
  Settler* settler = &state.settler;
  state.streams.get(number(info, 0))->host([=](Executor& executor, const StreamFailure* failure) {
    if (failure) return settler->post(failed(token, *failure));
    auto result = std::make_shared<Settled>();
    result->token = token;
    try {
      result->data.resize(bytes);
      executor.copy("read", bytes, [&] { executor.copy_to_host(result->data.data(), from.data, bytes); });
      executor.then([=](const StreamFailure* late) {
        settler->post(late ? failed(token, *late) : std::move(*result));
      });
    } catch (const std::exception& e) {
      settler->post(failed(token, {"read", e.what()}));
    }
  });
  return info.Env().Undefined();
}

/// synchronize(stream, token): settles `token` when everything queued so far has run
Napi::Value synchronize(const Napi::CallbackInfo& info) {
  AddonState& state = state_of(info.Env());
  const double token = number(info, 1);
  Settler* settler = &state.settler;
  state.streams.get(number(info, 0))->host([=](Executor& executor, const StreamFailure* failure) {
    if (failure) return settler->post(failed(token, *failure));
    try {
      executor.then([=](const StreamFailure* late) {
        if (late) return settler->post(failed(token, *late));
        Settled done;
        done.token = token;
        settler->post(std::move(done));
      });
    } catch (const std::exception& e) {
      settler->post(failed(token, {"synchronize", e.what()}));
    }
  });
  return info.Env().Undefined();
}

/// hold(open): whether promises are open, for which the event loop must stay alive
Napi::Value hold(const Napi::CallbackInfo& info) {
  state_of(info.Env()).settler.hold(info.Env(), info[0].ToBoolean());
  return info.Env().Undefined();
}

/// progress(stream): a count that grows while its commands go on
Napi::Value progress(const Napi::CallbackInfo& info) {
  const uint64_t count = state_of(info.Env()).streams.get(number(info, 0))->progress();
  return Napi::Number::New(info.Env(), static_cast<double>(count));
}

/// beginCapture(stream)
Napi::Value begin_capture(const Napi::CallbackInfo& info) {
  state_of(info.Env()).streams.get(number(info, 0))->begin_capture();
  return info.Env().Undefined();
}

/// endCapture(stream): graph handle
Napi::Value end_capture(const Napi::CallbackInfo& info) {
  AddonState& state = state_of(info.Env());
  return Napi::Number::New(info.Env(), state.graphs.add(state.streams.get(number(info, 0))->end_capture()));
}

/// replay(stream, graph)
Napi::Value replay(const Napi::CallbackInfo& info) {
  AddonState& state = state_of(info.Env());
  const std::shared_ptr<Graph> graph = state.graphs.get(number(info, 1));
  state.streams.get(number(info, 0))->host([graph](Executor& executor, const StreamFailure* failure) {
    if (!failure) executor.replay(*graph);
  });
  return info.Env().Undefined();
}

/// disposeGraph(graph): the handle ends now, the graph when every stream has passed this point
Napi::Value dispose_graph(const Napi::CallbackInfo& info) {
  AddonState& state = state_of(info.Env());
  const std::shared_ptr<Graph> graph = state.graphs.remove(number(info, 0));
  state.streams.for_each([&](const std::shared_ptr<Stream>& stream) { stream->release(graph); });
  return info.Env().Undefined();
}

/// onSettled(callback): called with arrays of { token, data? | op, message }
Napi::Value on_settled(const Napi::CallbackInfo& info) {
  state_of(info.Env()).settler.start(info.Env(), info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

}  // namespace

void register_streams(Napi::Env env, Napi::Object exports) {
  method<create_stream>(env, exports, "createStream");
  method<dispose_stream>(env, exports, "disposeStream");
  method<progress>(env, exports, "progress");
  method<write>(env, exports, "write");
  method<copy_file>(env, exports, "copyFile");
  method<read>(env, exports, "read");
  method<synchronize>(env, exports, "synchronize");
  method<hold>(env, exports, "hold");
  method<begin_capture>(env, exports, "beginCapture");
  method<end_capture>(env, exports, "endCapture");
  method<replay>(env, exports, "replay");
  method<dispose_graph>(env, exports, "disposeGraph");
  method<on_settled>(env, exports, "onSettled");
}

}  // namespace warploop::bind
