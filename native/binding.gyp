# The same addon as CMakeLists.txt, for machines without CMake: build-gyp/Release/warploop.node. Sources, flags and
# instruction sets come from native/sources.json and native/ops/list.h through scripts/build/nativeSources.mjs. Built by
# scripts/build/build.mjs, which passes this folder as node-gyp's header folder (common.gypi), so nothing is downloaded. It
# stands beside the sources because make's object paths must not contain "..": the targets would share their files.
{
  "variables": {"ask": "node ../scripts/build/nativeSources.mjs"},
  "target_defaults": {
    "include_dirs": ["."],
    "cflags_cc": ["<!@(<(ask) flags)"],
  },
  "targets": [
    {
      "target_name": "warploop",
      "product_dir": "../../build-gyp/Release",
      "sources": ["<!@(<(ask) common)"],
      "include_dirs": ["<!@(<(ask) headers)"],
      "defines": ["<!@(<(ask) defines)", "WARPLOOP_CPU"],
      "ldflags": ["-Wl,--exclude-libs,ALL", "-s", "-pthread"],
      "conditions": [
        ["target_arch=='x64'", {"dependencies": ["cpu_x86_64_v3", "cpu_avx512"]}],
        ["target_arch=='arm64'", {"dependencies": ["cpu_neon"]}],
      ],
    },
  ],
  "conditions": [
    [
      "target_arch=='x64'",
      {
        "targets": [
          {
            "target_name": "cpu_x86_64_v3",
            "type": "static_library",
            "sources": ["<!@(<(ask) isa)"],
            "defines": ["WARPLOOP_ISA=x86_64_v3"],
            "cflags_cc": ["<!@(<(ask) flags:x86_64_v3)"],
          },
          {
            "target_name": "cpu_avx512",
            "type": "static_library",
            "sources": ["<!@(<(ask) isa)"],
            "defines": ["WARPLOOP_ISA=avx512"],
            "cflags_cc": ["<!@(<(ask) flags:avx512)"],
          },
        ],
      },
    ],
    [
      "target_arch=='arm64'",
      {
        "targets": [
          {
            "target_name": "cpu_neon",
            "type": "static_library",
            "sources": ["<!@(<(ask) isa)"],
            "defines": ["WARPLOOP_ISA=neon"],
            "cflags_cc": ["<!@(<(ask) flags:neon)"],
          },
        ],
      },
    ],
  ],
}
