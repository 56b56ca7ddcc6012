#include "core/threads.h"

#include <exception>

#include "core/error.h"

namespace warploop {

namespace {

/// What kept it from starting all; empty: nothing.
std::string add(std::vector<std::thread>& threads, size_t count, const Threads::Body& body) {
  try {
    threads.reserve(count);  // a thread that is there must not be lost to an allocation
    for (size_t i = 0; i < count; i++) threads.emplace_back(body, i);
  } catch (const std::exception& e) {
    return e.what();
  }
  return {};
}

}  // namespace

void Threads::start(const std::string& owner, size_t count, const Body& body,
                    const std::function<void()>& stop) {
  const std::string problem = add(threads_, count, body);
  const size_t created = threads_.size();
  if (created == count) return;
  stop();
  join();
  fail(ErrorKind::device, owner, ": ", created, " of ", count, " threads could be created: ", problem,
       "; use fewer threads, or raise the limit of processes or memory");
}

void Threads::start_some(size_t count, const Body& body) { add(threads_, count, body); }

void Threads::join() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace warploop
