// Ranges that a profiler shows around what an op issues (`nsys profile`, `ncu --nvtx`): NVTX 3, a library of
// headers that asks once whether there is a profiler. Without one a range costs a load and a branch.
#pragma once
#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define WARPLOOP_NVTX
#endif

namespace warploop::cuda {

class ProfilerRange {
 public:
#ifdef WARPLOOP_NVTX
  /// `name` lives as long as the program.
  explicit ProfilerRange(const char* name) {
    nvtxEventAttributes_t event{};
    event.version = NVTX_VERSION;
    event.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
    event.messageType = NVTX_MESSAGE_TYPE_ASCII;
    event.message.ascii = name;
    nvtxDomainRangePushEx(domain(), &event);
  }
  ~ProfilerRange() { nvtxDomainRangePop(domain()); }

 private:
  static nvtxDomainHandle_t domain() {
    static const nvtxDomainHandle_t handle = nvtxDomainCreateA("warploop");
    return handle;
  }

 public:
#else
  explicit ProfilerRange(const char*) {}  // a toolkit without NVTX
#endif
  ProfilerRange(const ProfilerRange&) = delete;
  ProfilerRange& operator=(const ProfilerRange&) = delete;
};

}  // namespace warploop::cuda
