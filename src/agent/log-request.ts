import type { LogQuery } from "./container-log.ts";

/** What a request to the agent's server asks for. */
export type LogRequest =
  | {
      readonly kind: "logs";
      readonly namespace: string;
      readonly pod: string;
      readonly container: string;
      readonly previous: boolean;
      readonly query: LogQuery;
    }
  | { readonly kind: "invalid"; readonly message: string }
  | { readonly kind: "other" };

/**
 * Reads `/containerLogs/{namespace}/{pod}/{container}` with the parameters of PodLogOptions, as the API server
 * sends them on: follow, previous, timestamps, tailLines, sinceSeconds, sinceTime, limitBytes.
 */
export function parseLogRequest(url: URL, nowMs: number): LogRequest {
  const match = /^\/containerLogs\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(url.pathname);
  const [namespace, pod, container] = (match ?? []).slice(1).map(decoded);
  if (namespace === undefined || pod === undefined || container === undefined)
    return { kind: "other" };
  const { searchParams } = url;
  const numbers: Record<string, number | undefined> = {};
  for (const name of ["tailLines", "sinceSeconds", "limitBytes"]) {
    const text = searchParams.get(name);
    if (text === null || text === "") continue;
    const minimum = name === "tailLines" ? 0 : 1;
    if (!/^\d{1,15}$/.test(text) || Number(text) < minimum)
      return {
        kind: "invalid",
        message: `${name}: ${JSON.stringify(text)} must be a whole number of at least ${String(minimum)}`,
      };
    numbers[name] = Number(text);
  }
  const sinceTime = searchParams.get("sinceTime");
  const sinceTimeMs = sinceTime === null || sinceTime === "" ? undefined : Date.parse(sinceTime);
  if (Number.isNaN(sinceTimeMs))
    return {
      kind: "invalid",
      message: `sinceTime: ${JSON.stringify(sinceTime)} is no RFC 3339 time`,
    };
  const { tailLines, sinceSeconds, limitBytes } = numbers;
  return {
    kind: "logs",
    namespace,
    pod,
    container,
    previous: isSet(searchParams.get("previous")),
    query: {
      follow: isSet(searchParams.get("follow")),
      timestamps: isSet(searchParams.get("timestamps")),
      tailLines,
      sinceMs: sinceSeconds === undefined ? sinceTimeMs : nowMs - sinceSeconds * 1000,
      limitBytes,
    },
  };
}

function isSet(value: string | null): boolean {
  return value === "true" || value === "1";
}

/** The name that a path segment spells; no name, when it spells none. */
function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
