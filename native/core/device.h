// What a device is to the rest of the house: memory, a table of ops, and executors that run commands in
// order.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "core/memory.h"
#include "core/op.h"

namespace warploop {

class Graph;

/// Lives on the worker thread of one stream and runs its commands. A device whose work is asynchronous (CUDA)
/// issues it here and returns; `then` is how the stream learns that it has finished.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual void copy_from_host(void* device, const void* host, size_t bytes) = 0;
  virtual void copy_to_host(void* host, const void* device, size_t bytes) = 0;
  /// Calls `done` once everything issued so far has finished. `host` memory of earlier copies is valid then.
  virtual void then(std::function<void()> done) = 0;
  /// Runs a recorded command list.
  virtual void replay(Graph& graph) = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  /// "cpu", "cuda:0"
  virtual const std::string& name() const = 0;
  /// Uninitialised memory, aligned to 64 bytes. Throws Error(out_of_memory).
  virtual MemoryRef allocate(size_t bytes) = 0;
  virtual std::unique_ptr<Executor> create_executor() = 0;
  virtual const OpTable& ops() const = 0;
};

}  // namespace warploop
