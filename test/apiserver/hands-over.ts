import type { User } from "../../src/apiserver/exchange.ts";
import type { ApiServer } from "../../src/apiserver/server.ts";
import type { Transport } from "../../src/client/transport.ts";

/** Takes the server's own objects, frozen, so that whoever changes one of them throws. */
export function handsOver(server: Pick<ApiServer, "handle">, user: User): Transport {
  return async (request) => {
    const response = await server.handle({ ...request, takesObjects: true }, user);
    const { value, events } = response;
    return {
      ...response,
      value: freeze(value),
      ...(events === undefined ? {} : { events: frozen(events) }),
    };
  };
}

async function* frozen<T>(events: AsyncIterable<readonly T[]>): AsyncIterable<readonly T[]> {
  for await (const batch of events) yield freeze(batch);
}

function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const each of Object.values(value)) freeze(each);
  return value;
}
