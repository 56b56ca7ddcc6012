/**
 * Every environment variable of warploop. They exist for diagnostics: none changes what is computed, beyond the last
 * bits where another kernel runs. (The variables of Hugging Face, such as HF_HOME, are read where the hub is spoken to.)
 *
 * Some are read by the addon itself, because they act before any JavaScript object exists:
 * - WARPLOOP_ISA (native/cpu/isa.cc) forces a narrower instruction set than the processor has, for example x86_64_v3
 * - WARPLOOP_KERNEL (native/cuda/kernel_choice.h) names the kernels that GPU ops shall take: "linear:h128x256,pagedAttention:any",
 *   "*:portable" (none that need a Hopper GPU), "*:hopper" (those wherever they can run)
 * - WARPLOOP_PDL (native/cuda/cuda_executor.cc): 0 lets no kernel start before the one before it has ended; the same bits
 * - WARPLOOP_SIMT_* (native/simt): how the emulated GPU of the tests behaves
 */

/** WARPLOOP_BINARY: path of the addon to load instead of the one that was built, for example a sanitizer build. */
export function binaryOverride(): string | undefined {
  return process.env["WARPLOOP_BINARY"] || undefined;
}
