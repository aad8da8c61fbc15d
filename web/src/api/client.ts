/** The service, as its OpenAPI describes it; types and paths are generated from that. */
import createClient from "openapi-fetch";
import { texts } from "../texts";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

export const api = createClient<paths>({ baseUrl: "/", querySerializer: { array: { style: "form", explode: true } } });

/** What went wrong, in words for a person. `status` 0: the service was not reached. */
export class Trouble extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly retryAfterS: number | null = null,
  ) {
    super(message);
  }
}

interface Answer<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** The answer's data; a `Trouble` where there is none. Passes on an abort as it is. */
export async function told<Data>(asking: Promise<Answer<Data>>): Promise<Data> {
  let answer: Answer<Data>;
  try {
    answer = await asking;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Trouble(0, navigator.onLine ? texts.trouble.away : texts.trouble.offline);
  }
  if (answer.data !== undefined && answer.response.ok) return answer.data;
  const { status, headers } = answer.response;
  const after = Number(headers.get("Retry-After"));
  throw new Trouble(status, detailOf(answer.error) ?? texts.trouble.status(status), after || null);
}

export const aborted = (error: unknown): boolean =>
  error instanceof DOMException && error.name === "AbortError";

export const troubleOf = (error: unknown): Trouble =>
  error instanceof Trouble ? error : new Trouble(-1, String(error));

function detailOf(error: unknown): string | null {
  if (typeof error !== "object" || error === null || !("detail" in error)) return null;
  return typeof error.detail === "string" ? error.detail : null;
}
