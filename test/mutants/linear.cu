// The matrix product of sm_90, linear.sm90.cu: blocks go through several tiles, alone and in clusters of two.
#include "ops/linear/linear.sm90.cu"

#include "program.h"

namespace warploop::cuda {

// linear.cu and linear.split.sm90.cu, which have them, are not part of this program; the product is filled in below.
Product product_of(const LinearParams&, const CudaContext&) { return {}; }
void linear_split_sm90(HopperTile, const Product&, DType, const CudaContext&) {}

}  // namespace warploop::cuda

namespace warploop::mutants {
namespace {

using namespace cuda;

constexpr int kRows = 150, kColumns = 136, kPaddedColumns = 144, kK = 4 * 64 + 40, kOutStride = 144;

template <class Tile>
void multiply(Run& run, const char* name, bool residual = false) {
  Product p{};
  p.x = run.upload(matrix(kRows, kK, kK, 1));
  p.x_stride = kK;
  p.x_rows = p.rows = kRows;
  p.weight = run.upload(matrix(kPaddedColumns, kK, kK, 2));
  p.weight_rows = kPaddedColumns;
  p.K = p.padded_K = kK;
  uint16_t* out = run.output<uint16_t>(kRows * kOutStride);
  p.epilogue.out = out;
  p.epilogue.out_stride = kOutStride;
  p.epilogue.out_dtype = DType::bf16;
  p.epilogue.columns = kColumns;
  if (residual) {
    p.epilogue.residual = run.upload(matrix(kRows, kColumns, kOutStride, 3));
    p.epilogue.residual_stride = kOutStride;
    p.epilogue.residual_dtype = DType::bf16;
  }
  CudaContext context = run.context();
  context.num_sms = 2;
  cuda::run<Tile>(p, context);
  std::vector<float> sums = product(kRows, kColumns, kK, kOutStride, kK, 1, kK, 2);
  for (size_t i = 0; residual && i < sums.size(); i++) sums[i] += static_cast<float>(small_integer(i, 3));
  run.expect(
      name, out, table(sums.size(), [&](size_t i) -> uint16_t {
        const uint32_t bits = std::isnan(sums[i]) ? 0xffffffffu : std::bit_cast<uint32_t>(sums[i]);
        return static_cast<uint16_t>((bits + (std::isnan(sums[i]) ? 0u : 0x7fffu + (bits >> 16 & 1))) >> 16);
      }));
}
void run_linear(Run& run) {
  multiply<LinearTile<bf16, 64, 128, 1, 3>>(run, "one block");
  multiply<LinearTile<bf16, 64, 128, 2, 3>>(run, "cluster");
  multiply<LinearTile<bf16, 64, 128, 2, 3>>(run, "residual", true);
}
const atoms::Atom linear("linear", 90, run_linear);

}  // namespace
}  // namespace warploop::mutants
