import { AGE_COLUMN, formatSince, NAME_COLUMN } from "../machinery/cells.ts";
import type { Column } from "../machinery/kind.ts";
import { summarizePod } from "./pod.summary.ts";
import type { Pod } from "./pod.ts";

const wide = (name: string, description: string, cell: (pod: Pod) => string): Column<Pod> => ({
  name,
  type: "string",
  description,
  priority: 1,
  cell,
});

/** The columns of `kubectl get pods`. */
export const podColumns: readonly Column<Pod>[] = [
  NAME_COLUMN,
  {
    name: "Ready",
    type: "string",
    description: "Containers that are ready, of all.",
    priority: 0,
    cell: (pod) => {
      const { ready, total } = summarizePod(pod);
      return `${String(ready)}/${String(total)}`;
    },
  },
  {
    name: "Status",
    type: "string",
    description: "What the Pod does, or what holds it up.",
    priority: 0,
    cell: (pod) => summarizePod(pod).reason,
  },
  {
    name: "Restarts",
    type: "string",
    description: "How often containers were restarted, and when last.",
    priority: 0,
    cell: (pod, nowMs) => {
      const { restarts, lastRestart } = summarizePod(pod);
      return restarts === 0 || lastRestart === undefined
        ? String(restarts)
        : `${String(restarts)} (${formatSince(lastRestart, nowMs)} ago)`;
    },
  },
  AGE_COLUMN,
  wide("IP", "Address of the Pod.", (pod) => {
    return pod.status?.podIPs?.[0]?.ip ?? (pod.status?.podIP || "<none>");
  }),
  wide("Node", "Node that the Pod is on.", (pod) => pod.spec.nodeName || "<none>"),
  wide("Nominated Node", "Node kept free for the Pod.", (pod) => {
    return pod.status?.nominatedNodeName || "<none>";
  }),
  wide("Readiness Gates", "Conditions that hold, of those the Pod needs.", (pod) => {
    const gates = pod.spec.readinessGates ?? [];
    const holding = gates.filter((gate) =>
      pod.status?.conditions?.some(
        (condition) => condition.type === gate.conditionType && condition.status === "True",
      ),
    );
    return gates.length === 0 ? "<none>" : `${String(holding.length)}/${String(gates.length)}`;
  }),
];
