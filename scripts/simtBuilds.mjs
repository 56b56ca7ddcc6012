// The three test builds that run the CUDA sources on an emulated GPU (docs/simt.md), each in a folder of its own: as they
// are, with the race checker, and with AddressSanitizer and UBSan.

/** @satisfies {Record<string, { folder: string, options: Record<string, string> }>} options: of CMakeLists.txt */
export const simtBuilds = {
  plain: { folder: "build-simt", options: { WARPLOOP_SIMT: "ON" } },
  race: { folder: "build-simt-race", options: { WARPLOOP_SIMT: "ON", WARPLOOP_SIMT_RACE: "ON" } },
  asan: {
    folder: "build-simt-asan",
    options: { WARPLOOP_SIMT: "ON", WARPLOOP_SANITIZE: "address,undefined" },
  },
};
