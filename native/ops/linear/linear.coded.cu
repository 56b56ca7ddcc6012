// What:      linear of a weight of codes for few rows: see cuda/gemm/coded_streaming.cuh
// Steps:     those of that file
// Mapping:   tiles of 8 or 16 rows; of more rows the codes cross L2 once for each 16
// Resources: 8 rows: 75 to 84 KiB of shared memory, 16 rows: 52 to 76; two blocks per SM of an H200
// Cost:      T <= 16: the bytes of the codes and their records, aim 85 % of HBM. Predicted on an H200 against
//            the same weight in bf16: int4 2.6 to 3.2, int8 and fp8 1.7 to 1.85. Not measured
// Numerics:  as that file says
#include "ops/linear/linear.coded.h"

#include "cuda/gemm/coded_schedule.h"
#include "ops/linear/linear.sm90.h"

namespace warploop::cuda {

const char* refuse_linear_coded(const LinearParams& p, const CudaContext&) {
  if (!is_coded(p.weight)) return "the weight is not of codes";
  if (p.x.dtype == DType::f32) return "x is f32 and must not be rounded";
  if (!pieces_of_16_bytes(p.x)) return "rows of x are not aligned to 16 bytes";
  return refuse_coded(p.weight);
}

void linear_coded(CodedTile tile, const LinearParams& p, CudaContext& context) {
  const Product product = product_of(p, context);
  tile == CodedTile::s8x64 ? launch_coded<false, Coded8x64>(product, p.weight, p.x.dtype, context)
                           : launch_coded<false, Coded16x64>(product, p.weight, p.x.dtype, context);
}

}  // namespace warploop::cuda
