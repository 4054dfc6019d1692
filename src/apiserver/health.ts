import { textResponse } from "./exchange.ts";
import type { ApiResponse } from "./exchange.ts";

/** One thing that must be so for the server to be healthy; `problem` says why it is not. */
export interface HealthCheck {
  readonly name: string;
  readonly problem: () => string | undefined;
}

/** Paths that anybody may ask, without a certificate. */
export const HEALTH_PATHS: readonly string[] = ["/healthz", "/livez", "/readyz"];

/** `ok`, or with `?verbose` or a failure a line a check; 500 when one fails. */
export function answerHealth(
  path: string,
  query: URLSearchParams,
  checks: readonly HealthCheck[],
): ApiResponse {
  const excluded = query.getAll("exclude");
  const results = checks
    .filter(({ name }) => !excluded.includes(name))
    .map(({ name, problem }) => ({ name, problem: problem() }));
  const isFine = results.every(({ problem }) => problem === undefined);
  if (isFine && !query.has("verbose")) return textResponse(200, "ok");
  const lines = results.map(({ name, problem }) =>
    problem === undefined ? `[+]${name} ok` : `[-]${name} failed: ${problem}`,
  );
  const check = path.slice(1);
  lines.push(isFine ? `${check} check passed` : `${check} check failed`);
  return textResponse(isFine ? 200 : 500, `${lines.join("\n")}\n`);
}
