#include "ops/kv_store/kv_store.h"

#include "core/kv_codes.h"

namespace warploop {

void check(const KvStoreParams& p, Check& c) {
  Sym T{"T"}, Hkv{"Hkv"}, Dh{"Dh"}, Dv{"Dv"}, P{"P"}, Ps{"Ps"};
  c.tensor("k", p.k).dtype(kFloats).shape({T, Hkv, Dh}).rows();
  c.tensor("v", p.v).same_dtype(p.k, "k").shape({T, Hkv, Dv}).rows();
  c.tensor("kPages", p.k_pages).dtype(kPageDtypes).shape({P, Ps, Hkv, Dh}).rows();
  c.tensor("vPages", p.v_pages).same_dtype(p.k_pages, "kPages").shape({P, Ps, Hkv, Dv}).rows();
  c.tensor("slots", p.slots).dtype(kI32).shape({T}).packed();
  check_scales(c, "kScales", p.k_scales, p.k_pages, P, Ps, Hkv);
  check_scales(c, "vScales", p.v_scales, p.v_pages, P, Ps, Hkv);
}

}  // namespace warploop
