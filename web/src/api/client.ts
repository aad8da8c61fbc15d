/** The HTTP client of the service, typed by its OpenAPI document. */
import createClient from "openapi-fetch";
import { texts } from "../texts";
import type { paths } from "./schema";

export const client = createClient<paths>({
  baseUrl: "/",
  querySerializer: { array: { style: "form", explode: true } },
});

/** A failed request, with a message for the visitor. */
export class ApiError extends Error {
  constructor(
    /** HTTP status; 0: the service cannot be reached; -1: an error of the page itself. */
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

/** Return the answer's data, or throw an `ApiError`. An abort is thrown on unchanged. */
export async function unwrap<Data>(call: Promise<Answer<Data>>): Promise<Data> {
  let answer: Answer<Data>;
  try {
    answer = await call;
  } catch (error) {
    throw isAbort(error) ? error : unreachable();
  }
  if (answer.data !== undefined && answer.response.ok) return answer.data;
  const { status, headers } = answer.response;
  const retryAfterS = Number(headers.get("Retry-After")) || null;
  throw new ApiError(status, detailOf(answer.error) ?? texts.errors.status(status), retryAfterS);
}

/** Return the error of a request that got no answer. */
export const unreachable = (): ApiError =>
  new ApiError(0, navigator.onLine ? texts.errors.unreachable : texts.errors.offline);

export const isAbort = (error: unknown): boolean =>
  error instanceof DOMException && error.name === "AbortError";

export const toApiError = (error: unknown): ApiError =>
  error instanceof ApiError ? error : new ApiError(-1, String(error));

function detailOf(error: unknown): string | null {
  if (typeof error !== "object" || error === null || !("detail" in error)) return null;
  return typeof error.detail === "string" ? error.detail : null;
}
