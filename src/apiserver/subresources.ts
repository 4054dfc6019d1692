import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { binding } from "../api/v1/binding.ts";
import type { Binding } from "../api/v1/binding.ts";
import type { Namespace } from "../api/v1/namespace.ts";
import type { Pod } from "../api/v1/pod.ts";
import { bodyTypeOf, decodeBody } from "./body.ts";
import type { ResourceCall } from "./context.ts";
import { jsonResponse } from "./exchange.ts";
import type { ApiResponse } from "./exchange.ts";
import { badRequest, conflict } from "./failures.ts";
import { relayLog } from "./logs.ts";
import { requestedForm } from "./negotiate.ts";
import { placeObject, timestamp } from "./object-identity.ts";
import { parseWriteQuery } from "./query.ts";
import { currentOf } from "./read-verbs.ts";
import { writtenResponse } from "./write-response.ts";

/** POST pods/NAME/binding: puts a Pod on a node, once. */
export async function bindPod(call: ResourceCall): Promise<ApiResponse> {
  const { context, request, user, route, query } = call;
  const { definition: kind, namespace, name = "" } = route;
  const options = parseWriteQuery(query);
  const type = { apiVersion: "v1", kind: "Binding", schema: binding };
  const decoded = await decodeBody(request, type, options.fieldValidation);
  // Decoded by the schema of Binding.
  const { metadata, target } = placeObject(kind, decoded.object, namespace, name) as Binding;
  const nodeName = target?.name ?? "";
  if (nodeName === "") throw badRequest(`target.name: Required value`);
  const bind = (object: KubernetesObject): KubernetesObject => {
    const pod = object as Pod;
    const why =
      pod.metadata.deletionTimestamp !== undefined
        ? `pod ${name} is being deleted, cannot be assigned to a host`
        : (pod.spec?.nodeName ?? "") !== ""
          ? `pod ${name} is already assigned to node ${JSON.stringify(pod.spec?.nodeName)}`
          : undefined;
    if (why !== undefined) {
      throw conflict({ ...kind, plural: "pods/binding" }, name, why);
    }
    return boundPod(pod, nodeName, metadata.annotations, timestamp(context.now()));
  };
  const writeOptions = { dryRun: options.dryRun, user, ownership: { kind: "recorded" } } as const;
  await context.writer.modify(kind, { namespace, name }, "whole", writeOptions, (current) =>
    bind(current.object),
  );
  return jsonResponse(201, {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    code: 201,
  });
}

function boundPod(
  pod: Pod,
  nodeName: string,
  annotations: Readonly<Record<string, string>> | undefined,
  time: string,
): Pod {
  const conditions = (pod.status?.conditions ?? []).filter(({ type }) => type !== "PodScheduled");
  return {
    ...pod,
    metadata:
      annotations === undefined
        ? pod.metadata
        : { ...pod.metadata, annotations: { ...pod.metadata.annotations, ...annotations } },
    spec: { ...pod.spec, nodeName },
    status: {
      ...pod.status,
      conditions: [
        ...conditions,
        { type: "PodScheduled", status: "True", lastTransitionTime: time },
      ],
    },
  };
}

/** GET pods/NAME/log. */
export function readLog(call: ResourceCall): Promise<ApiResponse> {
  const { context, request, query } = call;
  const node = (name: string) =>
    context.nodeKind && context.registry.get(context.nodeKind, { name })?.object;
  return relayLog(currentOf(call).object, node, query, context.agentTls, request.signal);
}

/** PUT namespaces/NAME/finalize: who was waited for takes its finalizer out of the spec. */
export async function finalizeNamespace(call: ResourceCall): Promise<ApiResponse> {
  const { context, request, user, route, query } = call;
  const { definition: kind, name = "" } = route;
  const options = parseWriteQuery(query);
  const decoded = await decodeBody(request, bodyTypeOf(kind), options.fieldValidation);
  // The route says that it is a Namespace, and so does the body.
  const wanted = placeObject(kind, decoded.object, "", name) as Namespace;
  // Before anything is written, as for all writes.
  requestedForm(request.headers["accept"], query);
  const finalizers = wanted.spec?.finalizers ?? [];
  const { resourceVersion } = wanted.metadata;
  const writeOptions = { dryRun: options.dryRun, user, ownership: { kind: "recorded" } } as const;
  const written = await context.writer.modify(kind, { name }, "whole", writeOptions, (current) => {
    const namespace = current.object as Namespace;
    return {
      ...namespace,
      metadata: {
        ...namespace.metadata,
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      },
      spec: { ...namespace.spec, finalizers },
    } as KubernetesObject;
  });
  return writtenResponse(call, written, decoded.warnings);
}
