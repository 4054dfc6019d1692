import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { startKubectlServer } from "../../test/apiserver/kubectl.ts";
import type { KubectlServer } from "../../test/apiserver/kubectl.ts";

const serviceYaml = (name: string, targetPort: number, more = "") => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, labels: { app: x } }
spec:
  selector: { app: x }
  ports: [{ name: http, port: 80, targetPort: ${String(targetPort)} }]
${more}`;

describe("kubectl apply --server-side", () => {
  let server: KubectlServer;
  before(async () => {
    server = await startKubectlServer();
  });
  after(() => server[Symbol.asyncDispose]());
  const run = (line: string, stdin = "") => server.run(line.split(" "), { stdin });
  const fails = async (line: string, stdin = "") => {
    const { code, stderr } = await server.kubectl(line.split(" "), { stdin });
    assert.notEqual(code, 0);
    return stderr;
  };
  // Sorted: entries are in the order of their times, whole seconds, and kubectl writes them by several requests.
  const managers = async (name: string) => {
    const each = "{.manager}/{.operation}/{.subresource};";
    const path = `{range .metadata.managedFields[*]}${each}{end}`;
    const listed = await server.run(["get", "svc", name, "-o", `jsonpath=${path}`]);
    return listed
      .split(";")
      .filter((entry) => entry !== "")
      .toSorted();
  };
  const version = (name: string) => run(`get svc ${name} -o jsonpath={.metadata.resourceVersion}`);

  it("creates, changes, and leaves alone what is as it should be", async () => {
    assert.match(
      await run("apply --server-side -f -", serviceYaml("a", 8080)),
      /serverside-applied/,
    );
    const first = await version("a");
    await run("apply --server-side -f -", serviceYaml("a", 8080));
    assert.equal(await version("a"), first);
    await run("apply --server-side -f -", serviceYaml("a", 8081));
    assert.equal(await run("get svc a -o jsonpath={.spec.ports[0].targetPort}"), "8081");
  });

  it("shows managed fields when asked to, in upstream's form", async () => {
    const yaml = await run("get svc a -o yaml --show-managed-fields");
    const [entry] = /^ {2}- apiVersion[^]*?time: /m.exec(yaml) ?? [];
    assert.equal(
      entry,
      `  - apiVersion: v1
    fieldsType: FieldsV1
    fieldsV1:
      f:metadata:
        f:labels:
          f:app: {}
      f:spec:
        f:ports:
          k:{"port":80,"protocol":"TCP"}:
            .: {}
            f:name: {}
            f:port: {}
            f:targetPort: {}
        f:selector: {}
    manager: kubectl
    operation: Apply
    time: `,
    );
    assert.doesNotMatch(await run("get svc a -o yaml"), /managedFields/);
  });

  it("tells of a conflict, and takes over by force", async () => {
    const yaml = serviceYaml("a", 9090);
    assert.match(
      await fails("apply --server-side --field-manager=ci -f -", yaml),
      /^error: Apply failed with 1 conflict: conflict with "kubectl": \.spec\.ports\[port=80,protocol="TCP"\]\.targetPort\nPlease review the fields above/,
    );
    await run("apply --server-side --field-manager=ci --force-conflicts -f -", yaml);
    assert.equal(await run("get svc a -o jsonpath={.spec.ports[0].targetPort}"), "9090");
    assert.match(
      await fails("apply --server-side -f -", serviceYaml("a", 8080, "  type: NodePort\n")),
      /conflict with "ci"/,
    );
  });

  it("shows what would change, and changes nothing", async () => {
    const before = await version("a");
    const { code, stdout } = await server.kubectl(
      ["diff", "--server-side", "--field-manager=ci", "--force-conflicts", "-f", "-"],
      { stdin: serviceYaml("a", 7070) },
    );
    assert.equal(code, 1);
    assert.match(stdout, /^- {4}targetPort: 9090\n\+ {4}targetPort: 7070$/m);
    const same = await server.kubectl(
      ["diff", "--server-side", "--field-manager=ci", "--force-conflicts", "-f", "-"],
      { stdin: serviceYaml("a", 9090) },
    );
    assert.deepEqual([same.code, same.stdout], [0, ""]);
    await run(
      "apply --server-side --dry-run=server --force-conflicts -f -",
      serviceYaml("a", 7070),
    );
    assert.equal(await version("a"), before);
  });

  it("takes over from client-side apply, and gives back", async () => {
    await run("apply -f -", serviceYaml("m", 8080));
    assert.deepEqual(await managers("m"), ["kubectl-client-side-apply/Update/"]);
    // The changed port is one that kubectl itself set: no conflict with its own past.
    assert.match(
      await run("apply --server-side -f -", serviceYaml("m", 8081)),
      /serverside-applied/,
    );
    assert.deepEqual(await managers("m"), ["kubectl-last-applied/Apply/", "kubectl/Apply/"]);
    const note = await run("get svc m -o jsonpath={.metadata.annotations}");
    assert.match(note, /targetPort\\":8081/, "the note of client-side apply is kept up");
    const before = await version("m");
    await run("apply --server-side -f -", serviceYaml("m", 8081));
    assert.equal(await version("m"), before);

    assert.match(await run("apply -f -", serviceYaml("m", 8082)), /configured/);
    assert.equal(await run("get svc m -o jsonpath={.spec.ports[0].targetPort}"), "8082");
    assert.ok((await managers("m")).includes("kubectl-client-side-apply/Update/"));
    assert.match(await run("apply -f -", serviceYaml("m", 8082)), /unchanged/);
    assert.match(
      await run("apply --server-side -f -", serviceYaml("m", 8083)),
      /serverside-applied/,
    );
    assert.equal(await run("get svc m -o jsonpath={.spec.ports[0].targetPort}"), "8083");
  });

  it("removes a field that the manifest no longer has, also after taking over", async () => {
    await run("apply -f -", serviceYaml("r", 8080, "  publishNotReadyAddresses: true\n"));
    await run(
      "apply --server-side -f -",
      serviceYaml("r", 8080, "  publishNotReadyAddresses: true\n"),
    );
    await run("apply --server-side -f -", serviceYaml("r", 8080));
    assert.equal(await run("get svc r -o jsonpath={.spec.publishNotReadyAddresses}"), "");
  });

  it("says what is wrong with a manifest", async () => {
    assert.match(
      await fails("apply --server-side -f -", serviceYaml("a", 8080, "  nope: 1\n")),
      /failed to create typed patch object \(default\/a; \/v1, Kind=Service\): \.spec\.nope: field not declared in schema/,
    );
    assert.match(
      await fails("apply --server-side -f -", serviceYaml("bad", 8080).replace("80,", "0,")),
      /spec\.ports\[0\]\.port: Invalid value: 0/,
    );
  });

  it("applies to other kinds: a Namespace, a ConfigMap, a Pod", async () => {
    await run(
      "apply --server-side -f -",
      `
apiVersion: v1
kind: Namespace
metadata: { name: other }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: c, namespace: other }
data: { k: v }
---
apiVersion: v1
kind: Pod
metadata: { name: p, namespace: other }
spec:
  containers:
    - name: main
      image: x
      resources: { requests: { cpu: 1000m } }
      env: [{ name: A, value: "1" }, { name: B, value: "2" }]
      ports: [{ containerPort: 80 }]
`,
    );
    const get = "-n other get pod p -o jsonpath={.spec.containers[0].resources.requests.cpu}";
    assert.equal(await run(get), "1");
    await run("delete ns other --wait=false");
  });

  it("stands beside other writers, each of whom owns what it changed", async () => {
    await run("create service clusterip w --tcp=80:80");
    await run("label svc w l=1");
    await run("annotate svc w a=1");
    await server.run(["edit", "svc", "w"], { env: { KUBE_EDITOR: "sed -i s/None/ClientIP/" } });
    await run(`patch svc w -p {"spec":{"publishNotReadyAddresses":true}}`);
    await run(
      `patch svc w --subresource=status --type=merge -p {"status":{"conditions":[{"type":"X","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z","reason":"R","message":"m"}]}}`,
    );
    assert.deepEqual(await managers("w"), [
      "kubectl-annotate/Update/",
      "kubectl-create/Update/",
      "kubectl-edit/Update/",
      "kubectl-label/Update/",
      "kubectl-patch/Update/",
      "kubectl-patch/Update/status",
    ]);
    assert.match(
      await fails("apply --server-side -f -", serviceYaml("w", 80, "  sessionAffinity: None\n")),
      /^error: Apply failed with 4 conflicts: conflicts with "kubectl-create" using v1:\n- \.metadata\.labels\.app\n- \.spec\.ports\[port=80,protocol="TCP"\]\.name\n- \.spec\.selector\nconflicts with "kubectl-edit" using v1:\n- \.spec\.sessionAffinity\n/,
    );
  });
});
