// The console's files, with the policy a browser holds them to. The page is built once for every deployment (console/); what
// differs is which nodes it may ask, and that is said here.
import type { Call } from './call.ts';
import { problemResponse } from './problem.ts';

/** The page, and its scripts and style by their names, which carry a hash of their contents. */
export async function consoleFile(call: Call): Promise<Response> {
  const { method, headers: asked } = call.request;
  // Only what decides which bytes come back: nothing a visitor sends is needed for more.
  const etag = asked.get('if-none-match');
  const found = await call.env.ASSETS.fetch(call.url, {
    method,
    headers: etag === null ? {} : { 'if-none-match': etag },
  });
  if (found.status !== 200 && found.status !== 304) {
    await found.body?.cancel();
    return problemResponse(
      { status: 404, code: 'not_found', detail: 'The console has no such file: reload it from /.' },
      call.id,
      false,
    );
  }
  const isPage = call.url.pathname === '/';
  const headers = new Headers(found.headers);
  headers.set('cache-control', isPage ? 'no-cache' : 'public, max-age=31536000, immutable');
  for (const [name, value] of Object.entries(restrictions)) headers.set(name, value);
  if (isPage) headers.set('content-security-policy', contentPolicy(call));
  return new Response(found.body, { status: found.status, headers });
}

const restrictions = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
};

/** Its own files and nothing else; this gateway and the chains' public nodes may be asked. */
function contentPolicy({ config }: Call): string {
  const nodes = config.chains.flatMap(({ publicRpcUrls }) => publicRpcUrls.map((url) => new URL(url).origin));
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    ['connect-src', "'self'", ...new Set(nodes)].join(' '),
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
}
