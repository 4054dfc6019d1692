import { frontendKey } from "../../core/proxy/frontend.ts";
import type { Frontend } from "../../core/proxy/frontend.ts";
import { formatHostPort } from "../../net/host-port.ts";
import type { FrontendProblem } from "../data-plane.ts";
import type { ModelProblem } from "./family-model.ts";

/** The kernel has no tables of the frontend's family. */
export const NO_FAMILY = { kind: "NoFamily" } as const;

/** What a Service's user is told of a frontend that is not served as asked. `missing`: what the kernel lacks. */
export function frontendProblem(
  frontend: Frontend,
  problem: ModelProblem | typeof NO_FAMILY,
  missing: string,
): FrontendProblem {
  const key = frontendKey(frontend);
  const about = { frontend: key, service: frontend.target.service, isRetryable: false };
  switch (problem.kind) {
    case "NoFamily":
      return {
        ...about,
        reason: "ProtocolNotSupported",
        message: `${key} is not served: ${missing}`,
      };
    case "NoHash":
      return {
        ...about,
        reason: "BalanceNotSupported",
        message: `${key} spreads clients at random, not by source-hash: ${missing}`,
      };
    case "LimitReached":
      return {
        ...about,
        reason: "LimitReached",
        message: `${key} is served without ${problem.what}: the data plane has no number left for it`,
      };
    case "InvalidEndpoint": {
      const { backends } = problem;
      const some = backends.slice(0, 3).map(({ address, port }) => formatHostPort(address, port));
      const more = backends.length > 3 ? ` and ${String(backends.length - 3)} more` : "";
      return {
        ...about,
        reason: "InvalidEndpoint",
        message: `${key} does not forward to ${some.join(", ")}${more}: not an address that other hosts can reach`,
      };
    }
  }
}
