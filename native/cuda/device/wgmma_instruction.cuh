// The instructions behind wgmma.cuh: m64nNk16 for every N from 8 to 256, told apart by the number of
// accumulators.
//
// In an asm text the accumulators are places 0 to N / 2 - 1 and the operands follow, so every N has other
// numbers. The lists of places and of accumulators grow by four from one N to the next.
#pragma once
#include "cuda/device/dtype.cuh"

namespace warploop::cuda {

#define WARPLOOP_PLACES_4 "%0, %1, %2, %3"
#define WARPLOOP_PLACES_8 WARPLOOP_PLACES_4 ", %4, %5, %6, %7"
#define WARPLOOP_PLACES_12 WARPLOOP_PLACES_8 ", %8, %9, %10, %11"
#define WARPLOOP_PLACES_16 WARPLOOP_PLACES_12 ", %12, %13, %14, %15"
#define WARPLOOP_PLACES_20 WARPLOOP_PLACES_16 ", %16, %17, %18, %19"
#define WARPLOOP_PLACES_24 WARPLOOP_PLACES_20 ", %20, %21, %22, %23"
#define WARPLOOP_PLACES_28 WARPLOOP_PLACES_24 ", %24, %25, %26, %27"
#define WARPLOOP_PLACES_32 WARPLOOP_PLACES_28 ", %28, %29, %30, %31"
#define WARPLOOP_PLACES_36 WARPLOOP_PLACES_32 ", %32, %33, %34, %35"
#define WARPLOOP_PLACES_40 WARPLOOP_PLACES_36 ", %36, %37, %38, %39"
#define WARPLOOP_PLACES_44 WARPLOOP_PLACES_40 ", %40, %41, %42, %43"
#define WARPLOOP_PLACES_48 WARPLOOP_PLACES_44 ", %44, %45, %46, %47"
#define WARPLOOP_PLACES_52 WARPLOOP_PLACES_48 ", %48, %49, %50, %51"
#define WARPLOOP_PLACES_56 WARPLOOP_PLACES_52 ", %52, %53, %54, %55"
#define WARPLOOP_PLACES_60 WARPLOOP_PLACES_56 ", %56, %57, %58, %59"
#define WARPLOOP_PLACES_64 WARPLOOP_PLACES_60 ", %60, %61, %62, %63"
#define WARPLOOP_PLACES_68 WARPLOOP_PLACES_64 ", %64, %65, %66, %67"
#define WARPLOOP_PLACES_72 WARPLOOP_PLACES_68 ", %68, %69, %70, %71"
#define WARPLOOP_PLACES_76 WARPLOOP_PLACES_72 ", %72, %73, %74, %75"
#define WARPLOOP_PLACES_80 WARPLOOP_PLACES_76 ", %76, %77, %78, %79"
#define WARPLOOP_PLACES_84 WARPLOOP_PLACES_80 ", %80, %81, %82, %83"
#define WARPLOOP_PLACES_88 WARPLOOP_PLACES_84 ", %84, %85, %86, %87"
#define WARPLOOP_PLACES_92 WARPLOOP_PLACES_88 ", %88, %89, %90, %91"
#define WARPLOOP_PLACES_96 WARPLOOP_PLACES_92 ", %92, %93, %94, %95"
#define WARPLOOP_PLACES_100 WARPLOOP_PLACES_96 ", %96, %97, %98, %99"
#define WARPLOOP_PLACES_104 WARPLOOP_PLACES_100 ", %100, %101, %102, %103"
#define WARPLOOP_PLACES_108 WARPLOOP_PLACES_104 ", %104, %105, %106, %107"
#define WARPLOOP_PLACES_112 WARPLOOP_PLACES_108 ", %108, %109, %110, %111"
#define WARPLOOP_PLACES_116 WARPLOOP_PLACES_112 ", %112, %113, %114, %115"
#define WARPLOOP_PLACES_120 WARPLOOP_PLACES_116 ", %116, %117, %118, %119"
#define WARPLOOP_PLACES_124 WARPLOOP_PLACES_120 ", %120, %121, %122, %123"
#define WARPLOOP_PLACES_128 WARPLOOP_PLACES_124 ", %124, %125, %126, %127"

#define WARPLOOP_SUMS_OF(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define WARPLOOP_SUMS_4 WARPLOOP_SUMS_OF(0)
#define WARPLOOP_SUMS_8 WARPLOOP_SUMS_4, WARPLOOP_SUMS_OF(4)
#define WARPLOOP_SUMS_12 WARPLOOP_SUMS_8, WARPLOOP_SUMS_OF(8)
#define WARPLOOP_SUMS_16 WARPLOOP_SUMS_12, WARPLOOP_SUMS_OF(12)
#define WARPLOOP_SUMS_20 WARPLOOP_SUMS_16, WARPLOOP_SUMS_OF(16)
#define WARPLOOP_SUMS_24 WARPLOOP_SUMS_20, WARPLOOP_SUMS_OF(20)
#define WARPLOOP_SUMS_28 WARPLOOP_SUMS_24, WARPLOOP_SUMS_OF(24)
#define WARPLOOP_SUMS_32 WARPLOOP_SUMS_28, WARPLOOP_SUMS_OF(28)
#define WARPLOOP_SUMS_36 WARPLOOP_SUMS_32, WARPLOOP_SUMS_OF(32)
#define WARPLOOP_SUMS_40 WARPLOOP_SUMS_36, WARPLOOP_SUMS_OF(36)
#define WARPLOOP_SUMS_44 WARPLOOP_SUMS_40, WARPLOOP_SUMS_OF(40)
#define WARPLOOP_SUMS_48 WARPLOOP_SUMS_44, WARPLOOP_SUMS_OF(44)
#define WARPLOOP_SUMS_52 WARPLOOP_SUMS_48, WARPLOOP_SUMS_OF(48)
#define WARPLOOP_SUMS_56 WARPLOOP_SUMS_52, WARPLOOP_SUMS_OF(52)
#define WARPLOOP_SUMS_60 WARPLOOP_SUMS_56, WARPLOOP_SUMS_OF(56)
#define WARPLOOP_SUMS_64 WARPLOOP_SUMS_60, WARPLOOP_SUMS_OF(60)
#define WARPLOOP_SUMS_68 WARPLOOP_SUMS_64, WARPLOOP_SUMS_OF(64)
#define WARPLOOP_SUMS_72 WARPLOOP_SUMS_68, WARPLOOP_SUMS_OF(68)
#define WARPLOOP_SUMS_76 WARPLOOP_SUMS_72, WARPLOOP_SUMS_OF(72)
#define WARPLOOP_SUMS_80 WARPLOOP_SUMS_76, WARPLOOP_SUMS_OF(76)
#define WARPLOOP_SUMS_84 WARPLOOP_SUMS_80, WARPLOOP_SUMS_OF(80)
#define WARPLOOP_SUMS_88 WARPLOOP_SUMS_84, WARPLOOP_SUMS_OF(84)
#define WARPLOOP_SUMS_92 WARPLOOP_SUMS_88, WARPLOOP_SUMS_OF(88)
#define WARPLOOP_SUMS_96 WARPLOOP_SUMS_92, WARPLOOP_SUMS_OF(92)
#define WARPLOOP_SUMS_100 WARPLOOP_SUMS_96, WARPLOOP_SUMS_OF(96)
#define WARPLOOP_SUMS_104 WARPLOOP_SUMS_100, WARPLOOP_SUMS_OF(100)
#define WARPLOOP_SUMS_108 WARPLOOP_SUMS_104, WARPLOOP_SUMS_OF(104)
#define WARPLOOP_SUMS_112 WARPLOOP_SUMS_108, WARPLOOP_SUMS_OF(108)
#define WARPLOOP_SUMS_116 WARPLOOP_SUMS_112, WARPLOOP_SUMS_OF(112)
#define WARPLOOP_SUMS_120 WARPLOOP_SUMS_116, WARPLOOP_SUMS_OF(116)
#define WARPLOOP_SUMS_124 WARPLOOP_SUMS_120, WARPLOOP_SUMS_OF(120)
#define WARPLOOP_SUMS_128 WARPLOOP_SUMS_124, WARPLOOP_SUMS_OF(124)

// p0 to p6: the places after the accumulators, N / 2 to N / 2 + 6, as text.
#define WARPLOOP_WGMMA_SHARED(type, n, sums, places, p0, p1, p2, p3, p4)                               \
  asm volatile(                                                                                        \
      "{\n"                                                                                            \
      ".reg .pred accumulate;\n"                                                                       \
      "setp.ne.b32 accumulate, %" #p2                                                                  \
      ", 0;\n"                                                                                         \
      "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." type "." type " {" places "}, %" #p0 ", %" #p1 \
      ", accumulate, 1, 1, %" #p3 ", %" #p4                                                            \
      ";\n"                                                                                            \
      "}"                                                                                              \
      : sums                                                                                           \
      : "l"(a), "l"(b), "r"(accumulate), "n"(kTransA), "n"(kTransB))
#define WARPLOOP_WGMMA_REGISTERS(type, n, sums, places, p0, p1, p2, p3, p4, p5, p6)                     \
  asm volatile(                                                                                         \
      "{\n"                                                                                             \
      ".reg .pred accumulate;\n"                                                                        \
      "setp.ne.b32 accumulate, %" #p5                                                                   \
      ", 0;\n"                                                                                          \
      "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." type "." type " {" places "}, {%" #p0 ", %" #p1 \
      ", %" #p2 ", %" #p3 "}, %" #p4 ", accumulate, 1, 1, %" #p6                                        \
      ";\n"                                                                                             \
      "}"                                                                                               \
      : sums                                                                                            \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate), "n"(kTransB))
#define WARPLOOP_WGMMA(n, p0, p1, p2, p3, p4, p5, p6)                                                        \
  template <class T, int kTransA, int kTransB>                                                               \
  WARPLOOP_DEVICE void wgmma_instruction(float(&d)[p0], uint64_t a, uint64_t b, int accumulate) {            \
    if constexpr (std::is_same_v<T, bf16>) {                                                                 \
      WARPLOOP_WGMMA_SHARED("bf16", n, WARPLOOP_SUMS_##p0, WARPLOOP_PLACES_##p0, p0, p1, p2, p3, p4);        \
    } else {                                                                                                 \
      WARPLOOP_WGMMA_SHARED("f16", n, WARPLOOP_SUMS_##p0, WARPLOOP_PLACES_##p0, p0, p1, p2, p3, p4);         \
    }                                                                                                        \
  }                                                                                                          \
  template <class T, int kTransB>                                                                            \
  WARPLOOP_DEVICE void wgmma_instruction(float(&d)[p0], const uint32_t(&a)[4], uint64_t b, int accumulate) { \
    if constexpr (std::is_same_v<T, bf16>) {                                                                 \
      WARPLOOP_WGMMA_REGISTERS("bf16", n, WARPLOOP_SUMS_##p0, WARPLOOP_PLACES_##p0, p0, p1, p2, p3, p4, p5,  \
                               p6);                                                                          \
    } else {                                                                                                 \
      WARPLOOP_WGMMA_REGISTERS("f16", n, WARPLOOP_SUMS_##p0, WARPLOOP_PLACES_##p0, p0, p1, p2, p3, p4, p5,   \
                               p6);                                                                          \
    }                                                                                                        \
  }

WARPLOOP_WGMMA(8, 4, 5, 6, 7, 8, 9, 10)
WARPLOOP_WGMMA(16, 8, 9, 10, 11, 12, 13, 14)
WARPLOOP_WGMMA(24, 12, 13, 14, 15, 16, 17, 18)
WARPLOOP_WGMMA(32, 16, 17, 18, 19, 20, 21, 22)
WARPLOOP_WGMMA(40, 20, 21, 22, 23, 24, 25, 26)
WARPLOOP_WGMMA(48, 24, 25, 26, 27, 28, 29, 30)
WARPLOOP_WGMMA(56, 28, 29, 30, 31, 32, 33, 34)
WARPLOOP_WGMMA(64, 32, 33, 34, 35, 36, 37, 38)
WARPLOOP_WGMMA(72, 36, 37, 38, 39, 40, 41, 42)
WARPLOOP_WGMMA(80, 40, 41, 42, 43, 44, 45, 46)
WARPLOOP_WGMMA(88, 44, 45, 46, 47, 48, 49, 50)
WARPLOOP_WGMMA(96, 48, 49, 50, 51, 52, 53, 54)
WARPLOOP_WGMMA(104, 52, 53, 54, 55, 56, 57, 58)
WARPLOOP_WGMMA(112, 56, 57, 58, 59, 60, 61, 62)
WARPLOOP_WGMMA(120, 60, 61, 62, 63, 64, 65, 66)
WARPLOOP_WGMMA(128, 64, 65, 66, 67, 68, 69, 70)
WARPLOOP_WGMMA(136, 68, 69, 70, 71, 72, 73, 74)
WARPLOOP_WGMMA(144, 72, 73, 74, 75, 76, 77, 78)
WARPLOOP_WGMMA(152, 76, 77, 78, 79, 80, 81, 82)
WARPLOOP_WGMMA(160, 80, 81, 82, 83, 84, 85, 86)
WARPLOOP_WGMMA(168, 84, 85, 86, 87, 88, 89, 90)
WARPLOOP_WGMMA(176, 88, 89, 90, 91, 92, 93, 94)
WARPLOOP_WGMMA(184, 92, 93, 94, 95, 96, 97, 98)
WARPLOOP_WGMMA(192, 96, 97, 98, 99, 100, 101, 102)
WARPLOOP_WGMMA(200, 100, 101, 102, 103, 104, 105, 106)
WARPLOOP_WGMMA(208, 104, 105, 106, 107, 108, 109, 110)
WARPLOOP_WGMMA(216, 108, 109, 110, 111, 112, 113, 114)
WARPLOOP_WGMMA(224, 112, 113, 114, 115, 116, 117, 118)
WARPLOOP_WGMMA(232, 116, 117, 118, 119, 120, 121, 122)
WARPLOOP_WGMMA(240, 120, 121, 122, 123, 124, 125, 126)
WARPLOOP_WGMMA(248, 124, 125, 126, 127, 128, 129, 130)
WARPLOOP_WGMMA(256, 128, 129, 130, 131, 132, 133, 134)

}  // namespace warploop::cuda
