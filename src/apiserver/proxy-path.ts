/** The path of a proxy subresource: where it begins, and what the target is asked for. */
export interface ProxyPath {
  /** `/api/v1/.../proxy`, as sent. */
  readonly prefix: string;
  /** What follows, as sent: "" or a path with its leading slash. */
  readonly path: string;
  /** "" or the query with its question mark. */
  readonly search: string;
}

const PROXY =
  /^(\/api\/v1\/(?:namespaces\/[^/?]+\/(?:pods|services)|nodes)\/[^/?]+\/proxy)(\/[^?]*)?(\?.*)?$/s;

/** Splits the URL of a proxy subresource, in the spelling that the caller used; undefined for other URLs. */
export function parseProxyPath(url: string): ProxyPath | undefined {
  const [, prefix, path = "", search = ""] = PROXY.exec(url) ?? [];
  return prefix === undefined ? undefined : { prefix, path, search };
}

/** Whether a request's body is handed on as it comes, whatever its size. */
export function streamsBody(url: string): boolean {
  return parseProxyPath(url) !== undefined;
}
