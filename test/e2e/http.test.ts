import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { makeHome, startUp } from "./portolan.ts";
import type { Home, Up } from "./portolan.ts";
import { missing, run } from "./tools.ts";

const SERVICES = "/api/v1/namespaces/default/services";

describe("the API over HTTPS", { skip: missing("curl", "kubectl") }, () => {
  let home: Home;
  let up: Up;
  let certificate: readonly string[];
  before(async () => {
    home = await makeHome();
    up = await startUp(home);
    certificate = await clientCertificate(home, up);
  });
  after(async () => {
    await up[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });
  /** The body, and the status code on a line of its own. */
  const curl = async (path: string, args: readonly string[], stdin?: string) => {
    const common = ["-sS", "-m", "20", "-w", "\\n%{http_code}", ...args, `${up.api}${path}`];
    const { code, stdout, stderr } = await run("curl", common, { stdin });
    assert.equal(code, 0, stderr);
    const at = stdout.lastIndexOf("\n");
    return { status: Number(stdout.slice(at + 1)), body: stdout.slice(0, at) };
  };
  const post = (path: string, body: string, ...more: readonly string[]) =>
    curl(
      path,
      [...certificate, "-H", "content-type: application/json", "--data-binary", "@-", ...more],
      body,
    );

  it("answers 401 without a client certificate, but says to anybody that it is healthy", async () => {
    const { status, body } = await curl(SERVICES, ["-k"]);
    assert.equal(status, 401);
    assert.match(body, /"reason":\s*"Unauthorized"/);
    assert.deepEqual(await curl("/healthz", ["-k"]), { status: 200, body: "ok" });
  });

  it("answers with a client certificate, over HTTP/1.1 and HTTP/2", async () => {
    for (const version of ["--http1.1", "--http2"]) {
      const { status, body } = await curl(SERVICES, [...certificate, version]);
      assert.equal(status, 200);
      assert.match(body, /"kind":\s*"ServiceList"/);
    }
  });

  it("refuses bodies that are malformed, too large or not JSON, and names why", async () => {
    const malformed = await post(SERVICES, '{"kind":');
    assert.equal(malformed.status, 400);
    assert.match(malformed.body, /"reason":\s*"BadRequest"/);
    const large = await post(SERVICES, `{"a":"${"x".repeat(4_000_000)}"}`);
    assert.equal(large.status, 413);
    assert.match(large.body, /"reason":\s*"RequestEntityTooLarge"/);
    const other = await curl(SERVICES, [...certificate, "-H", "content-type: text/csv", "-d", "a"]);
    assert.equal(other.status, 415);
    const nothing = await post(SERVICES, "");
    assert.equal(nothing.status, 400);
    assert.equal((await curl(`${SERVICES}/none`, certificate)).status, 404);
    assert.equal((await curl("/apis/none/v1", certificate)).status, 404);
    assert.equal((await curl("/api/v1/namespaces", [...certificate, "-X", "PUT"])).status, 405);
  });

  it("names unknown and repeated fields where the client wants it strict", async () => {
    const metadata = '"apiVersion":"v1","kind":"Service","metadata":{"name":"s"}';
    const unknown = `{${metadata},"spec":{"prots":[]}}`;
    const strict = await post(`${SERVICES}?fieldValidation=Strict`, unknown);
    assert.equal(strict.status, 400);
    assert.match(strict.body, /strict decoding error: unknown field \\"spec\.prots\\"/);
    const twice = `{${metadata},"spec":{"type":"NodePort","type":"ClusterIP","ports":[{"port":80}]}}`;
    const repeated = await post(`${SERVICES}?fieldValidation=Strict`, twice);
    assert.equal(repeated.status, 400);
    assert.match(repeated.body, /strict decoding error: duplicate field \\"spec\.type\\"/);
    const invalid = await post(SERVICES, `{${metadata},"spec":{"ports":[{"port":70000}]}}`);
    assert.equal(invalid.status, 422);
    assert.match(invalid.body, /spec\.ports\[0\]\.port: Invalid value: 70000/);
    const warned = await post(
      `${SERVICES}?fieldValidation=Warn`,
      `{${metadata},"spec":{"prots":[],"ports":[{"port":80}]}}`,
      "-i",
    );
    assert.equal(warned.status, 201);
    assert.match(warned.body, /^warning: 299 - "unknown field \\"spec\.prots\\""/im);
  });

  it("is still there for a client that hangs up in the middle of a body", async () => {
    const length = ["-H", "content-length: 1000", "-m", "1"];
    await run("curl", [
      "-sS",
      ...certificate,
      ...length,
      "--http1.1",
      "-X",
      "POST",
      "--data-binary",
      "{",
      `${up.api}${SERVICES}`,
    ]);
    assert.equal((await curl(SERVICES, certificate)).status, 200);
  });
});

/** The kubeconfig's certificates, as curl takes them: what any client has to work with. */
async function clientCertificate(home: Home, up: Up): Promise<readonly string[]> {
  const text = await up.kubectl("config view --raw --minify -o json");
  const of = (key: string): string => {
    const found = new RegExp(`"${key}": "([^"]+)"`).exec(text);
    assert.ok(found?.[1] !== undefined, `the kubeconfig has no ${key}`);
    return Buffer.from(found[1], "base64").toString();
  };
  const write = async (name: string, key: string): Promise<string> => {
    const path = join(home.path, name);
    await writeFile(path, of(key), { mode: 0o600 });
    return path;
  };
  return [
    "--cacert",
    await write("ca.pem", "certificate-authority-data"),
    "--cert",
    await write("cert.pem", "client-certificate-data"),
    "--key",
    await write("key.pem", "client-key-data"),
  ];
}
