// What:      dst = src
// Steps:     1. load words   2. store them
// Mapping:   rows as words of 16 bytes where all of them are aligned, else of 4, 2 or 1;
//            grid = words / (256 kBatch)
// Resources: no shared memory
// Cost:      bytes of src and dst, each moved once; bound by memory
// Numerics:  bits are copied, whatever they mean
// Source:    the definition
#include "ops/copy/copy.h"

#include "cuda/device/vectors.cuh"

namespace warploop::cuda {

namespace {

constexpr int kBatch = 4;  // words of a thread

template <class Word>
__global__ void __launch_bounds__(kVectorThreads)
    copy_kernel(const __grid_constant__ Rows src, const __grid_constant__ Rows dst,
                const __grid_constant__ VectorGrid grid) {
  wait_for_predecessors();
  Word words[kBatch] = {};
  Word* to[kBatch] = {};
  for_vectors<kBatch>(
      grid,
      [&](int i, const RowPlace& place, int64_t word) {
        const int64_t begin = word * static_cast<int64_t>(sizeof(Word));
        words[i] = *reinterpret_cast<const Word*>(src.data + offset_of(src, place) + begin);  // 1.
        to[i] = reinterpret_cast<Word*>(dst.data + offset_of(dst, place) + begin);
      },
      [&](int i) { *to[i] = words[i]; });  // 2.
}

/// The tensor as u8, of rank 1 at least.
TensorView bytes_of_elements(TensorView t) {
  const int64_t bytes = bits_of(t.dtype) / 8;
  if (t.rank == 0) t.rank = 1;
  for (int axis = 0; axis + 1 < t.rank; axis++) t.strides[axis] *= bytes;
  t.sizes[t.rank - 1] *= bytes;
  t.dtype = DType::u8;
  return t;
}

template <class Word>
void copy_words(const CudaContext& context, const TensorView& src, const TensorView& dst) {
  const VectorGrid grid = vector_grid(shape_of(dst), sizeof(Word));
  launch<copy_kernel<Word>>(context, launch_shape<kBatch>(grid.total), rows_of(src), rows_of(dst), grid);
}

}  // namespace

void copy(const CopyParams& p, CudaContext& context) {
  TensorView src = bytes_of_elements(p.src), dst = bytes_of_elements(p.dst);
  merge_axes(dst, src);
  const auto fits = [&](int bytes) {
    return dst.size(-1) % bytes == 0 && is_aligned(src, bytes, 1) && is_aligned(dst, bytes, 1);
  };
  if (fits(16)) return copy_words<uint4>(context, src, dst);
  if (fits(4)) return copy_words<uint32_t>(context, src, dst);
  if (fits(2)) return copy_words<uint16_t>(context, src, dst);
  copy_words<uint8_t>(context, src, dst);
}

}  // namespace warploop::cuda
