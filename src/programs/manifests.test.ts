import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { fiveServicesFile } from "./bundled.ts";
import { readManifests } from "./manifests.ts";

it("readManifests() reads every document of a file, and the bad ones do not hide the good", async () => {
  await using folder = await folderWith({
    "a.yaml": `apiVersion: v1
kind: Namespace
metadata: { name: one }
---
kind: Namespace
---
# nothing here
---
apiVersion: v1
kind: [unclosed
---
apiVersion: v1
kind: Namespace
metadata: { name: two }
`,
  });
  const documents = await readManifests([join(folder.path, "a.yaml")]);
  assert.deepEqual(
    documents.map((document) => [document.kind, document.where.replace(folder.path, "")]),
    [
      ["object", "/a.yaml, document 1 (Namespace one)"],
      ["problem", "/a.yaml, document 2"],
      ["problem", "/a.yaml, document 4"],
      ["object", "/a.yaml, document 5 (Namespace two)"],
    ],
  );
});

it("readManifests() reads a folder in order of name, JSON and Lists too", async () => {
  const namespace = (name: string) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
  await using folder = await folderWith({
    "b.yaml": JSON.stringify(namespace("b")),
    "a.json": JSON.stringify({
      apiVersion: "v1",
      kind: "List",
      items: [namespace("a1"), namespace("a2")],
    }),
    "notes.txt": "not a manifest",
  });
  const documents = await readManifests([folder.path]);
  assert.deepEqual(
    documents.map((document) => (document.kind === "object" ? document.object.metadata.name : "?")),
    ["a1", "a2", "b"],
  );
});

it("readManifests() names a path that is not there or holds no manifests", async () => {
  await using folder = await folderWith({});
  const documents = await readManifests([join(folder.path, "none.yaml"), folder.path]);
  assert.deepEqual(
    documents.map((document) => document.kind === "problem" && document.message.slice(0, 40)),
    ["cannot be read: ENOENT: no such file or d", "cannot be read: no manifests (.yaml, .ym"].map(
      (m) => m.slice(0, 40),
    ),
  );
});

it("readManifests() finds no fault in the bundled example", async () => {
  const documents = await readManifests([fiveServicesFile()]);
  assert.equal(documents.length, 10);
  assert.deepEqual(
    documents.filter(({ kind }) => kind === "problem"),
    [],
  );
});

async function folderWith(
  files: Readonly<Record<string, string>>,
): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "portolan-test-"));
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}
