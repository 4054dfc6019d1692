import { bytesResponse, jsonResponse } from "./exchange.ts";
import type { ApiResponse } from "./exchange.ts";
import type { Tokens } from "./tokens.ts";

const KEYS_PATH = "/openid/v1/jwks";
const CONFIGURATION_PATH = "/.well-known/openid-configuration";

/**
 * What others need to verify ServiceAccount tokens (OpenID Connect Discovery 1.0); undefined for other paths.
 * @param publicUrl where this server is reached.
 */
export async function answerOpenId(
  tokens: Tokens,
  path: string,
  publicUrl: string,
): Promise<ApiResponse | undefined> {
  switch (path) {
    case KEYS_PATH: {
      const bytes = Buffer.from(JSON.stringify(await tokens.keys.publicSet()));
      return bytesResponse(200, bytes, { "content-type": "application/jwk-set+json" });
    }
    case CONFIGURATION_PATH: {
      const keys = await tokens.keys.all();
      return jsonResponse(200, {
        issuer: tokens.issuer,
        jwks_uri: `${publicUrl}${KEYS_PATH}`,
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: [...new Set(keys.map(({ algorithm }) => algorithm))],
      });
    }
    default:
      return undefined;
  }
}
