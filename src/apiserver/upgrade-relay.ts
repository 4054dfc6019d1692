import { request as requestHttp } from "node:http";
import type { IncomingMessage } from "node:http";
import { request as requestHttps } from "node:https";
import type { Duplex } from "node:stream";
import { endSoon } from "./http-upgrade.ts";
import type { UpgradeOffer } from "./exchange.ts";

/** Where a client's connection is to be handed on to. */
export interface RelayTarget {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** For https: what we show and whom we trust. */
  readonly tls?: TargetTls;
}

/** PEM texts. */
export interface TargetTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized?: boolean;
}

const ANSWER_TIMEOUT_MS = 30_000;
/** For a side to take what the other one sent before it closed. */
const DRAIN_MS = 30_000;

/**
 * Asks the target to change protocols as the client asked us. When it does, the two connections become one
 * until either ends, whatever they speak. @returns undefined then, else the target's refusal with its body to be
 * read. @throws when the target cannot be reached, or `signal` aborts first.
 */
export async function relayUpgrade(
  { incoming, socket: client, head }: UpgradeOffer,
  target: RelayTarget,
  signal: AbortSignal,
): Promise<IncomingMessage | undefined> {
  const answer = await ask(target, incoming, signal);
  if (answer.kind === "refused") return answer.response;
  const { response, socket, head: first } = answer;
  const lines = ["HTTP/1.1 101 Switching Protocols"];
  const { rawHeaders } = response;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2)
    lines.push(`${rawHeaders[at] ?? ""}: ${rawHeaders[at + 1] ?? ""}`);
  client.write(`${lines.join("\r\n")}\r\n\r\n`);
  if (first.length > 0) client.write(first);
  if (head.length > 0) socket.write(head);
  join(client, socket, signal);
  return undefined;
}

type Answer =
  | {
      readonly kind: "upgraded";
      readonly response: IncomingMessage;
      readonly socket: Duplex;
      readonly head: Buffer;
    }
  | { readonly kind: "refused"; readonly response: IncomingMessage };

function ask(
  { url, method, headers, tls = {} }: RelayTarget,
  { headers: offered }: IncomingMessage,
  signal: AbortSignal,
): Promise<Answer> {
  const request = url.protocol === "https:" ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const outgoing = request(url, {
      method,
      headers: { ...headers, connection: "Upgrade", upgrade: offered.upgrade ?? "" },
      ...tls,
      signal,
      agent: false,
    });
    const timer = setTimeout(() => {
      const seconds = String(ANSWER_TIMEOUT_MS / 1000);
      outgoing.destroy(new Error(`no answer within ${seconds} seconds`));
    }, ANSWER_TIMEOUT_MS);
    outgoing.once("upgrade", (response, socket, head) => {
      clearTimeout(timer);
      resolve({ kind: "upgraded", response, socket, head });
    });
    outgoing.once("response", (response) => {
      clearTimeout(timer);
      resolve({ kind: "refused", response });
    });
    // Stays: a request that is aborted later says so once more.
    outgoing.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    outgoing.end();
  });
}

/** Copies both ways until one side ends; the streams' own back-pressure bounds what is kept. */
function join(a: Duplex, b: Duplex, signal: AbortSignal): void {
  const cut = (): void => {
    endSoon(a);
    endSoon(b);
  };
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    // A broken connection closes, and closing is what counts.
    from.on("error", () => undefined);
    // The end of one direction is not the end of the other.
    from.allowHalfOpen = true;
    from.once("close", () => {
      signal.removeEventListener("abort", cut);
      // Who broke off instead of ending waits for nothing.
      endSoon(to, from.readableEnded ? DRAIN_MS : undefined);
    });
    from.pipe(to);
  }
  signal.addEventListener("abort", cut, { once: true });
  if (signal.aborted || a.destroyed || b.destroyed) cut();
}
