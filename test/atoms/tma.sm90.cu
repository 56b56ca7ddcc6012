// Boxes of tensors: device/tma.cuh and cuda/tensor_map.h. Layouts of boxes in shared memory: CUDA C++
// Programming Guide, "Tensor Memory Access" and its tables of swizzle patterns.
#include <algorithm>

#include "atom.h"
#include "cuda/device/block.cuh"
#include "cuda/device/tma.cuh"
#include "cuda/tensor_map.h"

namespace warploop::atoms {
namespace {

using namespace cuda;

constexpr int kTileBytes = 16 << 10, kThreads = 128;

struct TilePlan {
  alignas(1024) unsigned char tile[kTileBytes];
  Mbarrier full;
};
template <int kRank>
struct Corner {
  int at[kRank];
};

/// A tensor and a box, innermost dimension first.
struct Case {
  const char* name;
  DType dtype;
  Swizzle swizzle;
  int rank;
  uint64_t sizes[5];
  uint64_t padding[5];  // elements between the end of dimension i and the start of its next run; padding[rank
                        // - 1] = 0
  uint32_t box[5];
  std::vector<std::vector<int>> corners;
  int tile_offset = 0;  // bytes; where the box begins in a tile that is aligned to 1024

  size_t element_bytes() const { return static_cast<size_t>(bits_of(dtype)) / 8; }
  /// Of dimension i, in elements; strides[rank]: elements of the whole tensor.
  std::vector<uint64_t> strides() const {
    std::vector<uint64_t> s{1};
    for (int i = 0; i < rank; i++) s.push_back(s.back() * (sizes[i] + padding[i]));
    return s;
  }
  size_t box_bytes() const {
    size_t bytes = element_bytes();
    for (int i = 0; i < rank; i++) bytes *= box[i];
    return bytes;
  }
  CUtensorMap map(const void* base) const {
    const auto s = strides();
    uint64_t bytes[4];
    for (int i = 1; i < rank; i++) bytes[i - 1] = s[static_cast<size_t>(i)] * element_bytes();
    return encode_tensor_map(dtype, rank, base, sizes, bytes, box, swizzle);
  }

  /// Calls visit(byte of the tile, byte of the tensor or -1 outside) for every byte of the box.
  template <class Visit>
  void for_each_byte(const std::vector<int>& corner, Visit visit) const {
    const auto s = strides();
    const size_t es = element_bytes(), row_bytes = box[0] * es;
    for (size_t offset = 0; offset < box_bytes(); offset++) {
      size_t rest = offset / es;
      int64_t element = 0;
      bool inside = true;
      for (size_t i = 0; i < static_cast<size_t>(rank); i++) {
        const int64_t index = corner[i] + static_cast<int64_t>(rest % box[i]);
        rest /= box[i];
        inside = inside && index >= 0 && index < static_cast<int64_t>(sizes[i]);
        element += index * static_cast<int64_t>(s[i]);
      }
      // Of every line of 128 bytes, counted from an address that is a multiple of 1024, the guide's tables
      // draw where its 16-byte pieces go: in line l a row of 8 (4, 2) pieces has piece p at place p ^ (l mod
      // 8 (4, 2)).
      const size_t byte = static_cast<size_t>(tile_offset) + offset, line = byte / 128;
      const size_t pieces = swizzle == Swizzle::none ? 1 : row_bytes / 16;
      const size_t piece = byte / 16 % pieces, place = piece ^ line % pieces;
      visit((byte / 16 - piece + place) * 16 + byte % 16,
            inside ? element * static_cast<int64_t>(es) + static_cast<int64_t>(offset % es) : int64_t{-1});
    }
  }
};

std::vector<Case> cases() {
  const auto b16 = DType::bf16;
  return {
      {"2d_128",
       b16,
       Swizzle::b128,
       2,
       {72, 21},
       {8, 0},
       {64, 9},
       {{0, 0}, {16, 15}, {-8, -3}, {200, 0}, {0, 30}}},
      {"2d_128_shifted", b16, Swizzle::b128, 2, {72, 21}, {8, 0}, {64, 4}, {{8, 1}}, 3 * 128},
      {"2d_64", b16, Swizzle::b64, 2, {72, 21}, {8, 0}, {32, 11}, {{0, 0}, {48, 15}, {-5, -3}}},
      {"2d_32", DType::f16, Swizzle::b32, 2, {72, 21}, {8, 0}, {16, 19}, {{3, 1}, {64, 15}, {-7, -3}}},
      {"2d_none", b16, Swizzle::none, 2, {72, 21}, {8, 0}, {24, 5}, {{0, 0}, {60, 18}, {-9, -1}}},
      {"2d_f32", DType::f32, Swizzle::b128, 2, {40, 11}, {0, 0}, {32, 8}, {{0, 0}, {17, 5}}},
      {"2d_wide", b16, Swizzle::none, 2, {520, 9}, {0, 0}, {256, 8}, {{264, 3}}},
      {"3d_128",
       b16,
       Swizzle::b128,
       3,
       {64, 10, 4},
       {0, 2, 0},
       {64, 5, 2},
       {{0, 0, 0}, {0, 8, 3}, {8, -2, 1}}},
      {"3d_f32",
       DType::f32,
       Swizzle::none,
       3,
       {20, 6, 5},
       {4, 1, 0},
       {8, 3, 2},
       {{0, 0, 0}, {16, 4, 4}, {-4, 2, -1}}},
      {"4d_64",
       b16,
       Swizzle::b64,
       4,
       {40, 5, 3, 4},
       {0, 0, 1, 0},
       {32, 3, 2, 2},
       {{0, 0, 0, 0}, {16, 3, 2, 3}, {2, -1, 1, -1}}},
      {"5d_32",
       DType::u8,
       Swizzle::b32,
       5,
       {48, 3, 4, 2, 3},
       {16, 0, 1, 0, 0},
       {32, 2, 2, 2, 2},
       {{0, 0, 0, 0, 0}, {20, 2, 3, 1, 2}, {-3, -1, 1, 0, 1}}},
  };
}

// ------------------------------------------------------------------------------------------ loads

template <int kRank>
__global__ void load(const __grid_constant__ CUtensorMap map, const __grid_constant__ Corner<kRank> corner,
                     int tile_offset, uint32_t bytes, unsigned char* out) {
  TilePlan& plan = shared_plan<TilePlan>();
  for (int i = static_cast<int>(threadIdx.x); i < kTileBytes; i += kThreads) plan.tile[i] = 0xcc;
  if (threadIdx.x == 0) {
    tensor_map_prefetch(&map);
    tma_prefetch(&map, corner.at);
    mbarrier_init(plan.full, 1);
    fence_mbarrier_init();
  }
  fence_async_shared();  // the copy comes after the plain stores above
  sync_block();
  if (threadIdx.x == 0) {
    mbarrier_expect_bytes(plan.full, bytes);
    tma_load(plan.tile + tile_offset, &map, plan.full, corner.at);
  }
  mbarrier_wait(plan.full, 0);
  for (int i = static_cast<int>(threadIdx.x); i < kTileBytes; i += kThreads) out[i] = plan.tile[i];
}

// ------------------------------------------------------------------------------------------ stores

template <int kRank>
__global__ void store(const __grid_constant__ CUtensorMap map, const __grid_constant__ Corner<kRank> corner,
                      int tile_offset, const unsigned char* in) {
  TilePlan& plan = shared_plan<TilePlan>();
  for (int i = static_cast<int>(threadIdx.x); i < kTileBytes; i += kThreads) plan.tile[i] = in[i];
  fence_async_shared();
  sync_block();
  if (threadIdx.x == 0) {
    tma_store(&map, plan.tile + tile_offset, corner.at);
    tma_store_commit();
    tma_store_wait<0>();
  }
}

unsigned char byte_of(size_t i) { return static_cast<unsigned char>(pick(static_cast<uint32_t>(i), 256)); }

template <int kRank>
void check_case(Run& run, const Case& c) {
  const size_t tensor_bytes = c.strides().back() * c.element_bytes();
  const auto tensor = table(tensor_bytes, byte_of);
  const auto tile = table(kTileBytes, [](size_t i) { return byte_of(i + 1000000); });
  const CUtensorMap map = c.map(run.upload(tensor));
  const LaunchShape shape{dim3(1), kThreads, sizeof(TilePlan)};
  int number = 0;
  for (const auto& at : c.corners) {
    Corner<kRank> corner;
    std::copy_n(at.begin(), kRank, corner.at);
    const std::string name = concat(c.name, '_', number++);

    auto* out = run.output<unsigned char>(kTileBytes);
    launch<load<kRank>>(run.context(), shape, map, corner, c.tile_offset,
                        static_cast<uint32_t>(c.box_bytes()), out);
    std::vector<unsigned char> want(kTileBytes, 0xcc);
    c.for_each_byte(
        at, [&](size_t to, int64_t from) { want[to] = from < 0 ? 0 : tensor[static_cast<size_t>(from)]; });
    run.expect("load_" + name, out, want);

    unsigned char* target = run.upload(tensor);
    launch<store<kRank>>(run.context(), shape, c.map(target), corner, c.tile_offset,
                         static_cast<const unsigned char*>(run.upload(tile)));
    want = tensor;
    c.for_each_byte(at, [&](size_t from, int64_t to) {
      if (to >= 0) want[static_cast<size_t>(to)] = tile[from];
    });
    run.expect("store_" + name, target, want);
  }
}
const Atom box_atom("tma", 90, [](Run& run) {
  for (const Case& c : cases()) {
    if (c.rank == 2) check_case<2>(run, c);
    if (c.rank == 3) check_case<3>(run, c);
    if (c.rank == 4) check_case<4>(run, c);
    if (c.rank == 5) check_case<5>(run, c);
  }
});

// ------------------------------------------------------------------------------------------ swizzled()

const Atom swizzled_atom("swizzled", 80, [](Run& run) {
  for (const Swizzle swizzle : {Swizzle::none, Swizzle::b128, Swizzle::b64, Swizzle::b32}) {
    const uint32_t pieces = swizzle == Swizzle::none ? 1 : swizzle_row_bytes(swizzle) / 16;
    const auto got = table(4096, [&](size_t i) { return swizzled(swizzle, static_cast<uint32_t>(i)); });
    const auto want = table(4096, [&](size_t i) {
      const size_t piece = i / 16 % pieces;
      return static_cast<uint32_t>((i / 16 - piece + (piece ^ i / 128 % pieces)) * 16 + i % 16);
    });
    run.expect(concat("row_bytes_", swizzle_row_bytes(swizzle)), run.upload(got), want);
  }
});

// ------------------------------------------------------------------------------------------ groups of stores

constexpr int kRows = 8, kColumns = 64, kTiles = 5;
struct TwoTilesPlan {
  alignas(1024) uint16_t tiles[2][kRows * kColumns];
};
/// Five tiles through two buffers; a buffer is written again once the store from it has been read.
__global__ void store_groups(const __grid_constant__ CUtensorMap map) {
  TwoTilesPlan& plan = shared_plan<TwoTilesPlan>();
  for (int tile = 0; tile < kTiles; tile++) {
    uint16_t* buffer = plan.tiles[tile % 2];
    for (int i = static_cast<int>(threadIdx.x); i < kRows * kColumns; i += kThreads) {
      buffer[i] = static_cast<uint16_t>(1000 * tile + i);
    }
    fence_async_shared();
    sync_block();
    if (threadIdx.x == 0) {
      const int upper[2] = {0, tile * kRows}, lower[2] = {0, tile * kRows + kRows / 2};
      tma_store(&map, buffer, upper);
      tma_store(&map, buffer + kRows / 2 * kColumns, lower);
      tma_store_commit();
      tma_store_wait_read<1>();
    }
    sync_block();
  }
  if (threadIdx.x == 0) tma_store_wait<0>();
}
const Atom store_groups_atom("tma_store_wait_read", 90, [](Run& run) {
  constexpr size_t kCount = kTiles * kRows * kColumns;
  uint16_t* out = run.output<uint16_t>(kCount);
  const uint64_t sizes[2] = {kColumns, kTiles * kRows}, strides[1] = {kColumns * 2};
  const uint32_t box[2] = {kColumns, kRows / 2};
  const CUtensorMap map = encode_tensor_map(DType::bf16, 2, out, sizes, strides, box, Swizzle::none);
  launch<store_groups>(run.context(), {dim3(1), kThreads, sizeof(TwoTilesPlan)}, map);
  run.expect("tiles", out, table(kCount, [](size_t i) {
               return static_cast<uint16_t>(1000 * (i / (kRows * kColumns)) + i % (kRows * kColumns));
             }));
});

}  // namespace
}  // namespace warploop::atoms
