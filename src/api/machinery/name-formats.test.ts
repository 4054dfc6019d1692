import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  configKeyProblems,
  envNameProblems,
  nameCheck,
  portNameProblems,
  portNumberProblems,
} from "./name-formats.ts";

describe("portNameProblems()", () => {
  it("accepts IANA service names only", () => {
    assert.deepEqual(portNameProblems("http-alt1"), []);
    const bad = ["", "1234567890abcdef", "HTTP", "12", "a--b", "-a", "a-"];
    for (const name of bad) assert.notDeepEqual(portNameProblems(name), [], name);
    assert.deepEqual(portNameProblems("-1"), [
      "must contain at least one letter (a-z)",
      "must not begin or end with a hyphen",
    ]);
  });
});

describe("portNumberProblems()", () => {
  it("accepts 1 to 65535", () => {
    for (const port of [1, 80, 65_535]) assert.deepEqual(portNumberProblems(port), []);
    for (const port of [0, -1, 65_536, 1.5]) {
      assert.deepEqual(portNumberProblems(port), ["must be between 1 and 65535, inclusive"]);
    }
  });
});

describe("configKeyProblems()", () => {
  it("accepts file names only", () => {
    for (const key of ["a", "tls.crt", "..a".slice(1), "A_b-c"]) {
      assert.deepEqual(configKeyProblems(key), [], key);
    }
    for (const key of ["", "a/b", "a b", ".", "..", "..a", "x".repeat(254)]) {
      assert.equal(configKeyProblems(key).length, 1, key);
    }
  });
});

describe("envNameProblems()", () => {
  it("accepts printable ASCII without =", () => {
    for (const name of ["A", "my.env-1", "1st", "a b"]) assert.deepEqual(envNameProblems(name), []);
    for (const name of ["", "a=b", "ü", "a\n"]) assert.equal(envNameProblems(name).length, 1, name);
  });
});

describe("nameCheck()", () => {
  it("lets a prefix end with a dash, and a name not", () => {
    const check = nameCheck((name) => (name.endsWith("-") ? ["ends with a dash"] : []));
    assert.deepEqual(check("web-", true), []);
    assert.deepEqual(check("web-", false), ["ends with a dash"]);
    assert.deepEqual(check("-", true), ["ends with a dash"]);
  });
});
