/** Failures as a client sees them: a status and OpenAI's error body. */

export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    /** The field of the request that it is about. */
    readonly param: string | null;
    readonly code: string | null;
  };
}

interface Details {
  readonly param?: string | undefined;
  readonly code?: string | undefined;
  /** Seconds after which another try makes sense. */
  readonly retryAfterS?: number | undefined;
  readonly cause?: unknown;
}

/** The status of a request whose client has gone; nobody reads it but the log. */
export const clientGone = 499;

const types: Readonly<Record<number, string>> = {
  401: "authentication_error",
  429: "rate_limit_error",
  504: "timeout_error",
};

export class HttpError extends Error {
  readonly param: string | undefined;
  readonly code: string | undefined;
  readonly retryAfterS: number | undefined;

  constructor(
    readonly status: number,
    message: string,
    { param, code, retryAfterS, cause }: Details = {},
  ) {
    super(message, { cause });
    this.name = "HttpError";
    this.param = param;
    this.code = code;
    this.retryAfterS = retryAfterS;
  }

  get body(): ErrorBody {
    const type = types[this.status] ?? (this.status < 500 ? "invalid_request_error" : "server_error");
    return { error: { message: this.message, type, param: this.param ?? null, code: this.code ?? null } };
  }

  /**
   * @param requestId that the log has, too
   * @param body as the route's API has it
   */
  response(requestId: string, body: object = this.body): Response {
    return Response.json(body, {
      status: this.status,
      headers: {
        "x-request-id": requestId,
        ...(this.retryAfterS !== undefined && { "retry-after": String(this.retryAfterS) }),
        ...(this.status === 401 && { "www-authenticate": "Bearer" }),
      },
    });
  }
}

/** A field of the request is wrong. */
export function badField(param: string, message: string, code?: string): HttpError {
  return new HttpError(400, `${param}: ${message}`, { param, code });
}

/** The server or a model ends, or has ended. */
export function unavailable(message: string, cause?: unknown): HttpError {
  return new HttpError(503, message, { code: "unavailable", retryAfterS: 5, cause });
}
