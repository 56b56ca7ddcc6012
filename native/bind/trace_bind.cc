// Traces of streams, and how their rows cross the boundary; lib/device/trace.ts has the reading side.
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "bind/addon_state.h"

namespace warploop::bind {

namespace {

/// "kernel\treason" of each kernel that was passed over, joined by further tabs.
std::string refusals_of(const CommandNote& note) {
  std::string text;
  for (int i = 0; i < note.num_refusals; i++) {
    const auto& [kernel, reason] = note.refusals[i];
    text.append(i ? "\t" : "").append(kernel).append("\t").append(reason);
  }
  return text;
}

/// [missed, rows, then per row: op, tensors, kernel, refusals, launches, bytes, start, duration] as f64, then
/// the texts that the first four are indices of, in UTF-8, one a line.
std::vector<std::byte> encode(const Trace& trace) {
  std::map<std::string, size_t> numbers;
  std::string names;
  const auto number_of = [&](std::string text) {
    const auto [at, is_new] = numbers.emplace(std::move(text), numbers.size());
    if (is_new) names.append(at->first).append("\n");
    return static_cast<double>(at->second);
  };
  std::vector<double> values = {static_cast<double>(trace.missed()),
                                static_cast<double>(trace.rows().size())};
  const std::vector<double> times = trace.times();
  for (const TraceRow& row : trace.rows()) {
    const char* kernel = row.note.kernel ? row.note.kernel : row.op;
    values.insert(values.end(), {number_of(row.op), number_of(row.tensors), number_of(kernel),
                                 number_of(refusals_of(row.note)), static_cast<double>(row.note.launches),
                                 static_cast<double>(row.bytes), times[row.begin], trace.duration(row)});
  }
  std::vector<std::byte> bytes(values.size() * sizeof(double) + names.size());
  std::memcpy(bytes.data(), values.data(), values.size() * sizeof(double));
  std::memcpy(bytes.data() + values.size() * sizeof(double), names.data(), names.size());
  return bytes;
}

/// beginTrace(stream, mostRows)
Napi::Value begin_trace(const Napi::CallbackInfo& info) {
  state_of(info.Env()).streams.get(number(info, 0))->begin_trace(byte_count(info, 1));
  return info.Env().Undefined();
}

/// endTrace(stream, token): settles `token` with what `encode` makes of it
Napi::Value end_trace(const Napi::CallbackInfo& info) {
  AddonState& state = state_of(info.Env());
  const double token = number(info, 1);
  Settler* settler = &state.settler;
  state.streams.get(number(info, 0))->end_trace([=](const Trace* trace, const StreamFailure* failure) {
    const auto refuse = [&](const std::string& op, const std::string& message) {
      settler->post({.token = token, .ok = false, .data = {}, .op = op, .message = message});
    };
    if (failure) return refuse(failure->op, failure->message);
    try {
      settler->post({.token = token, .ok = true, .data = encode(*trace), .op = {}, .message = {}});
    } catch (const std::exception& e) {
      refuse("trace", e.what());
    }
  });
  return info.Env().Undefined();
}

}  // namespace

void register_traces(Napi::Env env, Napi::Object exports) {
  method<begin_trace>(env, exports, "beginTrace");
  method<end_trace>(env, exports, "endTrace");
}

}  // namespace warploop::bind
