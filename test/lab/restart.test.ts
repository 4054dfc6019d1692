import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { makeHome } from "../e2e/portolan.ts";
import type { Home } from "../e2e/portolan.ts";
import { eventually } from "../e2e/tools.ts";
import { startLab } from "./lab.ts";
import type { Lab } from "./lab.ts";

const MANIFESTS = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue, run: "#!/bin/sh\\necho begun\\necho $$ > /scratch/pid\\nexec sleep infinity\\n"}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {password: s3cret}
---
apiVersion: v1
kind: Pod
metadata: {name: reader}
spec:
  volumes:
    - {name: settings, configMap: {name: settings, defaultMode: 0755}}
    - {name: keys, secret: {secretName: keys}}
    - {name: scratch, emptyDir: {}}
    - {name: memory, emptyDir: {medium: Memory}}
    - {name: small, emptyDir: {sizeLimit: 1Mi}}
  containers:
    - name: main
      command: [/config/run]
      volumeMounts:
        - {name: settings, mountPath: /config}
        - {name: settings, mountPath: /etc/app/color, subPath: color}
        - {name: keys, mountPath: /keys}
        - {name: scratch, mountPath: /scratch}
        - {name: memory, mountPath: /memory}
        - {name: small, mountPath: /small}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
    - {name: web, image: portolan.dev/whoami, readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
`;

describe("a node of a lab whose program is killed", { timeout: 110_000 }, () => {
  let home: Home;
  let lab: Lab;

  before(async () => {
    home = await makeHome();
    lab = await startLab(home, "--nodes 1");
    await lab.kubectl("apply -f -", MANIFESTS);
    await lab.kubectl("wait pod/reader pod/web --for=condition=Ready --timeout=30s");
  });

  after(async () => {
    await lab[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  const sh = (script: string): Promise<string> =>
    lab.kubectl(["exec", "reader", "--", "sh", "-c", script]);
  /** The node's program, as the lab's PID namespace has it. */
  const programs = async (): Promise<readonly string[]> => {
    const file = join(dirname(lab.kubeconfig), "node-1.json");
    const { stdout } = await lab.tryExec("node-1", "pgrep", "-f", `lab-part --part ${file}`);
    return stdout.trim().split("\n");
  };
  const statusOf = (pod: string, path: string): Promise<string> =>
    lab.kubectl(["get", "pod", pod, "-o", `jsonpath={.status.${path}}`]);

  it("is back, with its Pods as they were, their volumes, and a Service that never paused", async () => {
    await sh("echo kept > /scratch/file; echo kept > /memory/file");
    const started = await statusOf("reader", "containerStatuses[0].state.running.startedAt");
    const [before = ""] = await programs();
    const ip = (await lab.kubectl("get service web -o jsonpath={.spec.clusterIP}")).trim();

    await lab.exec("node-1", "kill", "-9", before);
    // The rules are the kernel's.
    await lab.exec("node-1", "curl", "-sf", "--max-time", "5", `http://${ip}/`);
    await eventually("another program serves the node", async () => {
      const now = await programs();
      return now.length === 1 && now[0] !== "" && now[0] !== before && (await sh("true")) === "";
    });

    assert.equal(
      await sh("cat /scratch/file /memory/file /keys/password /config/color /etc/app/color"),
      "kept\nkept\ns3cretblueblue",
    );
    await sh("kill -0 $(cat /scratch/pid)");
    assert.equal(await statusOf("reader", "containerStatuses[0].restartCount"), "0");
    assert.equal(await statusOf("reader", "containerStatuses[0].state.running.startedAt"), started);
    assert.equal(await lab.kubectl("logs reader"), "begun\n");
    await lab.exec("node-1", "curl", "-sf", "--max-time", "5", `http://${ip}/`);
  });

  it("goes on to bring its Pods' files up to date", async () => {
    await lab.kubectl(["patch", "configmap", "settings", "-p", '{"data":{"color":"red"}}']);
    await lab.kubectl(["patch", "secret", "keys", "-p", '{"stringData":{"password":"other"}}']);
    await eventually(
      "the new files are there",
      async () => (await sh("cat /config/color /keys/password")) === "redother",
    );
    assert.equal(await sh("stat -f -c %T /keys"), "tmpfs\n");
  });

  it("starts a container anew with the volumes that its Pod has", async () => {
    await sh("kill -9 $(cat /scratch/pid)");
    await eventually(
      "it runs again",
      async () =>
        (await statusOf("reader", "containerStatuses[0].restartCount")) === "1" &&
        (await statusOf("reader", "containerStatuses[0].ready")) === "true",
    );
    assert.equal(
      await sh("cat /scratch/file /memory/file /keys/password /etc/app/color"),
      "kept\nkept\notherred",
    );
  });

  it("still counts what its Pods' volumes take", async () => {
    await sh("head -c 3000000 /dev/zero > /small/file");
    await eventually(
      "it is evicted",
      async () => (await statusOf("reader", "reason")) === "Evicted",
    );
    await lab.kubectl("delete pod reader");
  });

  it("ends the lab when it cannot stay", async () => {
    const ended = lab.exited();
    let hasEnded = false;
    void ended.then(() => (hasEnded = true));
    while (!hasEnded) {
      const [pid = ""] = await programs();
      if (pid !== "") await lab.tryExec("node-1", "kill", "-9", pid);
    }
    const { code, stderr } = await ended;
    assert.equal(code, 1);
    assert.match(stderr, /the lab has ended by itself/);
  });
});
