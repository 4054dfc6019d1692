import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { makeHome } from "../e2e/portolan.ts";
import type { Home } from "../e2e/portolan.ts";
import { eventually } from "../e2e/tools.ts";
import { startLab } from "./lab.ts";
import type { Lab } from "./lab.ts";

const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

const manifests = (host: string): string => `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue, nested.conf: "a=1"}
binaryData: {bytes: /wAB}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {password: s3cret}
---
apiVersion: v1
kind: Pod
metadata: {name: reader, labels: {tier: front}, annotations: {note: first}}
spec:
  volumes:
    - {name: settings, configMap: {name: settings}}
    - {name: chosen, configMap: {name: settings, items: [{key: color, path: deep/er/colour, mode: 0400}]}}
    - {name: keys, secret: {secretName: keys, defaultMode: 0440}}
    - {name: maybe, secret: {secretName: absent, optional: true}}
    - {name: about, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
    - name: all
      projected:
        sources:
          - configMap: {name: settings, items: [{key: color, path: color}]}
          - secret: {name: keys}
          - downwardAPI:
              items:
                - {path: cpu, resourceFieldRef: {containerName: main, resource: limits.cpu}}
          - serviceAccountToken: {path: vault-token, audience: vault, expirationSeconds: 600}
    - {name: scratch, emptyDir: {}}
    - {name: memory, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
    - {name: host, hostPath: {path: ${host}, type: Directory}}
    - {name: made, hostPath: {path: ${host}/made/here, type: DirectoryOrCreate}}
  containers:
    - name: main
      command: [sleep, infinity]
      resources: {limits: {cpu: "2"}}
      env: [{name: WHO, value: main}]
      volumeMounts:
        - {name: settings, mountPath: /config}
        - {name: settings, mountPath: /etc/app/nested.conf, subPath: nested.conf}
        - {name: chosen, mountPath: /srv/chosen}
        - {name: keys, mountPath: /etc/keys}
        - {name: maybe, mountPath: /maybe}
        - {name: about, mountPath: /about}
        - {name: all, mountPath: /all}
        - {name: scratch, mountPath: /tmp}
        - {name: scratch, mountPath: /mine, subPathExpr: of/$(WHO)}
        - {name: memory, mountPath: /memory}
        - {name: host, mountPath: /host, readOnly: true}
        - {name: made, mountPath: /made}
    - name: other
      command: [sleep, infinity]
      volumeMounts:
        - {name: scratch, mountPath: /config}
        - {name: memory, mountPath: /memory}
        - {name: host, mountPath: /host}
`;

describe("volumes in a lab", { timeout: 110_000 }, () => {
  let home: Home;
  let lab: Lab;
  let host: string;

  before(async () => {
    home = await makeHome();
    host = await mkdtemp(join(tmpdir(), "portolan-host-"));
    await writeFile(join(host, "file"), "of the host");
    lab = await startLab(home, "--nodes 1");
    await lab.kubectl("apply -f -", manifests(host));
    await lab.kubectl("wait pod/reader --for=condition=Ready --timeout=30s");
  });

  after(async () => {
    await lab[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
    await rm(host, { recursive: true, force: true });
  });

  const sh = (script: string, container = "main"): Promise<string> =>
    lab.kubectl(["exec", "reader", "-c", container, "--", "sh", "-c", script]);

  it("show ConfigMaps and Secrets as files, with their keys, paths and modes", async () => {
    assert.equal(await sh("cat /config/color"), "blue");
    assert.equal(await sh("od -An -tx1 /config/bytes | tr -d ' \\n'"), "ff0001");
    assert.equal(await sh("cat /etc/app/nested.conf"), "a=1");
    assert.equal(await sh("ls -1 /srv/chosen; cat /srv/chosen/deep/er/colour"), "deep\nblue");
    assert.equal(
      await sh("stat -L -c %a /srv/chosen/deep/er/colour /etc/keys/password"),
      "400\n440\n",
    );
    assert.equal(await sh("cat /etc/keys/password"), "s3cret");
    assert.equal(await sh("ls /maybe"), "");
    assert.match(await sh("readlink /config/color"), /^\.\.data\/color$/m);
  });

  it("show several sources and the Pod itself", async () => {
    assert.equal(await sh("cd /all; cat color password cpu"), "blues3cret2");
    const [, claims = ""] = (await sh("cat /all/vault-token")).split(".");
    const { aud } = JSON.parse(Buffer.from(claims, "base64url").toString()) as { aud: unknown };
    assert.deepEqual(aud, ["vault"]);
    assert.equal(await sh("cat /about/labels"), 'tier="front"');
  });

  it("leave all other files where they are, and make nothing on the host", async () => {
    assert.equal(await sh("cat /etc/hostname"), await readFile("/etc/hostname", "utf8"));
    assert.match(await sh("cat /etc/resolv.conf"), /10\.96\.0\.10/);
    assert.ok(!existsSync("/config") && !existsSync("/etc/app") && !existsSync("/srv/chosen"));
    assert.ok(!existsSync("/run/secrets/kubernetes.io"));
  });

  it("refuse to be written where they are read-only", async () => {
    for (const path of ["/config/color", "/etc/keys/new", "/host/file", `${ACCOUNT}/token`])
      assert.match(await sh(`(echo x > ${path}) 2>&1; true`), /Read-only file system/, path);
    assert.equal(await readFile(join(host, "file"), "utf8"), "of the host");
  });

  it("are shared by a Pod's containers, each at its own paths", async () => {
    await sh("echo one > /tmp/shared; echo two > /memory/shared; echo three > /mine/x");
    assert.equal(
      await sh("cat /config/shared /memory/shared /config/of/main/x", "other"),
      "one\ntwo\nthree\n",
    );
    await sh("echo written > /host/file", "other");
    assert.equal(await readFile(join(host, "file"), "utf8"), "written\n");
    assert.ok(existsSync(join(host, "made/here")));
  });

  it("hold a volume in memory to its size", async () => {
    const said = await sh(
      "head -c 2000000 /dev/zero 2>&1 > /memory/big; stat -c %s /memory/big; rm /memory/big",
    );
    assert.ok(Number(said.trim().split("\n").at(-1)) <= 1_048_576, said);
  });

  it("keep what may be secret off the disk, and for nobody else to read", async () => {
    const kinds = await sh(
      "stat -f -c %T /etc/keys /all /about ACCOUNT".replace("ACCOUNT", ACCOUNT),
    );
    assert.equal(kinds, "tmpfs\n".repeat(4));
    const uid = await lab.kubectl("get pod reader -o jsonpath={.metadata.uid}");
    const files = await lab.exec(
      "node-1",
      "find",
      dirname(lab.kubeconfig),
      "-path",
      `*${uid}*`,
      "-name",
      "password",
    );
    assert.ok(
      files
        .trim()
        .split("\n")
        .every((file) => file.includes(`/memory/${uid}/`)),
      files,
    );
    const [file = ""] = files.split("\n");
    const memory = file.slice(0, file.indexOf(`/${uid}/`));
    assert.equal(await lab.exec("node-1", "stat", "-c", "%a", memory), "700\n");
    assert.ok(!existsSync(file), "seen from outside the lab");
  });

  it("cost a Pod its place that puts more into an emptyDir than its limit", async () => {
    await lab.kubectl(
      "apply -f -",
      `
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec:
  volumes: [{name: data, emptyDir: {sizeLimit: 1Mi}}]
  containers:
    - name: c
      command: [sh, -c, "head -c 3000000 /dev/zero > /data/file; exec sleep infinity"]
      volumeMounts: [{name: data, mountPath: /data}]
`,
    );
    await lab.kubectl("wait pod/greedy --for=jsonpath={.status.phase}=Failed --timeout=30s");
    const message = 'Usage of EmptyDir volume "data" exceeds the limit "1Mi". ';
    const show = (path: string): Promise<string> =>
      lab.kubectl(["get", "pod", "greedy", "-o", `jsonpath={.status.${path}}`]);
    assert.equal(await show("reason"), "Evicted");
    assert.equal(await show("message"), message);
    assert.equal(
      await show('conditions[?(@.type=="DisruptionTarget")].reason'),
      "TerminationByKubelet",
    );
    await eventually("it is told", async () =>
      (await lab.kubectl(["get", "events", "--field-selector", "reason=Evicted"])).includes(
        message.trim(),
      ),
    );
  });

  it("follow changes of their objects and of the Pod, all at once", async () => {
    await lab.kubectl([
      "patch",
      "configmap",
      "settings",
      "-p",
      '{"data":{"color":"red","more":"1"}}',
    ]);
    await lab.kubectl("label pod reader tier=back --overwrite");
    await eventually("the new files are there", async () => {
      const seen = await sh("cat /config/color /config/more /all/color /about/labels; true");
      return seen === 'red1redtier="back"';
    });
    // A part of a volume stays as it was.
    assert.equal(await sh("cat /etc/app/nested.conf"), "a=1");
  });

  it("let a program speak to the API with its Pod's token, where all clients look for it", async () => {
    const ask =
      `cd ${ACCOUNT} && curl -s --cacert ca.crt -H "Authorization: Bearer $(cat token)" ` +
      "https://kubernetes.default.svc/apis/authentication.k8s.io/v1/selfsubjectreviews -X POST " +
      `-H content-type:application/json -d '{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}'`;
    assert.match(await sh(ask), /"username": ?"system:serviceaccount:default:default"/);
    assert.equal(await sh(`cat ${ACCOUNT}/namespace`), "default");
    assert.equal(await lab.exec("pod/reader", "cat", `${ACCOUNT}/namespace`), "default");
  });

  it("make a container wait for what is missing, and tell why", async () => {
    const pod = (name: string, volume: string): string => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec:
  volumes: [{name: v, ${volume}}]
  containers: [{name: c, command: [sleep, infinity], volumeMounts: [{name: v, mountPath: /v}]}]
`;
    await lab.kubectl("apply -f -", pod("waiting", "configMap: {name: late}"));
    const told = (name: string): Promise<string> =>
      lab.kubectl(["get", "events", "--field-selector", `involvedObject.name=${name}`]);
    await eventually("it is told", async () =>
      /FailedMount .*MountVolume.SetUp failed for volume "v" : configmap "late" not found/.test(
        await told("waiting"),
      ),
    );
    assert.equal(
      await lab.kubectl(
        "get pod waiting -o jsonpath={.status.containerStatuses[0].state.waiting.reason}",
      ),
      "ContainerCreating",
    );
    await lab.kubectl("create configmap late --from-literal=a=b");
    await lab.kubectl("wait pod/waiting --for=condition=Ready --timeout=30s");
    await lab.kubectl(
      "apply -f -",
      pod("nothost", `hostPath: {path: ${host}/file, type: Directory}`),
    );
    await eventually("it is told", async () =>
      /FailedMount .*hostPath type check failed: .*is not a directory/.test(await told("nothost")),
    );
    await lab.kubectl("apply -f -", pod("claimed", "persistentVolumeClaim: {claimName: c}"));
    await lab.kubectl("wait pod/claimed --for=condition=Ready --timeout=30s");
    assert.match(await told("claimed"), /VolumesNotMounted .*\/v: nothing is mounted there/);
  });

  it("go with their Pod", async () => {
    const uid = await lab.kubectl("get pod waiting -o jsonpath={.metadata.uid}");
    const dirs = (): Promise<string> =>
      lab.exec("node-1", "find", dirname(lab.kubeconfig), "-type", "d", "-name", uid);
    // Of the Pod, of its sandbox, and in memory.
    assert.equal((await dirs()).trim().split("\n").length, 3);
    await lab.kubectl("delete pod waiting --grace-period=1");
    await eventually("the folders are gone", async () => (await dirs()) === "");
  });
});
