import { readFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import type { RequestOptions } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";

export interface Reply {
  readonly status: number;
  readonly text: string;
}

/** A plain client of a running instance, for load: it says exactly what was acknowledged. */
export interface ApiCaller extends Disposable {
  /** @throws when the connection breaks before the whole answer is here. */
  call(method: string, path: string, body?: unknown): Promise<Reply>;
}

export async function apiCaller(kubeconfig: string): Promise<ApiCaller> {
  const config = new KubeConfig();
  config.loadFromString(await readFile(kubeconfig, "utf8"));
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error(`${kubeconfig} names no cluster`);
  const agent = new Agent({ keepAlive: true });
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const call: ApiCaller["call"] = (method, path, body) =>
    new Promise((resolve, reject) => {
      const asked = request(
        `${cluster.server}${path}`,
        { ...options, agent, method },
        (response) => {
          let text = "";
          response.on("data", (chunk: Buffer) => (text += chunk.toString()));
          response.once("error", reject);
          response.once("close", () => {
            if (response.complete) resolve({ status: response.statusCode ?? 0, text });
            else reject(new Error("the answer broke off"));
          });
        },
      );
      asked.once("error", reject);
      if (body !== undefined) {
        asked.setHeader("content-type", "application/json");
        asked.write(JSON.stringify(body));
      }
      asked.end();
    });
  return { call, [Symbol.dispose]: () => agent.destroy() };
}
