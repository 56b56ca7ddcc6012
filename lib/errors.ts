/**
 * Every error that warploop throws on purpose. Each has a stable `code`; callers branch on it, never on the message.
 * Bad arguments are `TypeError`/`RangeError` subclasses thrown at once; everything else extends `WarploopError`.
 */

/** A wrong kind of argument: missing, of another type, or an option name that does not exist. */
export class ArgumentTypeError extends TypeError {
  readonly code: string;
  constructor(message: string, code = "ERR_ARGUMENT_TYPE", options?: ErrorOptions) {
    super(message, options);
    this.name = "ArgumentTypeError";
    this.code = code;
  }
}

/** An argument of the right type whose value cannot be used: NaN, negative, out of range, wrong shape. */
export class ArgumentRangeError extends RangeError {
  readonly code: string;
  constructor(message: string, code = "ERR_ARGUMENT_RANGE") {
    super(message);
    this.name = "ArgumentRangeError";
    this.code = code;
  }
}

/** Base of all errors that are not about one argument. */
export class WarploopError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The native addon could not be loaded. `attempts` lists every path that was tried and why it failed. */
export class NativeLoadError extends WarploopError {
  constructor(
    message: string,
    readonly attempts: readonly { readonly path: string; readonly reason: string }[],
  ) {
    super("ERR_NATIVE_LOAD", message);
  }
}

/**
 * A checkpoint that cannot be used. Codes: ERR_CHECKPOINT_MISSING (a file is not there), ERR_CHECKPOINT_FORMAT (a file is
 * malformed), ERR_CHECKPOINT_TENSOR (a tensor is missing, unexpected, or of the wrong dtype or shape),
 * ERR_CHECKPOINT_CONFIG (config.json), ERR_UNSUPPORTED_ARCHITECTURE.
 */
export class CheckpointError extends WarploopError {
  readonly file: string | undefined;
  readonly tensor: string | undefined;
  constructor(
    code: string,
    message: string,
    at: { file?: string | undefined; tensor?: string | undefined } = {},
    options?: ErrorOptions,
  ) {
    super(code, message, options);
    this.file = at.file;
    this.tensor = at.tensor;
  }
}

/** tokenizer.json or the chat template is malformed or cannot do what was asked. Codes: ERR_TOKENIZER, ERR_CHAT_TEMPLATE. */
export class TextError extends WarploopError {
  readonly file: string | undefined;
  constructor(
    code: "ERR_TOKENIZER" | "ERR_CHAT_TEMPLATE",
    message: string,
    file?: string,
    options?: ErrorOptions,
  ) {
    super(code, message, options);
    this.file = file;
  }
}

/**
 * A model could not be fetched. Codes: ERR_HUB_OFFLINE, ERR_HUB_NOT_FOUND, ERR_HUB_UNAUTHORIZED, ERR_HUB_NETWORK, ERR_HUB_CACHE
 * (the disk is full, or the folder of the cache cannot be written).
 */
export class HubError extends WarploopError {}

/** Work on a stream failed; the stream is poisoned and every later wait rejects with this error. Code: ERR_EXECUTION. */
export class ExecutionError extends WarploopError {
  constructor(
    message: string,
    readonly op: string,
  ) {
    super("ERR_EXECUTION", message);
  }
}

/** The object was closed or disposed. Code: ERR_CLOSED. */
export class ClosedError extends WarploopError {
  constructor(what: string, message = `${what} is closed`) {
    super("ERR_CLOSED", message);
  }
}

/** A device cannot be used: no driver, a driver that is too old, no GPU, or one that is too old. Code: ERR_DEVICE. */
export class DeviceError extends WarploopError {
  constructor(message: string) {
    super("ERR_DEVICE", message);
  }
}

/** Device memory does not suffice. Code: ERR_OUT_OF_MEMORY. */
export class OutOfMemoryError extends WarploopError {
  constructor(
    message: string,
    readonly neededBytes: number,
    readonly freeBytes: number,
  ) {
    super("ERR_OUT_OF_MEMORY", message);
  }
}

/**
 * A generation cannot go on, because no token can be sampled. Codes: ERR_NON_FINITE (the model's logits are NaN or +infinity, or
 * all of them -infinity), ERR_ALL_BANNED (the request leaves no token: logitBias of -Infinity, stop ids before minTokens).
 */
export class SamplingError extends WarploopError {
  /**
   * @param position index of the token in the sequence, the prompt counted; for log probabilities of the prompt the index of the
   * prompt's token that has none
   */
  constructor(
    code: "ERR_NON_FINITE" | "ERR_ALL_BANNED",
    message: string,
    readonly requestId: string,
    readonly position: number,
  ) {
    super(code, message);
  }
}

/** A request that could never be scheduled with this pool and context length. Code: ERR_CAPACITY. */
export class CapacityError extends WarploopError {
  constructor(message: string) {
    super("ERR_CAPACITY", message);
  }
}

/** A file of `LLM.saveSession` that cannot be restored: damaged, or of another model. Code: ERR_SESSION. */
export class SessionError extends WarploopError {
  constructor(
    readonly file: string,
    problem: string,
    options?: ErrorOptions,
  ) {
    super("ERR_SESSION", `${file}: ${problem}`, options);
  }
}

/**
 * A text that was to have a form does not have it: it ended early, or a check of the schema that no JSON Schema can say refuses its value
 * (`cause`). Code: ERR_FORMAT.
 */
export class FormatError extends WarploopError {
  /** @param text as far as it came @param finishReason why it ended */
  constructor(
    problem: string,
    readonly text: string,
    readonly finishReason: string,
    options?: ErrorOptions,
  ) {
    super("ERR_FORMAT", `object: ${problem}`, options);
  }
}

/** As many requests are open as may run and wait (`maxWaiting`): try again when some have ended. Code: ERR_QUEUE_FULL. */
export class QueueFullError extends WarploopError {
  /**
   * @param asked continuations of the request
   * @param open continuations that run or wait
   * @param most of them at once: maxSequences + maxWaiting
   */
  constructor(
    readonly asked: number,
    readonly open: number,
    readonly most: number,
  ) {
    const what = asked === 1 ? "a request" : `a request of ${asked} continuations`;
    super(
      "ERR_QUEUE_FULL",
      `${what} is refused: ${open} of ${most} places (maxSequences + maxWaiting) are taken`,
    );
  }
}

/**
 * One prompt of `generateAll` failed. `code` and `cause` are those of the failure.
 */
export class GenerateAllError extends WarploopError {
  /**
   * @param index of the prompt
   * @param requestId names its generation; undefined when the prompt was refused before it had one
   */
  constructor(
    readonly index: number,
    readonly requestId: string | undefined,
    cause: unknown,
  ) {
    const { code, message = String(cause) } = cause as Partial<WarploopError>;
    const request = requestId === undefined || message.includes(requestId) ? "" : ` (${requestId})`;
    // "prompt[3]: ..." goes on as "prompts[1][3]: ...".
    const rest = /^prompt[:[]/.test(message) ? message.slice("prompt".length) : `: ${message}`;
    super(code ?? "ERR_INTERNAL", `prompts[${index}]${rest}${request}`, { cause });
  }
}
