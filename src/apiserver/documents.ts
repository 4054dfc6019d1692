import type { KindDefinition } from "../api/machinery/kind.ts";
import type { ApiResponse } from "./exchange.ts";
export class Documents {
  constructor(_kinds: readonly KindDefinition[], _version: string) {}
  answer(_path: string, _query: URLSearchParams, _headers: Readonly<Record<string,string>>): ApiResponse | undefined { return undefined; }
}
