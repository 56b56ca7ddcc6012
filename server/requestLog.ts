/** A line of JSON for each request when it has ended, which for a stream is its last event. What was asked is in it only on request. */
import type { Context } from "hono";
import type { CallEnd, CallObserver } from "./calls.js";
import type { HttpError } from "./errors.js";
import type { ResolvedApp } from "./options.js";
import type { AppEnv } from "./routes/answer.js";

const round = (ms: number): number => Math.round(ms * 10) / 10;

export class RequestLog implements CallObserver {
  readonly #logger: Exclude<ResolvedApp["logger"], false>;
  readonly #logsPrompts: boolean;
  /** By call: what was asked. */
  readonly #prompts = new WeakMap<object, unknown>();

  constructor({ logger, logPrompts }: Pick<ResolvedApp, "logger" | "logPrompts">) {
    this.#logger = logger === false ? undefined : logger;
    this.#logsPrompts = logPrompts;
  }

  /** What a call asks. */
  prompt(call: object, prompt: unknown): void {
    if (this.#logsPrompts) this.#prompts.set(call, prompt);
  }

  /** A model's answer has ended. */
  onEnd({ call, ms, error }: CallEnd): void {
    const { requestId, model, variant, usage, finishReasons } = call;
    const prompt = this.#prompts.get(call);
    const line = { requestId, model, variant, ms: round(ms), ...usage, finishReasons };
    const failure = error && { status: error.status, code: error.code };
    this.#logger?.info({ ...line, ...failure, ...(prompt !== undefined && { prompt }) }, "call ended");
  }

  /** What an operator should know. */
  note(what: string): void {
    this.#logger?.info(what);
  }

  /** The head of a response is known. */
  response(c: Context<AppEnv>, ms: number): void {
    const { method, path } = c.req;
    const line = { requestId: c.get("requestId"), method, path: path.slice(0, 200), status: c.res.status };
    this.#logger?.info({ ...line, ms: round(ms) }, "response");
  }

  /** With its cause and stack, if it is not the client's. */
  failure(requestId: string, error: HttpError): void {
    if (error.status >= 500) this.#logger?.error({ requestId, err: error.cause ?? error }, "request failed");
  }
}
