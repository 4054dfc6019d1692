import { resourceNameOf } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { invalid, notSupported, required } from "../api/machinery/field-error.ts";
import type { FieldError } from "../api/machinery/field-error.ts";
import { tokenRequest } from "../api/authentication/token-request.ts";
import type { TokenRequest, TokenRequestSpec } from "../api/authentication/token-request.ts";
import type { Pod } from "../api/v1/pod.ts";
import { accountUserName } from "../core/authorization/attributes.ts";
import { nodeNameOf } from "../core/authorization/node.ts";
import { accountOf } from "../core/authorization/pod-references.ts";
import { decodeBody } from "./body.ts";
import type { ResourceCall } from "./context.ts";
import { jsonResponse } from "./exchange.ts";
import type { ApiResponse } from "./exchange.ts";
import { badRequest, conflict, forbidden, invalidObject, notFound } from "./failures.ts";
import { placeObject, timestamp } from "./object-identity.ts";
import { parseWriteQuery } from "./query.ts";
import { currentOf } from "./read-verbs.ts";
import { MAX_TOKEN_MS } from "./token-keys.ts";
import type { AccountClaims, NamedObject } from "./tokens.ts";

const TYPE = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", schema: tokenRequest };
const DEFAULT_SECONDS = 3600;
const MIN_SECONDS = 600;
const MAX_SECONDS = 2 ** 32;

/**
 * POST serviceaccounts/NAME/token: a token for the account. Longer than a year none lives, whatever is asked
 * for; the answer says how long. Source: upstream `pkg/registry/core/serviceaccount/storage/token.go`.
 */
export async function createToken(call: ResourceCall): Promise<ApiResponse> {
  const { context, request, route, query } = call;
  const { definition: kind, namespace, name = "" } = route;
  const { dryRun, fieldValidation } = parseWriteQuery(query);
  const decoded = await decodeBody(request, TYPE, fieldValidation);
  // Decoded by the schema of TokenRequest; a body without a spec asks for a plain token.
  const { metadata: given, ...rest } = decoded.object as KubernetesObject & Partial<TokenRequest>;
  const spec = rest.spec ?? {};
  const placed = placeObject(kind, { ...decoded.object, metadata: given }, namespace, name);
  const errors = specProblems(spec);
  if (errors.length > 0) {
    throw invalidObject({ kind: "TokenRequest", group: "authentication.k8s.io" }, name, errors);
  }
  const account = currentOf(call).object;
  const bound = boundObject(call, spec);
  const { tokens } = context.security;
  const asked = (spec.expirationSeconds ?? DEFAULT_SECONDS) * 1000;
  const expiresMs = context.now() + Math.min(asked, MAX_TOKEN_MS);
  const audiences = spec.audiences?.length ? spec.audiences : [tokens.issuer];
  const claims: AccountClaims = { namespace, serviceaccount: namedObject(account), ...bound };
  const token = dryRun
    ? ""
    : await tokens.sign(accountUserName(namespace, name), claims, audiences, expiresMs);
  return jsonResponse(201, {
    kind: TYPE.kind,
    apiVersion: TYPE.apiVersion,
    metadata: {
      name: placed.metadata.name,
      namespace,
      creationTimestamp: timestamp(context.now()),
    },
    spec: {
      audiences,
      expirationSeconds: Math.round((expiresMs - context.now()) / 1000),
      boundObjectRef: spec.boundObjectRef ?? null,
    },
    status: { token, expirationTimestamp: timestamp(expiresMs) },
  });
}

function specProblems({ expirationSeconds, boundObjectRef }: TokenRequestSpec) {
  const errors: FieldError[] = [];
  const path = "spec.expirationSeconds";
  if (expirationSeconds !== undefined && expirationSeconds < MIN_SECONDS) {
    const why = "may not specify a duration less than 10 minutes";
    errors.push(invalid(path, expirationSeconds, why));
  }
  if (expirationSeconds !== undefined && expirationSeconds > MAX_SECONDS) {
    errors.push(
      invalid(path, expirationSeconds, "may not specify a duration larger than 2^32 seconds"),
    );
  }
  if (boundObjectRef === undefined) return errors;
  const { kind = "", name = "" } = boundObjectRef;
  if (!["Pod", "Secret", "Node"].includes(kind)) {
    errors.push(notSupported("spec.boundObjectRef.kind", kind, ["Node", "Pod", "Secret"]));
  }
  if (name === "") errors.push(required("spec.boundObjectRef.name"));
  return errors;
}

/** What the token ends with. @throws StatusError 404, 409, or 403 for a node that asks for others' Pods. */
function boundObject(call: ResourceCall, spec: TokenRequestSpec): Partial<AccountClaims> {
  const { context, user, route } = call;
  const { definition: kind, namespace, name = "" } = route;
  const reference = spec.boundObjectRef;
  const asking = nodeNameOf(user);
  const refuse = (why: string) => forbidden(kind, name, why);
  if (asking !== undefined && reference?.kind !== "Pod") {
    throw refuse("node requested token not bound to a pod");
  }
  switch (reference?.kind) {
    case "Pod": {
      // The kind says that it is a Pod.
      const pod = theObject(call, "pods", namespace, reference) as Pod;
      if (accountOf(pod) !== name) {
        throw badRequest(
          `cannot bind token for serviceaccount ${JSON.stringify(name)} to pod running with different serviceaccount name.`,
        );
      }
      const nodeName = pod.spec?.nodeName ?? "";
      if (asking !== undefined && nodeName !== asking) {
        throw refuse("node requested token bound to a pod scheduled on a different node");
      }
      const nodes = context.nodeKind;
      const node = nodes && context.registry.get(nodes, { name: nodeName })?.object;
      return { pod: namedObject(pod), ...(node && { node: namedObject(node) }) };
    }
    case "Secret":
      return { secret: namedObject(theObject(call, "secrets", namespace, reference)) };
    case "Node":
      return { node: namedObject(theObject(call, "nodes", "", reference)) };
    case undefined:
    default:
      return {};
  }
}

function theObject(
  { context }: ResourceCall,
  resource: string,
  namespace: string,
  {
    name = "",
    uid = "",
  }: { readonly name?: string | undefined; readonly uid?: string | undefined },
): KubernetesObject {
  const kind = context.cache
    .kinds()
    .map(({ definition }) => definition)
    .find((one) => resourceNameOf(one) === resource);
  if (kind === undefined) throw badRequest(`tokens cannot be bound to ${resource}: not served`);
  const object = context.registry.get(kind, { namespace, name })?.object;
  if (object === undefined) throw notFound(kind, name);
  if (uid !== "" && uid !== object.metadata.uid) {
    throw conflict(
      kind,
      name,
      `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  return object;
}

function namedObject({ metadata }: KubernetesObject): NamedObject {
  return { name: metadata.name, uid: metadata.uid ?? "" };
}
