// The devices that this build has. The build decides with WARPLOOP_CPU, WARPLOOP_CUDA and WARPLOOP_SIMT which
// those are.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/device.h"

namespace warploop::bind {

/// A device of this machine, or why a kind of device of this build is not to be had here.
struct DeviceEntry {
  std::string name;     // what `open_device` takes: "cpu", "cuda:1"
  std::string detail;   // "NVIDIA H200, 132 multiprocessors, 139.7 GiB"; may be empty
  std::string problem;  // empty: it can be opened
};

/// The best one first.
std::vector<DeviceEntry> list_devices();

/// `threads` is for the CPU device; <= 0: one per physical core. Throws Error(type) for a name that is none,
/// Error(device) for a device that does not answer.
std::shared_ptr<Device> make_device(const std::string& name, int threads);

}  // namespace warploop::bind
