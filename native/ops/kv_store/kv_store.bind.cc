#include "ops/kv_store/kv_store.h"
#include "bind/arguments.h"

namespace warploop {

void bind_kv_store(Arguments& args) {
  KvStoreParams p{};
  p.k = args.tensor();
  p.v = args.tensor();
  p.k_pages = args.tensor();
  p.v_pages = args.tensor();
  p.slots = args.tensor();
  args.submit<OpId::kv_store>(p);
}

}  // namespace warploop
