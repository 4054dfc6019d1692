import { StatusError, failure } from "../api/machinery/status.ts";
import type { Status, StatusReason } from "../api/machinery/status.ts";
import type { TransportResponse } from "./transport.ts";

/** Largest answer that is not a watch. A page of 500 objects of 1.5 MiB, etcd's limit, would be 750 MiB. */
const MAX_BODY_BYTES = 256 * 2 ** 20;
/** Longest line of a watch: etcd holds objects up to 1.5 MiB. */
const MAX_LINE_CHARS = 16 * 2 ** 20;
/** How much of an answer that is not the API's is quoted. */
const MAX_QUOTE_CHARS = 512;

/** The answer's body as text. @throws Error when it is larger than 256 MiB. */
export async function readText(response: TransportResponse): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BODY_BYTES) {
      throw new Error(`the answer is larger than ${String(MAX_BODY_BYTES)} bytes`);
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Lines as they come, whole even when a chunk ends within a line or a character; empty ones left out. */
export async function* readLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let end = rest.indexOf("\n"); end !== -1; end = rest.indexOf("\n", start)) {
      const line = rest.slice(start, end).trimEnd();
      start = end + 1;
      if (line !== "") yield line;
    }
    rest = rest.slice(start);
    if (rest.length > MAX_LINE_CHARS) {
      throw new Error(`a line of the answer is longer than ${String(MAX_LINE_CHARS)} characters`);
    }
  }
  // A server that dies cuts its last line: what has no line end is not an event.
}

/** JSON of the API. @throws Error that quotes what came instead. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`the API server's answer is not JSON: ${quote(text)}`, { cause: error });
  }
}

export function isStatus(value: unknown): value is Status {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "Status";
}

/**
 * The error of an answer whose code says failure: its Status if it has one, else one made from the code, as
 * proxies and web servers in between answer with text or HTML.
 */
export function errorOf(response: TransportResponse, text: string): StatusError {
  const retryAfter = Number(response.headers["retry-after"]);
  const details = retryAfter > 0 ? { retryAfterSeconds: retryAfter } : undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Not the API's own answer; quoted below.
  }
  if (isStatus(parsed)) {
    return new StatusError({
      ...parsed,
      code: parsed.code ?? response.status,
      reason: parsed.reason ?? reasonOfCode(response.status),
      ...(details === undefined ? {} : { details: { ...details, ...parsed.details } }),
    });
  }
  const said = text.trim() === "" ? "without a word" : `with ${quote(text)}`;
  const message = `the server answered ${String(response.status)} ${said}`;
  return failure(response.status, reasonOfCode(response.status), message, details);
}

function quote(text: string): string {
  const short = text.trim().slice(0, MAX_QUOTE_CHARS);
  return JSON.stringify(short.length < text.trim().length ? `${short}...` : short);
}

/** As client-go reads codes without a Status (`apimachinery/pkg/api/errors`, NewGenericServerResponse). */
function reasonOfCode(code: number): StatusReason {
  return REASONS[code] ?? (code >= 500 ? "InternalError" : "BadRequest");
}

const REASONS: Readonly<Record<number, StatusReason>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  406: "NotAcceptable",
  409: "Conflict",
  410: "Expired",
  413: "RequestEntityTooLarge",
  415: "UnsupportedMediaType",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};
