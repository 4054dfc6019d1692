import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { KubeConfig } from "@kubernetes/client-node";
import { KubeconfigError, inClusterConfig, tokenFromFile } from "./client-config.ts";
import { renderKubeconfig, renderKubeconfigJson } from "./kubeconfig.render.ts";
import { kubeconfigPaths, loadKubeconfig } from "./kubeconfig.ts";

const PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const PEM_BASE64 = Buffer.from(PEM).toString("base64");

let directory = "";
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "kubeconfig-"));
  await writeFile(join(directory, "ca.pem"), PEM);
  await writeFile(join(directory, "token"), "from-file\n");
});
after(() => rm(directory, { recursive: true }));

async function write(text: string, name = "config"): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text);
  return path;
}

function config(parts: {
  cluster?: string;
  user?: string;
  context?: string;
  current?: string;
}): string {
  return `
apiVersion: v1
kind: Config
current-context: ${parts.current ?? "main"}
clusters:
- name: c
  cluster: ${parts.cluster ?? "{server: 'https://127.0.0.1:6443'}"}
users:
- name: u
  user: ${parts.user ?? "{token: secret}"}
contexts:
- name: main
  context: ${parts.context ?? "{cluster: c, user: u}"}
`;
}

describe("loadKubeconfig()", () => {
  it("reads what renderKubeconfig() and renderKubeconfigJson() write", async () => {
    const content = {
      server: "https://127.0.0.1:6443",
      ca: PEM,
      cert: PEM,
      key: PEM,
      namespace: "x",
    };
    for (const text of [renderKubeconfig(content), renderKubeconfigJson(content)]) {
      const { server, ca, cert, key, namespace } = await loadKubeconfig([await write(text)]);
      assert.deepEqual({ server, ca, cert, key, namespace }, content);
    }
  });

  it("reads YAML that only begins like JSON", async () => {
    const path = await write(
      "{clusters: [{name: c, cluster: {server: 'https://h'}}], " +
        "contexts: [{name: x, context: {cluster: c}}], current-context: x}",
    );
    assert.equal((await loadKubeconfig([path])).server, "https://h");
  });

  it("reads files relative to the kubeconfig, and the token's file before its text", async () => {
    const path = await write(
      config({
        cluster: "{server: 'https://h', certificate-authority: ca.pem, tls-server-name: api}",
        user: "{token: text, tokenFile: token}",
      }),
    );
    const loaded = await loadKubeconfig([path]);
    assert.equal(loaded.ca, PEM);
    assert.equal(loaded.tlsServerName, "api");
    assert.equal(await loaded.bearerToken?.(), "from-file");
    assert.equal(loaded.namespace, "default");
  });

  it("reads the context that is named instead of the current one", async () => {
    const path = await write(config({ current: "other" }));
    const loaded = await loadKubeconfig([path], { context: "main" });
    assert.equal(await loaded.bearerToken?.(), "secret");
  });

  it("joins several files: the first definition counts, a missing file is left out", async () => {
    const first = await write(
      `{current-context: main, clusters: [{name: c, cluster: {server: 'http://one'}}]}`,
      "1",
    );
    const second = await write(config({}), "2");
    const loaded = await loadKubeconfig([first, join(directory, "none"), second]);
    assert.equal(loaded.server, "http://one");
  });

  it("takes a context without a user", async () => {
    const path = await write(config({ context: "{cluster: c}" }));
    assert.equal((await loadKubeconfig([path])).bearerToken, undefined);
  });

  const refusals: readonly [name: string, text: string, message: RegExp][] = [
    ["text that is not YAML", "a: [", /is not YAML/],
    ["an empty file", "", /is empty or not a mapping/],
    ["no current-context", config({ current: "''" }), /has no current-context/],
    ["an unknown context", config({ current: "nope" }), /has no context "nope"/],
    ["an unknown cluster", config({ context: "{cluster: x, user: u}" }), /has no cluster "x"/],
    ["an unknown user", config({ context: "{cluster: c, user: x}" }), /has no user "x"/],
    ["no server", config({ cluster: "{}" }), /cluster "c" has no server/],
    ["a proxy", config({ cluster: "{server: 'http://h', proxy-url: 'http://p'}" }), /proxy-url/],
    [
      "exec",
      config({ user: "{exec: {command: aws}}" }),
      /user "u" runs a credential plug-in \(exec\)/,
    ],
    ["an auth provider", config({ user: "{auth-provider: {name: gcp}}" }), /legacy auth provider/],
    ["a password", config({ user: "{username: a, password: b}" }), /basic authentication/],
    ["impersonation", config({ user: "{as: admin}" }), /impersonates/],
    [
      "a key without certificate",
      config({ user: `{client-key-data: ${PEM_BASE64}}` }),
      /no client-certificate/,
    ],
    [
      "data that is not PEM",
      config({ user: "{client-certificate-data: eHg=}" }),
      /not base64 of PEM/,
    ],
    ["a missing file", config({ user: "{client-key: nope.pem}" }), /cannot be read from nope.pem/],
  ];
  for (const [name, text, message] of refusals) {
    it(`refuses ${name}, naming it`, async () => {
      const path = await write(text);
      await assert.rejects(loadKubeconfig([path]), (error) => {
        assert.ok(error instanceof KubeconfigError);
        assert.match(error.message, message);
        return true;
      });
    });
  }

  it("refuses a file that does not exist, naming it", async () => {
    await assert.rejects(loadKubeconfig(["/nowhere/config"]), /\/nowhere\/config cannot be read/);
  });
});

describe("renderKubeconfig()", () => {
  it("is read by the official client, as YAML and as JSON", () => {
    const content = { server: "https://h:1", ca: PEM, cert: PEM, key: PEM };
    for (const text of [renderKubeconfig(content), renderKubeconfigJson(content)]) {
      const official = new KubeConfig();
      official.loadFromString(text);
      assert.equal(official.getCurrentCluster()?.server, "https://h:1");
      assert.equal(official.getCurrentCluster()?.caData, PEM_BASE64);
      assert.equal(official.getCurrentUser()?.certData, PEM_BASE64);
      assert.equal(official.getCurrentContext(), "portolan");
    }
  });
});

describe("kubeconfigPaths()", () => {
  it("is $KUBECONFIG, else the file in the home directory", () => {
    assert.deepEqual(kubeconfigPaths({ KUBECONFIG: "/a::/b", HOME: "/h" }), ["/a", "/b"]);
    assert.deepEqual(kubeconfigPaths({ HOME: "/h" }), ["/h/.kube/config"]);
  });
});

describe("inClusterConfig()", () => {
  const env = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443" };

  it("is undefined outside of a cluster", async () => {
    assert.equal(await inClusterConfig({}), undefined);
  });

  it("reads the service account", async () => {
    await writeFile(join(directory, "ca.crt"), PEM);
    await writeFile(join(directory, "namespace"), "team");
    const loaded = await inClusterConfig(env, directory);
    assert.equal(loaded?.server, "https://[fd00::1]:443");
    assert.equal(loaded.ca, PEM);
    assert.equal(loaded.namespace, "team");
    assert.equal(await loaded.bearerToken?.(), "from-file");
  });

  it("says so when the service account is missing", async () => {
    await assert.rejects(inClusterConfig(env, "/nowhere"), /service account in \/nowhere/);
  });
});

describe("tokenFromFile()", () => {
  it("reads the file again after a minute", async () => {
    const path = await write("one", "rotating");
    let nowMs = 0;
    const token = tokenFromFile(path, () => nowMs);
    assert.equal(await token(), "one");
    await writeFile(path, "two");
    nowMs = 59_999;
    assert.equal(await token(), "one");
    nowMs = 60_000;
    assert.equal(await token(), "two");
  });
});
