// Which tile shape linear.cu uses, by buckets of K, T and N. Written by bench/tuneLinear.ts.
// Not measured: the rule of that script.
#pragma once
#include <cstdint>

namespace warploop::cuda {

/// Rows x columns of a tile. s: streams the weights (cuda/gemm/streaming.cuh); t: cuda/gemm/tiles.cuh.
enum class LinearShape { s8x16, s8x32, s8x64, s16x64, t32x128, t64x64, t64x128, t128x128 };
// clang-format off

// Upper ends of the buckets; the last bucket takes what is larger.
inline constexpr int64_t kInputBounds[] = {1024, 4096};
inline constexpr int64_t kRowBounds[] = {2, 4, 8, 16, 32, 64, 128, 256, 512};
inline constexpr int64_t kOutputBounds[] = {1024, 2048, 4096, 8192, 16384};

namespace linear_tiles {
using enum LinearShape;
inline constexpr LinearShape kChosen[3][10][6] = {  // N: <= 1024, <= 2048, <= 4096, <= 8192, <= 16384, more
    {   // K <= 1024
        {   s8x16,    s8x16,    s8x16,    s8x16,    s8x16,    s8x16},  // T <= 2
        {   s8x16,    s8x16,    s8x32,    s8x32,    s8x64,    s8x64},  // T <= 4
        {   s8x16,    s8x16,    s8x32,    s8x32,    s8x64,    s8x64},  // T <= 8
        {  s16x64,   s16x64,   s16x64,   s16x64,   s16x64,   s16x64},  // T <= 16
        { t32x128,  t32x128,  t32x128,  t32x128,  t32x128,  t32x128},  // T <= 32
        {  t64x64,   t64x64,  t64x128,  t64x128,  t64x128,  t64x128},  // T <= 64
        { t64x128,  t64x128,  t64x128,  t64x128, t128x128, t128x128},  // T <= 128
        { t64x128,  t64x128,  t64x128,  t64x128, t128x128, t128x128},  // T <= 256
        { t64x128, t128x128, t128x128, t128x128, t128x128, t128x128},  // T <= 512
        { t64x128, t128x128, t128x128, t128x128, t128x128, t128x128},  // T > 512
    },
    {   // K <= 4096
        {   s8x16,    s8x16,    s8x16,    s8x16,    s8x16,    s8x16},  // T <= 2
        {   s8x16,    s8x16,    s8x32,    s8x32,    s8x64,    s8x64},  // T <= 4
        {   s8x16,    s8x16,    s8x32,    s8x32,    s8x64,    s8x64},  // T <= 8
        {  s16x64,   s16x64,   s16x64,   s16x64,   s16x64,   s16x64},  // T <= 16
        { t32x128,  t32x128,  t32x128,  t32x128,  t32x128,  t32x128},  // T <= 32
        {  t64x64,   t64x64,  t64x128,  t64x128,  t64x128,  t64x128},  // T <= 64
        { t64x128,  t64x128,  t64x128,  t64x128, t128x128, t128x128},  // T <= 128
        { t64x128,  t64x128,  t64x128,  t64x128, t128x128, t128x128},  // T <= 256
        { t64x128, t128x128, t128x128, t128x128, t128x128, t128x128},  // T <= 512
        { t64x128, t128x128, t128x128, t128x128, t128x128, t128x128},  // T > 512
    },
    {   // K > 4096
        {   s8x16,    s8x16,    s8x16,    s8x16,    s8x16,    s8x16},  // T <= 2
        {   s8x16,    s8x16,    s8x32,    s8x32,    s8x64,    s8x64},  // T <= 4
        {   s8x16,    s8x16,    s8x32,    s8x32,    s8x64,    s8x64},  // T <= 8
        {  s16x64,   s16x64,   s16x64,   s16x64,   s16x64,   s16x64},  // T <= 16
        { t32x128,  t32x128,  t32x128,  t32x128,  t32x128,  t32x128},  // T <= 32
        {  t64x64,   t64x64,  t64x128,  t64x128,  t64x128,  t64x128},  // T <= 64
        { t64x128,  t64x128,  t64x128,  t64x128, t128x128, t128x128},  // T <= 128
        { t64x128,  t64x128,  t64x128,  t64x128, t128x128, t128x128},  // T <= 256
        { t64x128, t128x128, t128x128, t128x128, t128x128, t128x128},  // T <= 512
        { t64x128, t128x128, t128x128, t128x128, t128x128, t128x128},  // T > 512
    },
};
// clang-format on
}  // namespace linear_tiles

}  // namespace warploop::cuda
