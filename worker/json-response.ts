import type { Call } from './call.ts';

export const json = (
  call: Call,
  body: unknown,
  headers: Record<string, string> = {},
  status = 200,
): Response =>
  new Response(JSON.stringify(body), {
    status,
    headers: {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-request-id': call.id,
      ...headers,
    },
  });
