import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { makeHome, runPortolan, startPortolan, startUp } from "./portolan.ts";
import type { Home, Up } from "./portolan.ts";
import { eventually, missing } from "./tools.ts";

const LISTEN = "--api-listen 127.0.0.1:0 --dns-listen 127.0.0.1:0";
const needsKubectl = { skip: missing("kubectl") };

describe("portolan up", () => {
  let home: Home;
  before(async () => {
    home = await makeHome();
  });
  after(() => home[Symbol.asyncDispose]());
  /** Runs `up` where it must fail. */
  const refused = async (args: string) => {
    const { code, stdout, stderr } = await runPortolan(home, `up ${args}`);
    assert.equal(stdout, "");
    assert.match(stderr, /^portolan: .+\n$/, "one line");
    return { code, stderr };
  };

  it("-o json says in one line that it is ready, and the kubeconfig is its owner's alone", async () => {
    await using up = await startUp(home);
    const ready: unknown = JSON.parse(up.stdout());
    assert.equal(up.stdout().split("\n").length, 2);
    assert.ok(typeof ready === "object" && ready !== null);
    const keys = ["ready", "api", "dns", "kubeconfig", "pid", "startMs"];
    assert.deepEqual(Object.keys(ready), keys);
    assert.match(up.api, /^https:\/\/127\.0\.0\.1:\d+$/);
    assert.match(up.dns, /^127\.0\.0\.1:\d+$/);
    assert.equal(up.pid, "pid" in ready && ready.pid);
    assert.equal(statSync(up.kubeconfig).mode & 0o777, 0o600);
    await up.stop();
    assert.equal(up.stderr(), "");
    assert.equal(up.stdout().split("\n").length, 2);
    assert.deepEqual(readdirSync(home.env["TMPDIR"] ?? ""), []);
  });

  it("without -o says on stderr where everything is", async () => {
    await using up = startPortolan(home, `up --ephemeral ${LISTEN}`);
    await eventually("it is ready", () => up.stderr().includes("Portolan is ready"));
    const { code, stdout, stderr } = await up.end("SIGTERM");
    assert.equal(code, 0);
    assert.equal(stdout, "");
    assert.match(stderr, /export KUBECONFIG=\S+admin\.kubeconfig/);
  });

  it("runs side by side with another, with addresses of its own", needsKubectl, async () => {
    await using one = await startUp(home);
    await using two = await startUp(home);
    const address = (up: Up) =>
      up.kubectl(["get", "svc", "kubernetes", "-o", "jsonpath={.spec.clusterIP}"]);
    assert.notEqual(await address(one), await address(two));
    await one.kubectl("create ns only-one");
    assert.match(await two.kubectlFails("get ns only-one"), /NotFound/);
  });

  it("refuses a range that another one uses, and names both", needsKubectl, async () => {
    await using up = await startUp(home);
    const address = await up.kubectl("get svc kubernetes -o jsonpath={.spec.clusterIP}");
    const range = `${address.split(".").slice(0, 2).join(".")}.0.0/16`;
    const { code, stderr } = await refused(`--ephemeral --service-cidr ${range} ${LISTEN}`);
    assert.equal(code, 1);
    assert.match(stderr, /the addresses 127\.[\d.]+\/20 are in use by/);
    assert.ok(stderr.includes(`pid ${String(up.pid)}`) && stderr.includes("--service-cidr"));
  });

  it("reads settings from a file", needsKubectl, async () => {
    const file = join(home.path, "config.yaml");
    const whoami = '{ command: ["sh", "-c", "echo it is me; sleep 60"] }';
    await writeFile(
      file,
      `serviceCidr: 127.108.16.0/20
podCidr: 127.124.16.0/20
clusterDomain: example.test
nodePortRange: 31000-31010
images:
  example.test/me: ${whoami}
`,
    );
    await using up = await startUp(home, { args: `--config ${file}` });
    const address = await up.kubectl("get svc kubernetes -o jsonpath={.spec.clusterIP}");
    assert.match(address, /^127\.108\.16\./);
    const name = "kubernetes.default.svc.example.test";
    assert.equal((await up.dig(`+short ${name}`)).trim(), address);
    await up.kubectl("create service nodeport n --tcp=80");
    assert.match(await up.kubectl("get svc n"), /80:310(0\d|10)\/TCP/);
    await up.kubectl("run me --image=example.test/me");
    await up.kubectl("wait --for=condition=Ready pod/me --timeout=20s");
    assert.match(await up.kubectl("get pod me -o wide"), /127\.124\.\d+\.\d+/);
    await eventually(
      "its log is there",
      async () => (await up.kubectl("logs me")) === "it is me\n",
    );
  });

  it("names a setting that it does not know or cannot use, and exits 2", async () => {
    const file = join(home.path, "bad.yaml");
    await writeFile(file, "apiListn: 127.0.0.1:1\n");
    const cases = [
      ["--nope", /'--nope'.*--help/],
      ["--api-listen nowhere", /--api-listen: "nowhere" is not IP:PORT/],
      ["--api-listen 127.0.0.1:99999", /--api-listen: "127\.0\.0\.1:99999"/],
      ["--service-cidr 10.0.0.0/16", /--service-cidr: "10\.0\.0\.0\/16" is outside 127/],
      ["--service-cidr 127.96.0.0/16 --pod-cidr 127.96.0.0/20", /--pod-cidr: .* overlaps/],
      ["--node-port-range 5", /--node-port-range: "5"/],
      ["--cluster-domain Not_A_Domain", /--cluster-domain: "Not_A_Domain"/],
      ["--ephemeral --data-dir x", /--ephemeral: .*--data-dir/],
      ["-o yaml", /--output: "yaml" is not json/],
      [`--config ${file}`, /bad\.yaml: no setting "apiListn"; there are .*apiListen/],
      [`--config ${home.path}/none.yaml`, /none\.yaml cannot be read: ENOENT/],
      ["extra", /'extra'/],
    ] as const;
    for (const [args, message] of cases) {
      const { code, stderr } = await refused(args);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
    }
    const { code, stderr } = await runPortolan(home, "upp");
    assert.deepEqual([code, stderr], [2, 'portolan: no command "upp"; see portolan --help\n']);
  });

  it("names a port that is in use, and exits 1", async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    const taken = `127.0.0.1:${String(address.port)}`;
    for (const [flag, other] of [
      ["--api-listen", "--dns-listen"],
      ["--dns-listen", "--api-listen"],
    ] as const) {
      const { code, stderr } = await refused(`--ephemeral ${flag} ${taken} ${other} 127.0.0.1:0`);
      assert.equal(code, 1);
      assert.ok(stderr.includes(`${taken}: the port is in use`), stderr);
    }
    server.close();
    assert.deepEqual(readdirSync(home.env["TMPDIR"] ?? ""), []);
  });

  it("names a data dir that it cannot use, and exits 1", async () => {
    const file = join(home.path, "a-file");
    await writeFile(file, "");
    for (const dir of [file, join(file, "below"), "/proc/portolan"]) {
      const { code, stderr } = await refused(`--data-dir ${dir} ${LISTEN}`);
      assert.equal(code, 1);
      assert.ok(stderr.includes(dir) && stderr.includes("--data-dir"), stderr);
    }
  });

  it("names a data dir that it may not write, and exits 1", {
    skip: process.getuid?.() === 0 ? "root may write anywhere" : false,
  }, async () => {
    const dir = join(home.path, "read-only");
    await mkdir(dir);
    await chmod(dir, 0o500);
    const { code, stderr } = await refused(`--data-dir ${dir} ${LISTEN}`);
    assert.equal(code, 1);
    assert.ok(stderr.includes(`${dir} cannot be written`), stderr);
  });

  it(
    "applies the good documents beside a bad one, and says which that was",
    needsKubectl,
    async () => {
      const dir = join(home.path, "manifests");
      await mkdir(dir);
      const configMap = (name: string) =>
        `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name} }\n`;
      const bad =
        "apiVersion: v1\nkind: Service\nmetadata: { name: bad }\nspec: { ports: [{ port: 0 }] }\n";
      const mixed = [configMap("one"), bad, "a: [\n", configMap("two")].join("---\n");
      await writeFile(join(dir, "a.yaml"), mixed);
      await writeFile(
        join(dir, "b.json"),
        JSON.stringify({ apiVersion: "v2", kind: "Pod", metadata: { name: "p" } }),
      );
      await writeFile(join(dir, "c.yml"), configMap("three"));
      await using up = await startUp(home, { args: `-f ${dir} -f ${home.path}/none.yaml` });
      assert.equal(
        await up.kubectl("get cm one two three -o name"),
        "configmap/one\nconfigmap/two\nconfigmap/three\n",
      );
      const problems = up.stderr().trimEnd().split("\n");
      assert.match(
        problems[0] ?? "",
        /not applied: .*a\.yaml, document 2 \(Service bad\): .*ports\[0\]\.port/,
      );
      assert.match(problems[1] ?? "", /not applied: .*a\.yaml, document 3/);
      assert.match(
        problems[2] ?? "",
        /not applied: .*b\.json, document 1 .*no matches for kind "Pod" in version "v2"/,
      );
      assert.match(problems[3] ?? "", /not applied: .*none\.yaml: cannot be read/);
      assert.equal(problems.length, 4);
      await up.stop();
    },
  );

  it("applies custom resources after their definitions", needsKubectl, async () => {
    const dir = join(home.path, "custom");
    await mkdir(dir);
    const widget = (apiVersion: string) =>
      `apiVersion: ${apiVersion}\nkind: Widget\nmetadata: { name: one }\nspec: { size: 3 }\n`;
    const file = (name: string, ...documents: readonly string[]) =>
      writeFile(join(dir, name), documents.join("---\n"));
    await file("a.yaml", widget("shop.test/v1"), widget("shop.test/v3"));
    await file("b.yaml", WIDGETS);
    const dataDir = join(home.path, "custom-state");
    for (const outcome of ["made", "made before"]) {
      await using up = await startUp(home, { args: `-f ${dir}`, dataDir });
      const size = await up.kubectl("get widget one -o jsonpath={.spec.size}");
      assert.equal(size, "3", outcome);
      assert.match(
        up.stderr(),
        /^portolan: not applied: \S+a\.yaml, document 2 .*no matches for kind "Widget" in version "shop\.test\/v3".*\n$/,
      );
      await up.stop();
    }
  });

  it("SVC-032: denies new external IPs where it is told to", needsKubectl, async () => {
    const service = JSON.stringify({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "taker" },
      spec: { ports: [{ port: 80 }], externalIPs: ["192.0.2.7"] },
    });
    await using up = await startUp(home, { args: "--deny-service-external-ips" });
    assert.match(
      await up.kubectlFails("create -f -", service),
      /services "taker" is forbidden: Use of external IPs is denied by admission control\.$/m,
    );
  });
});

const WIDGETS = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: widgets.shop.test }
spec:
  group: shop.test
  scope: Namespaced
  names: { plural: widgets, kind: Widget }
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties: { spec: { type: object, properties: { size: { type: integer } } } }
`;
