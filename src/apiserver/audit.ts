import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { Logger } from "../telemetry/log.ts";
import type { Attributes, Decision } from "../core/authorization/attributes.ts";
import type { ApiRequest, User } from "./exchange.ts";
import type { Caller } from "./security.ts";

/** One request and what became of it. */
export interface AuditedRequest {
  readonly request: ApiRequest;
  readonly attributes: Attributes;
  /** undefined: nobody that is known. */
  readonly caller: Caller | undefined;
  /** undefined: it did not come to that. */
  readonly decision: Decision | undefined;
  readonly code: number;
  readonly receivedMs: number;
  readonly answeredMs: number;
}

export interface AuditLog extends AsyncDisposable {
  record(audited: AuditedRequest): void;
}

/** Lines that the disk has not taken yet; what comes on top is dropped and said in the log, once. */
const MAX_BEHIND_BYTES = 16 * 1024 * 1024;

/**
 * Appends one JSON line a request to a file of mode 0600: events of audit.k8s.io/v1 at level Metadata, which
 * say who did what and how it ended, and nothing of the contents.
 * @throws Error when the file cannot be opened, naming it.
 */
export async function openAuditLog(path: string, log: Logger): Promise<AuditLog> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const stream = createWriteStream(path, { flags: "a", mode: 0o600 });
  await new Promise<void>((resolve, reject) => {
    stream.once("open", () => resolve());
    stream.once("error", (cause) =>
      reject(new Error(`cannot write the audit log ${path}`, { cause })),
    );
  });
  let isLosing = false;
  stream.on("error", (error) => {
    if (!isLosing)
      log.error("the audit log cannot be written; requests go unrecorded", { path, error });
    isLosing = true;
  });
  return {
    record(audited) {
      if (stream.destroyed) return;
      if (stream.writableLength > MAX_BEHIND_BYTES) {
        if (!isLosing) log.error("the audit log falls behind; requests go unrecorded", { path });
        isLosing = true;
        return;
      }
      isLosing = false;
      stream.write(`${JSON.stringify(auditEvent(audited, randomUUID()))}\n`);
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        if (stream.destroyed) resolve();
        else stream.end(() => resolve());
      }),
  };
}

/** As upstream's audit.k8s.io/v1 Event. */
function auditEvent(audited: AuditedRequest, auditID: string): object {
  const { request, attributes, caller, decision, code, receivedMs, answeredMs } = audited;
  const isSame = caller === undefined || caller.user === caller.asker;
  return {
    kind: "Event",
    apiVersion: "audit.k8s.io/v1",
    level: "Metadata",
    auditID,
    stage: "ResponseComplete",
    requestURI: request.url,
    verb: attributes.verb,
    user: caller === undefined ? {} : userOf(caller.asker),
    ...(isSame ? {} : { impersonatedUser: userOf(caller.user) }),
    userAgent: request.headers["user-agent"] ?? "",
    ...(attributes.kind === "path" ? {} : { objectRef: objectRef(attributes) }),
    responseStatus: { metadata: {}, code },
    requestReceivedTimestamp: microTime(receivedMs),
    stageTimestamp: microTime(answeredMs),
    annotations:
      decision === undefined
        ? {}
        : {
            "authorization.k8s.io/decision": decision.kind === "allow" ? "allow" : "forbid",
            "authorization.k8s.io/reason": decision.reason,
          },
  };
}

function userOf({ name, uid, groups, extra }: User): object {
  return { username: name, uid, groups, extra };
}

function objectRef(attributes: Attributes & { readonly kind: "resource" }): object {
  const { group, version, resource, subresource, namespace, name } = attributes;
  const parts = { resource, namespace, name, apiGroup: group, apiVersion: version, subresource };
  return Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== ""));
}

function microTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, -1)}000Z`;
}
