import type { Draft, KubernetesObject } from "../../api/machinery/metadata.ts";
import type { PodTemplateSpec } from "../../api/v1/pod-template.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { isJsonObject } from "../../api/machinery/json.ts";
import { controllerReference } from "./pods.ts";

const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/**
 * A short name for a content, the same whatever the order of its keys. Upstream hashes a dump of Go structs,
 * which nobody else can repeat; all that matters is that it is stable and fits a label. FNV-1a of 64 bits.
 */
export function contentHash(content: unknown, collisions = 0): string {
  let hash = 0xcbf29ce484222325n;
  for (const char of `${canonical(content)}#${String(collisions)}`) {
    hash ^= BigInt(char.codePointAt(0) ?? 0);
    hash = BigInt.asUintN(64, hash * 0x100000001b3n);
  }
  let text = "";
  for (let i = 0; i < 10; i++) {
    text += ALPHABET[Number(hash % BigInt(ALPHABET.length))] ?? "b";
    hash /= BigInt(ALPHABET.length);
  }
  return text;
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!isJsonObject(value)) return JSON.stringify(value) ?? "null";
  const parts = Object.keys(value)
    .filter((key) => value[key] !== undefined)
    .toSorted()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${parts.join(",")}}`;
}

/** A Pod as the template says, that belongs to `owner`. Named by the server unless `name` is given. */
export function podFrom(
  template: PodTemplateSpec,
  owner: KubernetesObject,
  more: {
    readonly name?: string;
    /** Default the owner's name and `-`. */
    readonly generateName?: string;
    readonly finalizers?: readonly string[];
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly spec?: Partial<Pod["spec"]>;
  } = {},
): Draft<Pod> {
  const { labels, annotations } = template.metadata ?? {};
  const finalizers = more.finalizers ?? template.metadata?.finalizers;
  return {
    metadata: {
      ...(more.name === undefined
        ? { generateName: more.generateName ?? `${owner.metadata.name}-` }
        : { name: more.name }),
      namespace: owner.metadata.namespace,
      labels: { ...labels, ...more.labels },
      annotations: { ...annotations, ...more.annotations },
      ...(finalizers === undefined ? {} : { finalizers }),
      ownerReferences: [controllerReference(owner)],
    },
    spec: { ...template.spec, ...more.spec },
  };
}

/** An amount of `total` given as a number or a percent of it. */
export function amountOf(
  value: string | number | undefined,
  total: number,
  round: "up" | "down",
): number {
  if (value === undefined) return 0;
  if (typeof value === "number") return value;
  const exact = (Number.parseInt(value, 10) * total) / 100;
  return round === "up" ? Math.ceil(exact) : Math.floor(exact);
}
