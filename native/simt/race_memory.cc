#include "simt/race_memory.h"

#include <algorithm>
#include <tuple>

namespace warploop::simt::race {
namespace {

/// What `me` knows of the cluster of `earlier`: no pointer of its own, which would count at every access.
const Clock* clock_of(const Access& earlier, const View& me) {
  if (earlier.cluster == me.cluster) return me.known.get();
  if (!me.others) return nullptr;
  const auto found = std::lower_bound(me.others->begin(), me.others->end(), earlier.cluster,
                                      [](const auto& a, uint32_t cluster) { return a.first < cluster; });
  return found != me.others->end() && found->first == earlier.cluster ? found->second.get() : nullptr;
}

bool same_agent(const Access& earlier, const View& me) {
  return earlier.agent == me.agent && earlier.cluster == me.cluster;
}

/// `earlier` comes before everything that `me` does now.
bool before(const Access& earlier, const View& me) {
  return same_agent(earlier, me) || entry(clock_of(earlier, me), earlier.agent) >= earlier.step;
}

bool meets(const Access& earlier, const Access& now) {
  return earlier.step != 0 && (earlier.bytes & now.bytes) != 0 && !(earlier.atomic && now.atomic);
}

}  // namespace

void Memory::open(size_t bytes, bool initialised) {
  cells_.clear();
  cells_.resize((bytes + kCellBytes - 1) / kCellBytes);
  if (!initialised) return;
  for (Cell& cell : cells_) cell.initialised = (1u << kCellBytes) - 1;
}

void Memory::note_read(Cell& cell, const View& me, const Access& now) {
  const auto gives_way = [&](const Access& old) {
    return old.step == 0 || ((old.bytes & ~now.bytes) == 0 && before(old, me));
  };
  if (gives_way(cell.read)) {
    cell.read = now;
    return;
  }
  if (!cell.more) cell.more = std::make_unique<Reads>();
  Reads& reads = *cell.more;
  if (reads.next >= reads.all.size()) reads.next = 0;
  if (!reads.all.empty() && gives_way(reads.all[reads.next])) {
    reads.all[reads.next++] = now;
    return;
  }
  if (reads.all.size() >= reads.room) {
    std::erase_if(reads.all, gives_way);
    thin(reads.all);
    reads.room = std::max<size_t>(16, 2 * reads.all.size());
  }
  reads.all.push_back(now);
}

/// Drops those reads of each agent that its next one stands for.
void Memory::thin(std::vector<Access>& all) {
  const auto is_of_less = [](const Access& a, const Access& b) {
    return std::tie(a.cluster, a.agent) < std::tie(b.cluster, b.agent);
  };
  std::ranges::stable_sort(all, is_of_less);
  size_t kept = 0;
  for (size_t i = 0; i < all.size(); i++) {
    const bool is_covered =
        i + 1 < all.size() && !is_of_less(all[i], all[i + 1]) && (all[i].bytes & ~all[i + 1].bytes) == 0;
    if (!is_covered) all[kept++] = all[i];
  }
  all.resize(kept);
}

const char* Memory::touch_for_write(Cell& cell, const View& me, const Access& now, Access& earlier) {
  const auto conflicts = [&](const Access& read) {
    if (!meets(read, now) || before(read, me)) return false;
    earlier = read;
    return true;
  };
  const char* text = nullptr;
  // A plain write after an atomic of the same thread, with none since: that one has come after all before it.
  const bool own_atomic = cell.write.atomic && same_agent(cell.write, me) && !now.atomic;
  if (!own_atomic &&
      (conflicts(cell.read) || (cell.more && std::ranges::any_of(cell.more->all, conflicts)))) {
    text = "is not ordered after an earlier read";
  }
  if (now.atomic) {
    note_read(cell, me, now);  // a plain write has to come after all of them
  } else {
    cell.read = {};
    if (cell.more) cell.more->all.clear();
  }
  cell.write = now;
  cell.initialised |= now.bytes;
  return text;
}

/// What is wrong with the access, or null; notes it.
const char* Memory::touch(Cell& cell, const View& me, const Access& now, Access& earlier) {
  const char* text = nullptr;
  const Access write = cell.write;
  if (meets(write, now)) {
    if (cell.copying) {
      text = "touches the target of a copy_async that has not been waited for";
    } else if (!before(write, me)) {
      text = "is not ordered after an earlier write";
    } else if (now.async && !write.async && write.cluster == me.cluster &&
               entry(me.fenced, write.agent) < write.step) {
      text = "comes after a plain write without fence_async_shared() between them";
    }
    if (text) earlier = write;
  }
  if (now.writes) {
    const char* other = touch_for_write(cell, me, now, earlier);
    return text ? text : other;
  }
  if (!text && (now.bytes & ~cell.initialised)) text = "reads shared memory that nobody has written";
  note_read(cell, me, now);
  return text;
}

std::optional<Conflict> Memory::access(const View& me, Kind kind, bool async, size_t offset, size_t bytes,
                                       Place place) {
  std::optional<Conflict> first;
  Access now{place.value, me.step, me.cluster, me.agent};
  now.is_site = place.is_site;
  now.async = async;
  now.atomic = kind == Kind::atomic;
  now.writes = kind != Kind::read;
  const size_t end = std::min(offset + bytes, cells_.size() * kCellBytes);
  for (size_t at = offset; at < end;) {
    const size_t cell = at / kCellBytes;
    const bool both = at % kCellBytes == 0 && at + 1 < end;
    now.bytes = both ? 3 : static_cast<uint8_t>(1u << at % kCellBytes);
    Access earlier;
    if (const char* text = touch(cells_[cell], me, now, earlier); text && !first) {
      first = Conflict{text, at, now, earlier};
    }
    at += both ? 2 : 1;
  }
  return first;
}

std::optional<Conflict> Memory::copy_started(const View& me, size_t offset, size_t bytes, Place place) {
  auto conflict = access(me, Kind::write, false, offset, bytes, place);
  for (size_t cell = offset / kCellBytes; cell < (offset + bytes) / kCellBytes; cell++) {
    cells_[cell].copying = true;
  }
  return conflict;
}

void Memory::copy_ended(const View& me, size_t offset, size_t bytes) {
  for (size_t cell = offset / kCellBytes; cell < (offset + bytes) / kCellBytes; cell++) {
    cells_[cell].copying = false;
    cells_[cell].write.step = me.step;
  }
}

}  // namespace warploop::simt::race
