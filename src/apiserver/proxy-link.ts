/**
 * APIS-008: what a link on a proxied page must be, so that it leads back through the proxy. Root-relative links,
 * and absolute ones to the target itself, get the proxy's path in front; relative ones work as they are, and
 * links elsewhere lead there.
 * @returns undefined for a link that stays as it is.
 */
export function rewriteLink(link: string, prefix: string, targetHost: string): string | undefined {
  const [, host, path = ""] = /^(?:(?:https?:)?\/\/([^/?#]*))?(.*)$/is.exec(link.trim()) ?? [];
  if (host !== undefined && host !== targetHost) return undefined;
  if (host === undefined && !path.startsWith("/")) return undefined;
  // Written by somebody who knows of the proxy.
  if (path === prefix || path.startsWith(`${prefix}/`))
    return host === undefined ? undefined : path;
  return `${prefix}${path.startsWith("/") ? path : `/${path}`}`;
}
