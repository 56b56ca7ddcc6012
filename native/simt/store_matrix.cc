#include "simt/store_matrix.h"

#include <cstring>

#include "simt/race.h"
#include "simt/rendezvous.h"
#include "simt/shared_memory.h"

namespace warploop::simt {

void store_matrices(const uint32_t* r, int matrices, uint32_t row_address, Site site) {
  const char* name = "store_matrix";
  struct Slot {
    const uint32_t* r;
    std::byte* row;
  } own{r, nullptr};
  if (self().lane < 8 * matrices) {
    own.row = shared_pointer(row_address, 16, 16, name, site);
    race::write(self(), own.row, 16, site);
  }
  meet(name, ~0u, own, site, [&](Slot* const* slots) {
    for (int m = 0; m < matrices; m++) {
      for (int lane = 0; lane < 32; lane++) {
        std::memcpy(slots[8 * m + lane / 4]->row + 4 * (lane % 4), &slots[lane]->r[m], 4);
      }
    }
  });
}

}  // namespace warploop::simt
