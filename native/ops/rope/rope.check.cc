#include "ops/rope/rope.h"

namespace warploop {

void check(const RopeParams& p, Check& c) {
  Sym T{"T"}, Hq{"Hq"}, Hkv{"Hkv"}, Dh{"Dh"}, Lmax{"Lmax"}, R{"R"};
  c.tensor("q", p.q).dtype(kFloats).shape({T, Hq, Dh}).rows();
  c.optional("k", p.k).same_dtype(p.q, "q").shape({T, Hkv, Dh}).rows();
  c.tensor("positions", p.positions).dtype(kI32).shape({T}).packed();
  c.tensor("table", p.table).dtype(kF32).shape({Lmax, R}).rows();
  c.that(R.value() >= 2 && R.value() % 2 == 0, "table", "an even width R of at least 2", R.value());
  c.that(R.value() <= Dh.value(), "table", "a width R of at most the head width Dh", R.value());
}

}  // namespace warploop
