// A load generator that costs little of the machine that it shares: HTTP/1.1 by hand on kept TLS connections.
import { readFileSync } from "node:fs";
import { connect } from "node:tls";
import { parse } from "yaml";

/** What TLS needs to reach the API of a kubeconfig as its user. */
export function tlsOf(kubeconfig, protocol = "http/1.1") {
  const config = parse(readFileSync(kubeconfig, "utf8"));
  const { server, "certificate-authority-data": ca } = config.clusters[0].cluster;
  const user = config.users[0].user;
  const { hostname, port } = new URL(server);
  const decode = (text) => Buffer.from(text, "base64");
  return {
    host: hostname,
    port: Number(port),
    ca: decode(ca),
    cert: decode(user["client-certificate-data"]),
    key: decode(user["client-key-data"]),
    ALPNProtocols: [protocol],
  };
}

const HEADER_END = Buffer.from("\r\n\r\n");

/** One connection, one request at a time. */
export class RawClient {
  #socket;
  #settle;
  #received = [];
  #size = 0;
  /** Bytes of the answer under way; unknown before its headers are there. */
  #expected = Infinity;
  #bodyStart = 0;

  static async open(tls) {
    const client = new RawClient();
    client.#socket = connect(tls);
    client.#socket.setNoDelay(true);
    await new Promise((resolve, reject) => {
      client.#socket.once("secureConnect", resolve);
      client.#socket.once("error", reject);
    });
    client.#socket.on("data", (chunk) => client.#take(chunk));
    client.#socket.on("close", () => client.#settle?.reject(new Error("connection closed")));
    client.#socket.on("error", () => {});
    return client;
  }

  get(path) {
    return this.send(`GET ${path} HTTP/1.1\r\nhost: a\r\naccept: application/json\r\n\r\n`);
  }

  /** `body` is ASCII JSON. */
  post(path, body) {
    return this.send(
      `POST ${path} HTTP/1.1\r\nhost: a\r\naccept: application/json\r\ncontent-type: application/json\r\ncontent-length: ${String(body.length)}\r\n\r\n${body}`,
    );
  }

  put(path, body) {
    return this.send(
      `PUT ${path} HTTP/1.1\r\nhost: a\r\naccept: application/json\r\ncontent-type: application/json\r\ncontent-length: ${String(body.length)}\r\n\r\n${body}`,
    );
  }

  /** @returns the body's bytes. */
  send(text) {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#socket.write(text);
    });
  }

  close() {
    this.#settle = undefined;
    this.#socket.destroy();
  }

  #take(chunk) {
    this.#received.push(chunk);
    this.#size += chunk.length;
    if (this.#expected === Infinity) {
      const all = this.#received.length === 1 ? chunk : Buffer.concat(this.#received);
      this.#received = [all];
      const end = all.indexOf(HEADER_END);
      if (end === -1) return;
      const length = /\r\ncontent-length: (\d+)/i.exec(all.latin1Slice(0, end))?.[1];
      this.#bodyStart = end + 4;
      this.#expected = this.#bodyStart + Number(length);
    }
    if (this.#size < this.#expected) return;
    const answer = this.#received.length === 1 ? this.#received[0] : Buffer.concat(this.#received);
    this.#received = [];
    this.#size = 0;
    this.#expected = Infinity;
    const { resolve, reject } = this.#settle;
    this.#settle = undefined;
    // "HTTP/1.1 2.."
    if (answer[9] === 0x32) resolve(answer.subarray(this.#bodyStart));
    else reject(new Error(answer.latin1Slice(0, 2000)));
  }
}

/** Runs `work(client, 0..count-1)` over all clients, each with one request at a time. */
export async function overAll(clients, count, work) {
  let next = 0;
  await Promise.all(
    clients.map(async (client) => {
      while (next < count) await work(client, next++);
    }),
  );
}
