import { field, list, message, present, string, time } from "../machinery/schema.ts";
import type { ListType, MessageType } from "../machinery/schema.ts";

/** A condition as all kinds of the group but Deployment have it. */
export function workloadCondition<N extends string>(kind: N) {
  return message(`io.k8s.api.apps.v1.${kind}Condition`, "One aspect of the state.", {
    type: present(1, string, { required: true }),
    status: present(2, string, { required: true }),
    lastTransitionTime: field(3, time),
    reason: field(4, string),
    message: field(5, string),
  });
}

/** One condition of each type. */
export function conditionsOf<M extends MessageType>(condition: M): ListType<M> {
  return list(condition, { listType: "map", mapKeys: ["type"], mergeKey: "type" });
}
