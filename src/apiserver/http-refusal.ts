import type { Socket } from "node:net";
import { failure } from "../api/machinery/status.ts";
import type { StatusError } from "../api/machinery/status.ts";
import { badRequest } from "./failures.ts";
import { endSoon } from "./http-upgrade.ts";

/** Answers what the HTTP/1.1 parser could not read, as a Status like any other refusal, and ends the connection. */
export function refuseUnread(error: Error, socket: Socket): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { code, status } = statusOf("code" in error ? String(error.code) : "", error);
  const body = JSON.stringify(status);
  const phrase = PHRASES[code] ?? "Bad Request";
  const head = [
    `HTTP/1.1 ${String(code)} ${phrase}`,
    "content-type: application/json",
    `content-length: ${String(Buffer.byteLength(body))}`,
    "connection: close",
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n${body}`);
  endSoon(socket);
}

/** A connection whose client has closed its side is not kept for longer than this. */
export function cutAfterEnd(socket: Socket, afterMs: number): void {
  socket.once("end", () => {
    const timer = setTimeout(() => socket.destroy(), afterMs);
    socket.once("close", () => clearTimeout(timer));
  });
}

const PHRASES: Readonly<Record<number, string>> = {
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
};

function statusOf(code: string, error: Error): StatusError {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return failure(
        431,
        "RequestEntityTooLarge",
        "Request header fields too large: limit is 16384 bytes for all of them together",
      );
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return failure(408, "Timeout", "the request did not arrive in time");
    default:
      return badRequest(`the request is not HTTP: ${error.message}`);
  }
}
