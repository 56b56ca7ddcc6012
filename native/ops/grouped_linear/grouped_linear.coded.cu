// What:      groupedLinear of weights of codes for few rows of each expert: see cuda/gemm/coded_streaming.cuh
// Steps:     those of that file
// Mapping:   tiles of 8 or 16 rows of one expert; an expert without rows is never read
// Resources: as linear.coded.cu
// Cost:      the codes of the experts that have rows, once per 8 or 16 of them; memory-bound. Not measured
// Numerics:  as that file says
#include "ops/grouped_linear/grouped_linear.coded.h"

#include "cuda/gemm/coded_schedule.h"
#include "ops/grouped_linear/grouped_linear.sm90.h"

namespace warploop::cuda {

const char* refuse_grouped_linear_coded(const GroupedLinearParams& p, const CudaContext&) {
  if (!is_coded(p.weight)) return "the weight is not of codes";
  if (p.x.dtype == DType::f32) return "x is f32 and must not be rounded";
  if (!pieces_of_16_bytes(p.x)) return "rows of x are not aligned to 16 bytes";
  return refuse_coded(p.weight);
}

void grouped_linear_coded(GroupedCodedTile tile, const GroupedLinearParams& p, CudaContext& context) {
  const Product product = product_of(p, context);
  tile == GroupedCodedTile::s8x64 ? launch_coded<true, Coded8x64>(product, p.weight, p.x.dtype, context)
                                  : launch_coded<true, Coded16x64>(product, p.weight, p.x.dtype, context);
}

}  // namespace warploop::cuda
