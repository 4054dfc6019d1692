import type { Pod } from "../api/v1/pod.ts";
import { serviceAccountKind } from "../api/v1/serviceaccount.kind.ts";
import type { ApiClient } from "../client/client.ts";
import { accountOf } from "../core/authorization/pod-references.ts";
import type { TokenSource } from "./volume-files.ts";

/**
 * A token of the Pod's account that ends with the Pod.
 * @throws StatusError when the API refuses it, Error when its answer is none.
 */
export async function requestToken(
  client: Pick<ApiClient, "createSubresource">,
  pod: Pod,
  { audience = "", expirationSeconds }: TokenSource,
  signal: AbortSignal,
): Promise<{ readonly token: string; readonly expiresMs: number }> {
  const { name, namespace = "", uid } = pod.metadata;
  const account = { namespace, name: accountOf(pod) };
  const body = {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec: {
      ...(audience === "" ? {} : { audiences: [audience] }),
      ...(expirationSeconds === undefined ? {} : { expirationSeconds }),
      boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid },
    },
  };
  const answer = await client.createSubresource(serviceAccountKind, account, "token", body, {
    signal,
  });
  // What else it may be is checked below.
  const { status } = answer as { status?: { token?: unknown; expirationTimestamp?: unknown } };
  const { token, expirationTimestamp } = status ?? {};
  const expiresMs = Date.parse(String(expirationTimestamp));
  if (typeof token !== "string" || Number.isNaN(expiresMs)) {
    throw new Error(`the API answered no token for service account ${namespace}/${account.name}`);
  }
  return { token, expiresMs };
}
