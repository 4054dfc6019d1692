import assert from "node:assert/strict";
import { STATUS_REASONS } from "../../src/api/machinery/status.ts";
import type { FuzzRequest } from "./requests.ts";

/** What each code may be called; a code that is not here is never a right answer to bad input. */
const REASONS: Readonly<Record<number, readonly string[]>> = {
  400: ["BadRequest"],
  401: ["Unauthorized"],
  403: ["Forbidden"],
  404: ["NotFound"],
  405: ["MethodNotAllowed"],
  406: ["NotAcceptable"],
  409: ["Conflict", "AlreadyExists"],
  410: ["Expired", "Gone"],
  413: ["RequestEntityTooLarge"],
  415: ["UnsupportedMediaType"],
  422: ["Invalid"],
  429: ["TooManyRequests"],
  // Server has not seen the version that the caller asks for, or cannot reach the Pod's node.
  503: ["ServiceUnavailable"],
  504: ["Timeout"],
};

/** Upstream's words for an apply with fields that the kind lacks; its code is 500, and clients know it. */
const UNTYPED_APPLY = '"message":"failed to create typed patch object (';

/** Likewise for headers that claim something of nobody. */
const NOBODY_IMPERSONATED = "without impersonating a user";

/** A failure must be a Status that says the same thing in its code, its reason and its words. */
export function checkAnswer(code: number, type: string, text: string): void {
  assert.ok(code >= 200, `a code from 200 on: ${String(code)}`);
  if (code < 400) return;
  if (code === 500 && text.includes(UNTYPED_APPLY)) return;
  if (code === 500 && text.includes(NOBODY_IMPERSONATED)) return;
  const reasons = REASONS[code];
  assert.ok(reasons, `${String(code)} is no right answer: ${text}`);
  assert.match(type, /^application\/json/);
  const status: unknown = JSON.parse(text);
  assert.ok(typeof status === "object" && status !== null);
  const {
    kind,
    apiVersion,
    metadata,
    status: outcome,
    message,
    reason,
    code: stated,
  } = {
    // Read field by field: what is not there is undefined and fails below.
    ...(status as Readonly<Record<string, unknown>>),
  } as Readonly<Record<string, unknown>>;
  assert.deepEqual(
    { kind, apiVersion, metadata, outcome, stated },
    { kind: "Status", apiVersion: "v1", metadata: {}, outcome: "Failure", stated: code },
  );
  assert.ok(typeof message === "string" && message !== "", "a message");
  assert.ok(typeof reason === "string" && reasons.includes(reason), `reason ${String(reason)}`);
  assert.ok(STATUS_REASONS.some((one) => one === reason));
}

/** The request in a form that can be sent again by hand. */
export function describeRequest({ method, url, headers, body }: FuzzRequest): string {
  const shown = Buffer.from(body ?? []).subarray(0, 2000);
  return `${method} ${url.slice(0, 500)} ${JSON.stringify(headers).slice(0, 500)} ${JSON.stringify(shown.toString("latin1"))}`;
}
