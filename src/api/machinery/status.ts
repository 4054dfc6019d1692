/** The answer to a request that failed, and to some that did not (metav1.Status). */
export interface Status {
  readonly kind: "Status";
  readonly apiVersion: "v1";
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string };
  readonly status: "Success" | "Failure";
  readonly message?: string;
  readonly reason?: StatusReason;
  readonly details?: StatusDetails;
  readonly code: number;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  /** The resource, such as "services"; for reason Invalid the Kind. */
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

export const STATUS_REASONS = [
  "BadRequest",
  "Unauthorized",
  "Forbidden",
  "NotFound",
  "MethodNotAllowed",
  "NotAcceptable",
  "AlreadyExists",
  "Conflict",
  "Gone",
  "Expired",
  "RequestEntityTooLarge",
  "UnsupportedMediaType",
  "Invalid",
  "TooManyRequests",
  "InternalError",
  "ServiceUnavailable",
  "Timeout",
] as const;
export type StatusReason = (typeof STATUS_REASONS)[number];

/** A request failed for a reason that the API knows; both the server and the client throw it. */
export class StatusError extends Error {
  readonly code: number;
  readonly reason: StatusReason;
  readonly status: Status;

  constructor(status: Status, options?: ErrorOptions) {
    super(status.message ?? status.reason ?? "request failed", options);
    this.name = "StatusError";
    this.status = status;
    this.code = status.code;
    this.reason = status.reason ?? "InternalError";
  }
}

/** A failure to throw. `code` is the HTTP status. */
export function failure(
  code: number,
  reason: StatusReason,
  message: string,
  details?: StatusDetails,
): StatusError {
  return new StatusError({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason,
    ...(details === undefined ? {} : { details }),
    code,
  });
}

/** Whether `error` is an API failure with one of these reasons. */
export function hasReason(error: unknown, ...reasons: readonly StatusReason[]): boolean {
  return error instanceof StatusError && reasons.includes(error.reason);
}
