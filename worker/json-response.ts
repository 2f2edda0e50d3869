import type { Call } from './call.ts';

export const json = (call: Call, body: unknown, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), {
    headers: {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-request-id': call.id,
      ...headers,
    },
  });
