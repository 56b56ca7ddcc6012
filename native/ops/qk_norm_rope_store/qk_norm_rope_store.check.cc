#include "ops/qk_norm_rope_store/qk_norm_rope_store.h"

namespace warploop {

void check(const QkNormRopeStoreParams& p, Check& c) {
  Sym T{"T"}, Hq{"Hq"}, Hkv{"Hkv"}, Dh{"Dh"}, Dv{"Dv"}, Lmax{"Lmax"}, R{"R"}, P{"P"}, Ps{"Ps"}, S{"scales"};
  c.tensor("q", p.q).dtype(kFloats).shape({T, Hq, Dh}).rows();
  c.tensor("k", p.k).same_dtype(p.q, "q").shape({T, Hkv, Dh}).rows();
  c.tensor("v", p.v).same_dtype(p.q, "q").shape({T, Hkv, Dv}).rows();
  c.optional("qWeight", p.q_weight).dtype(kF32).shape({Dh}).packed();
  c.optional("kWeight", p.k_weight).dtype(kF32).shape({Dh}).packed();
  c.tensor("positions", p.positions).dtype(kI32).shape({T}).packed();
  c.tensor("table", p.table).dtype(kF32).shape({Lmax, R}).rows();
  c.tensor("kPages", p.k_pages).dtype(kPageDtypes).shape({P, Ps, Hkv, Dh}).rows();
  c.tensor("vPages", p.v_pages).dtype(kPageDtypes).shape({P, Ps, Hkv, Dv}).rows();
  c.tensor("slots", p.slots).dtype(kI32).shape({T}).packed();
  c.that(Dh.value() <= p.kMostWidth, "q", "heads of at most 512 elements (Dh)", Dh.value());
  c.that(R.value() >= 2 && R.value() % 2 == 0, "table", "an even width R of at least 2", R.value());
  c.that(R.value() <= Dh.value(), "table", "a width R of at most the head width Dh", R.value());
  check_scales(c, "kScales", p.k_scales, p.k_pages, P, Ps, Hkv);
  check_scales(c, "vScales", p.v_scales, p.v_pages, P, Ps, S);
  const bool are_of_groups = Hkv.value() == 1 && S.value() == latent_groups(Dv.value());
  c.that(!p.v_scales || S.value() == Hkv.value() || are_of_groups, "vScales",
         "one for each head Hkv, or of a single head one for each 128 elements", S.value());
  c.that(p.eps > 0, "eps", "a positive number", p.eps);
}

}  // namespace warploop
