import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { namespaceKind } from "../api/v1/namespace.kind.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import { parseRoute, routeTable } from "./routes.ts";

const TABLE = routeTable([namespaceKind, serviceKind]);

/** `kind|namespace|name|subresource|rest`, with `-` where there is none. */
function show(path: string): string {
  const route = parseRoute(path, TABLE);
  if (route?.kind !== "resource") return route?.kind ?? "none";
  const { definition, namespace, name, subresource, rest, watch } = route;
  const parts = [definition.plural, namespace, name, subresource, rest].map((one) => one || "-");
  return parts.join("|") + (watch ? "|watch" : "");
}

describe("parseRoute()", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["/api/v1/services", "services|-|-|-|-"],
    ["/api/v1/namespaces/a/services", "services|a|-|-|-"],
    ["/api/v1/namespaces/a/services/", "services|a|-|-|-"],
    ["/api/v1/namespaces/a/services/web", "services|a|web|-|-"],
    ["/api/v1/namespaces/a/services/web/status", "services|a|web|status|-"],
    ["/api/v1/namespaces/a/services/web/proxy/x/y", "services|a|web|proxy|x/y"],
    ["/api/v1/namespaces", "namespaces|-|-|-|-"],
    ["/api/v1/namespaces/a", "namespaces|-|a|-|-"],
    ["/api/v1/namespaces/a/status", "namespaces|-|a|status|-"],
    ["/api/v1/namespaces/a/finalize", "namespaces|-|a|finalize|-"],
    ["/api/v1/watch/namespaces/a/services/web", "services|a|web|-|-|watch"],
    ["/api/v1/namespaces/a%20b/services", "services|a b|-|-|-"],
    ["/api/v1/nothings", "none"],
    ["/apis/apps/v1/deployments", "none"],
    ["/api/v1/namespaces/%zz", "none"],
    ["/api", "discovery"],
    ["/api/v1", "discovery"],
    ["/apis/discovery.k8s.io", "discovery"],
    ["/apis/discovery.k8s.io/v1", "discovery"],
    ["/version", "other"],
    ["/", "other"],
  ];
  for (const [path, expected] of cases) {
    it(`reads ${path} as ${expected}`, () => assert.equal(show(path), expected));
  }
});
