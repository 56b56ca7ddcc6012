/**
 * Every environment variable of warploop. They exist for diagnostics: none changes what is computed.
 * (The variables of Hugging Face, such as HF_HOME, are read where the hub is spoken to.)
 *
 * One is read by the addon itself (native/cpu/isa.cc), because it acts before any JavaScript object exists:
 * WARPLOOP_ISA forces a narrower instruction set than the processor has, for example x86_64_v3.
 */

/** WARPLOOP_BINARY: path of the addon to load instead of the one that was built, for example a sanitizer build. */
export function binaryOverride(): string | undefined {
  return process.env["WARPLOOP_BINARY"] || undefined;
}
