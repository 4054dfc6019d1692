import { nodeKind } from "../api/v1/node.kind.ts";
import { withDeadline } from "../async/deadline.ts";
import type { ApiClient } from "../client/client.ts";
import { createEventRecorder, referenceTo } from "../client/events.ts";
import type { Logger } from "../telemetry/log.ts";

/** The user waits for the program to end; an API that does not answer by then is not waited for. */
const LIMIT_MS = 2_000;

/**
 * Says by an Event on the Node why a part of it did not start, where the API can be reached; else nothing, as the
 * program says it, too. Never rejects.
 */
export async function tellRefusal(
  deps: { readonly client: ApiClient; readonly log: Logger },
  about: { readonly nodeName: string; readonly component: string },
  message: string,
): Promise<void> {
  const { client, log } = deps;
  const { nodeName, component } = about;
  try {
    await withDeadline(LIMIT_MS, undefined, async (signal) => {
      const node = await client.get(nodeKind, { name: nodeName }, { signal });
      await using events = createEventRecorder({
        client,
        component,
        host: nodeName,
        now: Date.now,
        log,
      });
      events.record(referenceTo(node), "Warning", "ProxyNotStarted", message);
      await events.idle();
    });
  } catch (error) {
    log.debug("no Event tells why the proxy did not start", { error });
  }
}
