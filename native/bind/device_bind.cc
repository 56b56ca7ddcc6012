// Devices, device memory and weight files. lib/device/native.ts has the typed signatures.
#include <sys/mman.h>

#include "bind/addon_state.h"
#include "bind/devices.h"
#include "core/threads.h"
#include "formats/weight_view.h"
#ifdef WARPLOOP_CPU
#include "cpu/isa.h"
#include "cpu/topology.h"
#endif
#ifdef WARPLOOP_SIMT
#include "cuda/scratch.h"
#include "simt/runtime/control.h"
#endif

namespace warploop::bind {

namespace {

/// devices(): { name, detail, problem }[], the best one first; `problem` is empty for a device that can be
/// opened
Napi::Value devices(const Napi::CallbackInfo& info) {
  Napi::Array result = Napi::Array::New(info.Env());
  for (const DeviceEntry& entry : list_devices()) {
    Napi::Object row = Napi::Object::New(info.Env());
    row.Set("name", entry.name);
    row.Set("detail", entry.detail);
    row.Set("problem", entry.problem);
    result.Set(result.Length(), row);
  }
  return result;
}

/// openDevice(name, threads): handle
Napi::Value open_device(const Napi::CallbackInfo& info) {
  std::shared_ptr<Device> device =
      make_device(info[0].ToString().Utf8Value(), static_cast<int>(number(info, 1)));
  return Napi::Number::New(info.Env(), state_of(info.Env()).devices.add(std::move(device)));
}

/// deviceInfo(device): { name, model, isa, threads, processors, fastDtypes, weightFormats,
/// takesInt8 }
Napi::Value device_info(const Napi::CallbackInfo& info) {
  const Device& device = *state_of(info.Env()).devices.get(number(info, 0));
  const DeviceInfo about = device.info();
  Napi::Array dtypes = Napi::Array::New(info.Env());
  for (const DType dtype : about.fast_dtypes) dtypes.Set(dtypes.Length(), name_of(dtype));
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("name", device.name());
  result.Set("model", about.model);
  result.Set("isa", about.isa);
  result.Set("threads", about.threads);
  result.Set("processors", about.processors);
  result.Set("fastDtypes", dtypes);
  Napi::Array formats = Napi::Array::New(info.Env());
  for (int i = 0; i < kWeightFormatCount; i++) {
    if (device.weight_formats() >> i & 1)
      formats.Set(formats.Length(), name_of(static_cast<WeightFormat>(i)));
  }
  result.Set("weightFormats", formats);
  result.Set("takesInt8", (device.activation_types() & activation_bit(Activation::int8)) != 0);
  return result;
}

/// deviceMemory(device): { free, total } in bytes
Napi::Value device_memory(const Napi::CallbackInfo& info) {
  const MemoryInfo memory = state_of(info.Env()).devices.get(number(info, 0))->memory();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("free", static_cast<double>(memory.free));
  result.Set("total", static_cast<double>(memory.total));
  return result;
}

/// closeDevice(device)
Napi::Value close_device(const Napi::CallbackInfo& info) {
  state_of(info.Env()).devices.remove(number(info, 0));
  return info.Env().Undefined();
}

/// allocate(device, bytes): memory handle
Napi::Value allocate(const Napi::CallbackInfo& info) {
  AddonState& state = state_of(info.Env());
  MemoryRef memory = state.devices.get(number(info, 0))->allocate(byte_count(info, 1));
  return Napi::Number::New(info.Env(), state.memory.add(std::move(memory)));
}

/// release(memory): the handle ends now, the memory when every stream has passed this point.
Napi::Value release(const Napi::CallbackInfo& info) {
  AddonState& state = state_of(info.Env());
  const MemoryRef memory = state.memory.remove(number(info, 0));
  state.streams.for_each([&](const std::shared_ptr<Stream>& stream) { stream->release(memory); });
  return info.Env().Undefined();
}

/// openFile(descriptor, path): file handle
Napi::Value open_file(const Napi::CallbackInfo& info) {
  auto file = std::make_shared<WeightFile>(static_cast<int>(number(info, 0)), info[1].ToString().Utf8Value());
  return Napi::Number::New(info.Env(), state_of(info.Env()).files.add(std::move(file)));
}

/// closeFile(file): copies that are still queued keep the file open.
Napi::Value close_file(const Napi::CallbackInfo& info) {
  state_of(info.Env()).files.remove(number(info, 0));
  return info.Env().Undefined();
}

/// info(): what this binary is, for `warploop doctor`
Napi::Value build_info(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object result = Napi::Object::New(env);
  result.Set("compiler", __VERSION__);
#ifdef WARPLOOP_CPU
  Napi::Array isas = Napi::Array::New(env);
  for (const cpu::Isa& isa : cpu::compiled_isas()) isas.Set(isas.Length(), isa.name);
  const cpu::Isa* chosen = cpu::choose_isa();
  result.Set("isas", isas);
  result.Set("isa", chosen ? Napi::Value(Napi::String::New(env, chosen->name)) : env.Null());
  result.Set("physicalCores", cpu::usable_cores());
#endif
#ifdef WARPLOOP_CUDA
  result.Set("cuda", WARPLOOP_CUDA);  // the architectures, as text
#endif
  result.Set("devices", devices(info));
  return result;
}

/// liveHandles(): counts of native objects, for leak tests
Napi::Value live_handles(const Napi::CallbackInfo& info) {
  AddonState& state = state_of(info.Env());
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("devices", static_cast<double>(state.devices.live()));
  result.Set("memory", static_cast<double>(state.memory.live()));
  result.Set("streams", static_cast<double>(state.streams.live()));
  result.Set("graphs", static_cast<double>(state.graphs.live()));
  result.Set("files", static_cast<double>(state.files.live()));
  return result;
}

/// requireThread(): throws when no thread can be created now
Napi::Value require_thread(const Napi::CallbackInfo& info) {
  Threads probe;
  probe.start("process", 1, [](size_t) {});
  probe.join();
  return info.Env().Undefined();
}

/// requireAddressSpace(bytes): throws when the process cannot reserve that much more of its address space
Napi::Value require_address_space(const Napi::CallbackInfo& info) {
  const size_t bytes = static_cast<size_t>(number(info, 0));
  void* space = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (space == MAP_FAILED)
    fail(ErrorKind::device, "process: ", bytes >> 20, " MiB of address space cannot be reserved; ",
         "raise the limit of virtual memory (ulimit -v)");
  munmap(space, bytes);
  return info.Env().Undefined();
}

#ifdef WARPLOOP_SIMT
/// failNextLaunch(): the next kernel ends in a device fault
Napi::Value fail_next_launch(const Napi::CallbackInfo& info) {
  simt::runtime::fail_next_launch();
  return info.Env().Undefined();
}

/// runLastBlocks(blocks): grids run their last `blocks` blocks only; 0: all
Napi::Value run_last_blocks(const Napi::CallbackInfo& info) {
  simt::runtime::run_last_blocks(info[0].As<Napi::Number>().Uint32Value());
  return info.Env().Undefined();
}

/// setScratch(workspaceBytes, counters): of streams that are created from now on; without arguments: as they
/// are
Napi::Value set_scratch(const Napi::CallbackInfo& info) {
  cuda::Scratch& scratch = cuda::scratch_of_new_streams();
  scratch = {};
  if (info.Length() < 2) return info.Env().Undefined();
  scratch.workspace_bytes = info[0].As<Napi::Number>().Uint32Value();
  scratch.num_counters = info[1].As<Napi::Number>().Uint32Value();
  return info.Env().Undefined();
}
#endif

}  // namespace

void register_devices(Napi::Env env, Napi::Object exports) {
  method<devices>(env, exports, "devices");
  method<open_device>(env, exports, "openDevice");
  method<device_info>(env, exports, "deviceInfo");
  method<device_memory>(env, exports, "deviceMemory");
  method<close_device>(env, exports, "closeDevice");
  method<allocate>(env, exports, "allocate");
  method<release>(env, exports, "release");
  method<open_file>(env, exports, "openFile");
  method<close_file>(env, exports, "closeFile");
  method<build_info>(env, exports, "info");
  method<live_handles>(env, exports, "liveHandles");
  method<require_thread>(env, exports, "requireThread");
  method<require_address_space>(env, exports, "requireAddressSpace");
#if defined(WARPLOOP_SIMT) || defined(__SANITIZE_ADDRESS__)
  exports.Set("separateTensors", true);
#endif
#ifdef WARPLOOP_SIMT
  method<fail_next_launch>(env, exports, "failNextLaunch");
  method<run_last_blocks>(env, exports, "runLastBlocks");
  method<set_scratch>(env, exports, "setScratch");
#endif
}

}  // namespace warploop::bind
