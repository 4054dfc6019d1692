import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";

const DOCUMENTS = [
  ...readdirSync(".").filter((name) => name.endsWith(".md")),
  ...readdirSync("docs", { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
];

describe("documents", () => {
  it("link only to files that exist, and to headings that they have", () => {
    const broken = DOCUMENTS.flatMap((document) =>
      linksOf(document)
        .filter((link) => !/^[a-z]+:/.test(link))
        .filter((link) => !leadsSomewhere(document, link))
        .map((link) => `${document}: ${link}`),
    );
    assert.deepEqual(broken, []);
  });

  it("name only files of the project that exist", () => {
    const missing = DOCUMENTS.flatMap((document) =>
      pathsOf(document)
        .filter((path) => !existsSync(path))
        .map((path) => `${document}: ${path}`),
    );
    assert.deepEqual(missing, []);
  });

  it("are all reached from the README", () => {
    const reached = new Set(["README.md"]);
    for (const document of reached) {
      for (const link of linksOf(document)) {
        const [file = ""] = link.split("#");
        const path = join(dirname(document), file);
        if (DOCUMENTS.includes(path)) reached.add(path);
      }
    }
    assert.deepEqual(
      DOCUMENTS.filter((document) => !reached.has(document)),
      [],
    );
  });
});

function linksOf(document: string): readonly string[] {
  return [...proseOf(document).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
}

/** Paths in backticks that begin with a folder of the project, without patterns. */
function pathsOf(document: string): readonly string[] {
  const paths = proseOf(document).matchAll(
    /`((?:src|test|docs|bench|examples|scripts)\/[\w./-]*)`/g,
  );
  return [...paths].map(([, path = ""]) => path);
}

function leadsSomewhere(document: string, link: string): boolean {
  const [file = "", anchor] = link.split("#");
  const path = file === "" ? document : join(dirname(document), file);
  if (!existsSync(path)) return false;
  if (anchor === undefined) return true;
  const headings = proseOf(path).matchAll(/^#+ (.+)$/gm);
  return [...headings].some(([, heading = ""]) => anchorOf(heading) === anchor);
}

/** As GitHub makes it of a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
}

/** A document without its code blocks. */
function proseOf(document: string): string {
  return readFileSync(document, "utf8").replaceAll(/^ *```[\s\S]*?^ *```/gm, "");
}
