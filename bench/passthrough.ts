// The least a Worker can do: pass a request to the upstream that a header names, and its answer back.

export default {
  fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    return fetch(`${request.headers.get('x-upstream')}${pathname}`, {
      method: request.method,
      headers: { 'content-type': 'application/json' },
      body: request.body,
    });
  },
};
