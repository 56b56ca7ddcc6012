// The only list of ops. One row each: C++ stem and folder, stem of <Name>Params, JavaScript name. No include guard: the
// file is expanded with different definitions of WARPLOOP_OP. The build reads the rows as well (native/sources.json).
WARPLOOP_OP(rms_norm, RmsNorm, rmsNorm)
WARPLOOP_OP(pack_linear, PackLinear, packLinear)
WARPLOOP_OP(linear, Linear, linear)
WARPLOOP_OP(grouped_linear, GroupedLinear, groupedLinear)
WARPLOOP_OP(kv_store, KvStore, kvStore)
WARPLOOP_OP(rope, Rope, rope)
