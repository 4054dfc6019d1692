import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:https";
import { connect } from "node:tls";
import type { TLSSocket } from "node:tls";
import { withDeadline } from "../../src/async/deadline.ts";
import { startKubectlServer } from "../apiserver/kubectl.ts";
import type { KubectlServer } from "../apiserver/kubectl.ts";
import type { CampaignOptions, Counts } from "./campaign.ts";
import { checkAnswer } from "./oracle.ts";
import { Random } from "./random.ts";
import { randomRequest } from "./requests.ts";
import { mutatedBytes } from "./values.ts";

/** Far beyond what any connection may take: only a hang comes here. */
const HANG_MS = 40_000;
/** The HTTP/1.1 parser itself answers longer heads, with a bare 431. */
const MAX_HEAD = 15_000;
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** What is sent on a connection, and whether its client waits for an answer or leaves at once. */
interface Script {
  readonly protocol: "http/1.1" | "h2";
  readonly bytes: Buffer;
  readonly leaves: boolean;
  /** Nothing is wrong with it: the answer has to be whole and right. */
  readonly isWhole: boolean;
}

/**
 * Sends random bytes over TLS: broken requests, floods of headers, bodies that never end, broken HTTP/2
 * frames; and leaves connections half way.
 * @throws when the server stops answering, an answer is wrong, or connections are left open.
 * @returns how often each code came first on a connection; 0: closed without an answer.
 */
export async function runByteCampaign({ seed, goesOn }: CampaignOptions): Promise<Counts> {
  await using server = await startKubectlServer();
  const random = new Random(seed);
  const counts: Counts = new Map();
  for (let i = 0; goesOn(i); i++) {
    const script = randomScript(random);
    try {
      const code = await withDeadline(HANG_MS, undefined, () => play(server, script));
      counts.set(code, (counts.get(code) ?? 0) + 1);
      if (i % 10 === 9) assert.equal(await askWell(server), 200, "a good request is answered");
    } catch (error) {
      const text = script.bytes.subarray(0, 1000).toString("latin1");
      throw new Error(`seed ${String(seed)}, connection ${String(i)}: ${JSON.stringify(text)}`, {
        cause: error,
      });
    }
  }
  assert.equal(await askWell(server), 200, "a good request is answered");
  return counts;
}

function randomScript(random: Random): Script {
  switch (random.below(6)) {
    case 0: {
      const bytes = Buffer.concat([PREFACE, settings(), frames(random)]);
      return { protocol: "h2", bytes, leaves: random.chance(0.5), isWhole: false };
    }
    case 1:
      return http1(random.bytes(1 + random.below(400)), random.chance(0.3));
    case 2: {
      const count = random.pick([100, 300, 3000]);
      const flood = Array.from(
        { length: count },
        (_, i) => `x-${String(i)}: ${"y".repeat(20)}\r\n`,
      );
      return http1(Buffer.from(`GET /api HTTP/1.1\r\nhost: a\r\n${flood.join("")}\r\n`), false);
    }
    case 3: {
      const head = "POST /api/v1/namespaces/default/services HTTP/1.1\r\nhost: a\r\n";
      const length = random.pick(["content-length: 1000", "transfer-encoding: chunked"]);
      const body = random.pick(["{", "5\r\nabcde\r\n", "zz\r\n", ""]);
      // Whoever sends half a body and waits is cut off after half a minute: too long for here.
      return http1(Buffer.from(`${head}${length}\r\n\r\n${body}`), true);
    }
    default: {
      const { method, url, headers, body = Buffer.alloc(0) } = randomRequest(random);
      // What cannot stand in a request line would be a test of the parser alone.
      const target = url.replace(/[^\x21-\x7e]/g, "%00") || "/";
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      const head = `${method} ${target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${lines.join("")}content-length: ${String(body.length)}\r\n\r\n`;
      const bytes = Buffer.concat([Buffer.from(head), body]);
      const isBroken = random.chance(0.5);
      const isWatch = /watch|follow/.test(target);
      return {
        protocol: "http/1.1",
        bytes: isBroken ? mutatedBytes(random, bytes) : bytes,
        leaves: isBroken || isWatch || random.chance(0.3),
        isWhole:
          !isBroken &&
          !isWatch &&
          method !== "HEAD" &&
          target.startsWith("/") &&
          head.length < MAX_HEAD,
      };
    }
  }
}

function http1(bytes: Buffer, leaves: boolean): Script {
  return { protocol: "http/1.1", bytes, leaves, isWhole: false };
}

/** An empty SETTINGS frame (RFC 9113 6.5). */
export function settings(): Buffer {
  return frame(4, 0, 0, Buffer.alloc(0));
}

function frames(random: Random): Buffer {
  return Buffer.concat(
    Array.from({ length: 1 + random.below(8) }, () =>
      frame(random.below(12), random.below(256), random.below(4), random.bytes(random.below(60))),
    ),
  );
}

export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

async function play(server: KubectlServer, script: Script): Promise<number> {
  const socket = open(server, script.protocol);
  // Cutting a connection is one of the right answers to nonsense.
  socket.on("error", () => socket.destroy());
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await Promise.race([once(socket, "secureConnect"), closed]);
  if (script.leaves) socket.write(script.bytes, () => socket.destroy());
  // It asks for the connection to be closed; a client that closes its half first may get no answer.
  else if (script.isWhole) socket.write(script.bytes);
  else socket.end(script.bytes);
  await closed;
  const text = Buffer.concat(chunks).toString("latin1");
  const code = Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1] ?? "0");
  if (script.isWhole && !script.leaves) checkText(code, text);
  else assert.notEqual(code, 500, text);
  return code;
}

function checkText(code: number, text: string): void {
  assert.notEqual(code, 0, "a whole request is answered");
  const at = text.indexOf("\r\n\r\n");
  const head = text.slice(0, at);
  const body = Buffer.from(text.slice(at + 4), "latin1").toString();
  const type = /^content-type: *(.*)$/im.exec(head)?.[1] ?? "";
  checkAnswer(code, type.trim(), body);
}

export function open({ listener, certificates }: KubectlServer, protocol: string): TLSSocket {
  return connect({
    host: "127.0.0.1",
    port: listener.port,
    ca: certificates.authority,
    cert: certificates.admin.certificate,
    key: certificates.admin.key,
    ALPNProtocols: [protocol],
  });
}

export function askWell({ listener, certificates }: KubectlServer): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: "127.0.0.1",
        port: listener.port,
        path: "/api/v1/namespaces/default/services/kubernetes",
        ca: certificates.authority,
        cert: certificates.admin.certificate,
        key: certificates.admin.key,
        agent: false,
      },
      (response) => {
        response.resume();
        response.once("end", () => resolve(response.statusCode ?? 0));
      },
    );
    asked.once("error", reject);
    asked.end();
  });
}
