// A gateway's refusal, in its own words.

export type ProblemDetail = { readonly code: string; readonly detail: string };

/** Reads a problem+json body, or says what came instead. Consumes the response. */
export async function readProblem(response: Response): Promise<ProblemDetail> {
  const text = await response.text();
  const fallback = {
    code: `http_${response.status}`,
    detail: `${response.status} ${text.slice(0, 200).replace(/\s+/g, ' ')}`.trim(),
  };
  try {
    const json = JSON.parse(text) as {
      detail?: unknown;
      error?: { message?: unknown; code?: unknown };
    } | null;
    const { message, code } = json?.error ?? {};
    const detail = json?.detail ?? message;
    return {
      code: typeof code === 'string' ? code : fallback.code,
      detail: typeof detail === 'string' ? detail : fallback.detail,
    };
  } catch {
    return fallback;
  }
}
