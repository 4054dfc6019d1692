import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { makeHome, runPortolan, startPortolan } from "../e2e/portolan.ts";
import type { Home, Started } from "../e2e/portolan.ts";
import { eventually, run } from "../e2e/tools.ts";
import { podOn, startLab } from "./lab.ts";
import type { Lab } from "./lab.ts";

/** Tells its Pod's name to whoever asks, by HTTP and by datagrams. */
const PROGRAM = `
const name = process.env.HOSTNAME + "\\n";
require("node:http").createServer((_, response) => response.end(name)).listen(8080, "::");
const socket = require("node:dgram").createSocket("udp6");
socket.on("message", (_, { address, port }) => socket.send(name, port, address));
socket.bind(8080);
`;
const COMMAND = [process.execPath, "-e", PROGRAM];
const PORTS = [
  { name: "http", port: 80, targetPort: 8080 },
  { name: "told", port: 80, targetPort: 8080, protocol: "UDP" },
];

function service(name: string, spec: object): object {
  return { apiVersion: "v1", kind: "Service", metadata: { name }, spec: { ports: PORTS, ...spec } };
}

const OBJECTS = [
  podOn("node-1", "web-1", COMMAND, 8080, {}),
  podOn("node-2", "web-2", COMMAND, 8080, {}),
  service("web", { selector: { app: "web" } }),
  service("empty", { selector: { app: "none" } }),
  service("headless", { selector: { app: "web" }, clusterIP: "None" }),
];

describe("what a lab forwards to the host", { timeout: 59_000 }, () => {
  let home: Home;
  let lab: Lab;

  before(async () => {
    home = await makeHome();
    lab = await startLab(home, "--nodes 2");
    const list = { apiVersion: "v1", kind: "List", items: OBJECTS };
    await lab.kubectl("apply -f -", JSON.stringify(list));
    await lab.kubectl("wait pod --all --for=condition=Ready --timeout=30s");
  });
  after(async () => {
    await lab[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  /** The host's port for a port of the target, when it is listened on. */
  const portOf = (forward: Started, remote: string): Promise<string> =>
    eventually(
      "it listens",
      () =>
        new RegExp(`^127\\.0\\.0\\.1:(\\d+) -> .* port ${remote}$`, "m").exec(
          forward.stderr(),
        )?.[1],
    );

  /** What the Pods answer to datagrams of so many clients, and to each client's second one. */
  const tell = async (port: string, clients: number): Promise<readonly string[][]> =>
    Promise.all(
      Array.from({ length: clients }, async () => {
        const socket = createSocket("udp4");
        const answers: string[] = [];
        try {
          for (let i = 0; i < 2; i++) {
            const answered = once(socket, "message");
            socket.send("who?", Number(port), "127.0.0.1");
            answers.push(String(((await answered) as [Buffer])[0]).trim());
          }
        } finally {
          socket.close();
        }
        return answers;
      }),
    );

  it("is a Service's connections and datagrams, several ports at once, by number and by name", async () => {
    await using forward = startPortolan(home, "lab forward svc/web :http :80/udp");
    const port = await portOf(forward, "80/tcp");
    const answer = await (await fetch(`http://127.0.0.1:${port}/`)).text();
    assert.match(answer, /^web-[12]$/m);
    const told = await tell(await portOf(forward, "80/udp"), 24);
    assert.deepEqual([...new Set(told.flat())].sort(), ["web-1", "web-2"]);
    // Each client is one of the kernel's connections, as it is without a forwarder.
    assert.ok(told.every(([first, second]) => first === second));
  });

  it("is the cluster's names, for dig", async () => {
    await using forward = startPortolan(
      home,
      "lab forward -n kube-system kube-dns :53/udp :53/tcp",
    );
    const name = "web.default.svc.cluster.local";
    const address = await lab.kubectl("get service web -o jsonpath={.spec.clusterIP}");
    for (const [protocol, more] of [
      ["udp", "+notcp"],
      ["tcp", "+tcp"],
    ] as const) {
      const port = await portOf(forward, `53/${protocol}`);
      const words = ["+short", "+tries=1", more, "@127.0.0.1", "-p", port, name];
      const answers = await Promise.all(Array.from({ length: 10 }, () => run("dig", words)));
      for (const { stdout } of answers) assert.equal(stdout.trim(), address);
    }
  });

  it("is a Pod's", async () => {
    await using forward = startPortolan(home, "lab forward pod/web-2 :8080 :8080/udp");
    const port = await portOf(forward, "8080/tcp");
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "web-2\n");
    assert.deepEqual(await tell(await portOf(forward, "8080/udp"), 1), [["web-2", "web-2"]]);
  });

  it("says once that nobody takes datagrams there", async () => {
    await using forward = startPortolan(home, "lab forward empty :80/udp");
    const port = Number(await portOf(forward, "80/udp"));
    const socket = createSocket("udp4");
    const said = await eventually("it is said", () => {
      socket.send("who?", port, "127.0.0.1");
      return /^portolan: .*:80: nobody takes datagrams there$/m.exec(forward.stderr())?.[0];
    });
    socket.close();
    assert.equal(forward.stderr().split(said).length, 2);
  });

  it("is told from what cannot be", async () => {
    await using taken = startPortolan(home, "lab forward web :80/udp");
    const port = await portOf(taken, "80/udp");
    for (const [args, message] of [
      ["web 8080:81/udp", /Service web has no port 81\/udp; it has 80\/tcp, 80\/udp/],
      ["web told", /Service web has no port told\/tcp/],
      ["none 80", /there is no service none in namespace default/],
      ["web.other 80", /there is no service web in namespace other/],
      ["pod/web-9 80", /there is no pod web-9 in namespace default/],
      ["headless 80", /Service headless has no cluster IP to forward to; pod\/NAME/],
      [`web ${port}:80/udp`, /cannot be had: somebody listens there; give another/],
    ] as const) {
      const { code, stderr } = await runPortolan(home, `lab forward ${args}`);
      assert.equal(code, 1, stderr);
      assert.match(stderr, message);
    }
  });
});
