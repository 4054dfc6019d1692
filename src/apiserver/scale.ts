import { formatSelector } from "../api/apps/workload.columns.ts";
import { scale } from "../api/autoscaling/scale.ts";
import type { Scale } from "../api/autoscaling/scale.ts";
import { invalid } from "../api/machinery/field-error.ts";
import { getOwn, isJsonObject, setOwn } from "../api/machinery/json.ts";
import type { KindDefinition, ScalePaths } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { decodeBody, decodeParsed } from "./body.ts";
import type { BodyType } from "./body.ts";
import type { ResourceCall } from "./context.ts";
import { jsonResponse } from "./exchange.ts";
import type { ApiResponse } from "./exchange.ts";
import { badRequest, internalError, invalidObject, methodNotAllowed } from "./failures.ts";
import { parsePatch } from "./patch.ts";
import { parseWriteQuery } from "./query.ts";
import { currentOf } from "./read-verbs.ts";
import { writeOptionsOf } from "./write-verbs.ts";
import type { Served } from "./stored.ts";

const SCALE: BodyType = { apiVersion: "autoscaling/v1", kind: "Scale", schema: scale };

/** GET, PUT and PATCH of `/scale`: the number of replicas, wherever the kind keeps it. */
export async function answerScale(call: ResourceCall, paths: ScalePaths): Promise<ApiResponse> {
  const { definition: kind } = call.route;
  switch (call.request.method) {
    case "GET":
    case "HEAD":
      return jsonResponse(200, scaleOf(currentOf(call).object, paths));
    case "PUT": {
      const { fieldValidation } = parseWriteQuery(call.query);
      const decoded = await decodeBody(call.request, SCALE, fieldValidation);
      return write(call, paths, () => decoded.object as Scale);
    }
    case "PATCH": {
      const { fieldValidation } = parseWriteQuery(call.query);
      const patch = await parsePatch(call.request, kind);
      return write(
        call,
        paths,
        ({ object }) =>
          decodeParsed(patch(scaleOf(object, paths)), SCALE, fieldValidation).object as Scale,
      );
    }
    case "POST":
    case "DELETE":
    case "OPTIONS":
      throw methodNotAllowed();
  }
}

async function write(
  call: ResourceCall,
  paths: ScalePaths,
  wantedOf: (current: Served) => Scale,
): Promise<ApiResponse> {
  const { context, route, query } = call;
  const { definition: kind, namespace, name = "" } = route;
  const ref = { namespace, name };
  const options = writeOptionsOf(call, parseWriteQuery(query));
  const written = await context.writer.modify(kind, ref, "main", options, (current) => {
    const wanted = wantedOf(current);
    const replicas = checkedReplicas(kind, name, wanted);
    const { uid, resourceVersion } = wanted.metadata;
    const changed = withValue(current.object, paths.specReplicas, replicas);
    return {
      ...changed,
      metadata: {
        ...changed.metadata,
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      },
    };
  });
  return jsonResponse(200, scaleOf(written.item.object, paths));
}

function checkedReplicas(kind: KindDefinition, name: string, wanted: Scale): number {
  if ((wanted.metadata.name ?? "") !== "" && wanted.metadata.name !== name) {
    throw badRequest(
      `the name of the object (${wanted.metadata.name}) does not match the name on the URL (${name})`,
    );
  }
  const replicas = wanted.spec?.replicas ?? 0;
  if (replicas >= 0) return replicas;
  throw invalidObject({ kind: "Scale", group: "autoscaling" }, name, [
    invalid("spec.replicas", replicas, "must be greater than or equal to 0"),
  ]);
}

function scaleOf(object: KubernetesObject, paths: ScalePaths): KubernetesObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const replicas = valueAt(object, paths.specReplicas);
  if (typeof replicas !== "number") {
    const path = `.${paths.specReplicas.join(".")}`;
    throw internalError(`the spec replicas field ${JSON.stringify(path)} does not exist`);
  }
  const actual = valueAt(object, paths.statusReplicas);
  const selector = paths.labelSelector && valueAt(object, paths.labelSelector);
  const result = {
    kind: SCALE.kind,
    apiVersion: SCALE.apiVersion,
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas },
    status: {
      replicas: typeof actual === "number" ? actual : 0,
      ...selectorText(selector),
    },
  };
  return result;
}

/** Custom resources keep their selector as text, ReplicationControllers as labels, all others as a selector. */
function selectorText(selector: unknown): { readonly selector?: string } {
  if (typeof selector === "string") return selector === "" ? {} : { selector };
  if (!isJsonObject(selector)) return {};
  const isMap = Object.values(selector).every((value) => typeof value === "string");
  // Validated by the kind that it was read from.
  const text = formatSelector(isMap ? { matchLabels: selector as Labels } : selector);
  return text === "" ? {} : { selector: text };
}

type Labels = Readonly<Record<string, string>>;

function valueAt(value: unknown, names: readonly string[]): unknown {
  return names.reduce<unknown>(
    (at, name) => (isJsonObject(at) ? getOwn(at, name) : undefined),
    value,
  );
}

/** A copy of the object with another value at a path; what is missing on the way is made. */
function withValue<T>(object: T, names: readonly string[], value: unknown): T {
  const [name, ...rest] = names;
  // At the end of the path stands the value itself, whose type the schema of the kind says.
  if (name === undefined) return value as T;
  const copy: Record<string, unknown> = isJsonObject(object) ? { ...object } : {};
  setOwn(copy, name, withValue(getOwn(copy, name) ?? {}, rest, value));
  // The object as before, but for what is at the path.
  return copy as T;
}
