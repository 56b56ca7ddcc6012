// The threads of an object: all that it needs, or none and an error that counts them. A thread that cannot be
// created (limits of processes or memory) must not end the process, and one that is joinable when its
// std::thread is destroyed would.
#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace warploop {

class Threads {
 public:
  using Body = std::function<void(size_t number)>;

  /// Starts `count` threads; each runs body(its number). If one cannot be created, calls `stop`, after which
  /// body has to return, joins those that exist and throws Error(device), with `owner` in front.
  void start(
      const std::string& owner, size_t count, const Body& body, const std::function<void()>& stop = [] {});
  /// The same for work that needs no thread: starts those that can be created.
  void start_some(size_t count, const Body& body);

  size_t count() const { return threads_.size(); }
  /// The bodies return, or are about to. Belongs into the destructor of the owner, after what makes them.
  void join();

 private:
  std::vector<std::thread> threads_;
};

}  // namespace warploop
