import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import { bytesResponse, readAll } from "./exchange.ts";
import type { ApiRequest, ApiResponse } from "./exchange.ts";

/** As upstream: smaller answers gain nothing. */
const MIN_BYTES = 128 * 1024;

const compress = promisify(gzip);

/** Compresses a large answer for a caller that takes gzip; a watch or a log, whose length is open, never. */
export async function compressed(request: ApiRequest, response: ApiResponse): Promise<ApiResponse> {
  const length = Number(response.headers["content-length"] ?? "0");
  if (length <= MIN_BYTES) return response;
  const accepts = /(^|[\s,])gzip(?!\s*;\s*q=0(\.0*)?\s*($|,))/.test(
    request.headers["accept-encoding"] ?? "",
  );
  if (!accepts || request.method === "HEAD") return response;
  const bytes = await compress(await readAll(response.body), { level: constants.Z_BEST_SPEED });
  const { "content-length": _, ...headers } = response.headers;
  return bytesResponse(response.status, bytes, {
    ...headers,
    "content-encoding": "gzip",
    vary: "Accept-Encoding",
  });
}
